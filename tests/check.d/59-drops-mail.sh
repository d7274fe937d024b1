#!/bin/bash
# Mail servers that break connections wherever they like, ours and Postfix's smtp-sink: each mail that
# was answered with 250 arrives, or has an end that is true; one comes twice only where its history says
# that nobody knew, and not more often than answers were withheld.
# timeout: 120
# flavours: plain
. tests/lib.sh
. tests/gateway.sh
PATH=$PATH:/usr/sbin
smtp=$(free_port)
# NAME PORT OPTION...: smtp-sink, its mails in NAME.PHASE; what each fault of it must come to
faults=("qmail -q mail" "qrcpt -q rcpt" "qdata -q data" "qdot -q ." "cmail -Q mail" "cdot -Q ." "rrcpt -r rcpt" "rdata -r data" "rdot -r ." "fdot -f .")
command -v smtp-sink >/dev/null && [ "$(id -u)" = 0 ] || { echo "smtp-sink is not here, or not for us (it needs root): not tried"; faults=(); }
declare -A port sink
chmod 755 "$SCRATCH"
mkdir sinks && chmod 777 sinks
sink_start() { # NAME PHASE OPTION...
	smtp-sink -u nobody -R "$SCRATCH/sinks" -D "$1.$2" "${@:3}" "127.0.0.1:${port[$1]}" 100 2>>sinks.log &
	sink[$1]=$!
	sim_pids+=($!)
}
sim smtp --listen 127.0.0.1:0 --port-file port --quiet --record taken --stats-file sink.json --control sink.ctl --latency 5ms..20ms --drop-every 1s
dropper=$sim_pid
await $((10 * slow)) test -s port
quick='reconnect_first = "20ms"; reconnect_most = "100ms"; refused_first = "20ms"; refused_most = "100ms"; retry_first = "100ms"; retry_most = "300ms"; on_uncertain = "resend"; connections = 2;'
channels="" routes=""
channel() { # NAME PORT [SETTINGS]
	channels+="{ name = \"$1\"; type = \"smtp\"; host = \"127.0.0.1\"; port = $2; $quick ${3:-} },"
	routes+="{ media = \"email\"; to = \"*@$1.example\"; via = [ \"$1\" ]; },"
}
channel piped "$(cat port)"
channel plain "$(cat port)" "pipelining = false;"
channel bdat "$(cat port)" 'chunking = "on";'
for f in "${faults[@]}"; do
	# shellcheck disable=SC2086
	set -- $f
	port[$1]=$(free_port)
	sink_start "$1" bad "${@:2}"
	channel "$1" "${port[$1]}"
done
cat >gw.conf <<CONF
state = "state";
http  = { listen = "127.0.0.1:$http"; };
mail  = { hostname = "gw.shop.example"; };
listeners = ( { name = "in"; type = "smtp"; listen = "127.0.0.1:$smtp"; greeting_pause = "0s"; per_address = 100;
    accounts = ( { user = "shop"; trust = [ "127.0.0.1" ]; } ); } );
channels = ( ${channels%,} );
routes = ( ${routes}{ media = "email"; via = [ "piped" ]; } );
CONF
gw_start
loads=()
load() { # FIRST COUNT RATE DOMAIN
	timeout $((60 * slow)) "$OUT/posternsim" mail --connect "127.0.0.1:$smtp" --sessions 2 --rate "$3" --first "$1" --count "$2" --size 4096 \
		--notify never --to "u{n}@$4.example" --record "accepted.$4" --expect-accepted >"load.$4" 2>&1 &
	loads+=($!)
}
load 1000 250 100 piped
load 2000 250 100 plain
load 2500 250 100 bdat
n=4000
for name in "${!port[@]}"; do
	load $((n += 1000)) 8 100 "$name"
done
wait "${loads[@]}"
# of each domain some mail: the others may wait for the connection to come back
all_tried() { sleep 0.2; ctl --json messages --limit 2000 | jq -e 'group_by(.to | split("@")[1]) | all(.[]; any(.[]; .attempts > 0))'; }
await $((10 * slow)) all_tried || fail "mails were not tried"
for name in "${!port[@]}"; do
	kill "${sink[$name]}"
	wait "${sink[$name]}" 2>/dev/null
	sink_start "$name" good
done
open() { ctl --json messages --limit 3000 | jq -r ".[] | select(.state | IN(\"sent\", \"rejected\") | not) | .to + \" \" + .state"; }
ended() { sleep 0.2; [ -z "$(open)" ]; }
await $((30 * slow)) ended && ok "every mail has its end" || fail "mails have no end: $(open | head -n 5)"

# ---- ours: repeats against what it withheld
cat accepted.{piped,plain,bdat} >accepted
"$OUT/posternsim" control sink.ctl stats >stats.json # writes its record out
unanswered=$(jq .unanswered stats.json)
verify "750 mails through dropped connections: none lost, repeats at most the $unanswered answers withheld" \
	"$OUT/posternsim" prove --accepted accepted --taken taken --most-repeats "$unanswered"
verify "connections were dropped" test "$(jq .drops stats.json)" -ge 4
ctl --json messages --limit 2000 >all.json
jq -r '.[] | .to + " " + .id' all.json >ids
history() { ctl --json message "$(awk -v to="$1" '$1 == to {print $2}' ids)"; }
uncertain() { history "$1" | jq -e 'any(.history[]; .what == "retry" and .reason == "lost")'; }
awk -F'\t' '$4 ~ /@(piped|plain|bdat)\./ {c[$4]++} END {for (k in c) if (c[k] > 1) print k}' taken >twice
while read -r to; do
	uncertain "$to" >/dev/null || fail "$to came twice, and its history does not say why: $(history "$to" | jq -c .history)"
done <twice
ok "$(wc -l <twice) came twice, and their histories say why"

# ---- smtp-sink: what came once it had become good
# of each domain: how many ended how, and one that met the fault
jq -r 'group_by(.to | split("@")[1])[] | (.[0].to | split("@")[1]) + " " + (map(select(.state == "sent")) | length | tostring) + " " +
	(map(select(.state == "rejected")) | length | tostring) + " " + (max_by(.attempts) | .to)' all.json >domains
for f in "${faults[@]}"; do
	name=${f%% *} want="8 0"
	[ "$name" = fdot ] && want="0 8"
	read -r _ sent rejected first < <(grep "^$name.example " domains)
	[ "$sent $rejected" = "$want" ] || fail "$f: sent, rejected: $sent $rejected"
	came=$(sed -n 's/^X-Rcpt-Args: <\(.*\)>.*/\1/p' "sinks/$name.good" 2>/dev/null | sort | uniq -c | awk '$1 == 1 {once++} $1 > 1 {more++} END {print once + 0, more + 0}')
	[ "$came" = "${want% *} 0" ] || fail "$f: came once, more often: $came"
	if [ "$name" = qdot ]; then
		uncertain "$first" >/dev/null || fail "$f: not called uncertain: $(history "$first" | jq -c .history)"
	else
		! uncertain "$first" >/dev/null || fail "$f: called uncertain: $(history "$first" | jq -c .history)"
	fi
done
[ "${#faults[@]}" = 0 ] || ok "${#faults[@]} faults of smtp-sink, each mail with its true end, none twice once it was good"
sim_end "$dropper"
gw_stop
verify "the gateway stops as asked" test $? = 0
finish
