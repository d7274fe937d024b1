#!/bin/bash
# One measurement of the offers plugin; a line of JSON on stdout. Usage: tests/bench/offers.sh MODE [N]
#   import    N members (1,000,000) by POST /v1/members as NDJSON
#   events    N events (300,000), each answered after the commit, with 20 offers and MEMBERS members
#   till      N till events (20,000) at 1,000/s: how long a till waits for its reply
#   armed     CPU while N chains (1,000,000) wait for their time
#   timers    N chains (100,000) due at one moment: until each is a message in a queue, of an SMSC
#             that is down: what is sent meanwhile would take its share of the time
#   birthday  the birthday task over N members (1,000,000), a 365th of whom have theirs
# MEMBERS (1,000,000) are there before the modes that ask for them. Every event is on disk before its
# answer; the state lies in BENCH_DIR (build/bench.d).
cd "$(dirname "$0")/../.." || exit 2
. tests/bench/lib.sh
mode=${1:?usage: tests/bench/offers.sh import|events|till|armed|timers|birthday [N]}
members=${MEMBERS:-1000000}
postern=$OUT/postern
for program in "$postern" "$sim"; do [ -x "$program" ] || die "$program has not been built"; done
command -v sqlite3 >/dev/null || die "sqlite3 is missing: packaging/install-deps bench"
dir=$(realpath -m "${BENCH_DIR:-$OUT/bench.d}")/offers-$mode.$$
mkdir -p "$dir/offers.d" "$dir/tasks.d" "$dir/templates.d" || exit 2
trap 'keep_log "$dir"; stop_all; rm -rf "$dir"' EXIT
http=$(free_port)
umask 077

sms='type = "null"; rate = 100000.0;'
[ "$mode" != timers ] || sms="type = \"smpp\"; host = \"127.0.0.1\"; port = $(free_port); system_id = \"postern\"; password = \"bench\";"
cat >"$dir/postern.conf" <<CONF
state = "$dir/state";
log   = { level = "warn"; };
http  = { listen = "127.0.0.1:$http"; tokens = ( { name = "bench"; token = "bench"; scopes = [ "messages", "events", "members", "admin" ]; } ); };
channels = ( { name = "sms"; $sms }, { name = "push"; type = "null"; } );
routes = ( { media = "sms"; via = [ "sms" ]; }, { media = "push"; via = [ "push" ]; } );
plugins = ( { name = "offers"; intake_most = 100000; } );
CONF
cat >"$dir/policy.conf" <<'CONF'
policy = { default_clock = "UTC"; consent_default = "all"; from = { sms = "Shop"; }; max_lateness = "30 days"; };
members = { attributes = { city = "text"; }; };
templates = {
  hello = { en = { sms = "Dear ${Member.first_name|friend}, we have not seen you for a while. Your 10 % wait until Sunday."; }; };
  total = { en = { sms = "Thank you for your purchase of ${Amount:number}."; }; };
};
CONF
# Twenty offers as a chain of shops has them: chains, replies at the till, sends under a limit.
offers() {
	local i
	echo 'offers = ('
	for i in 1 2 3 4 5 6 7 8; do
		echo "{ name = \"chain-$i\"; kind = \"service\"; when = \"purchase.completed\"; unless = \"bonus.deducted\"; then = \"stop\";" \
			"only_if = \"event.total >= $((i * 10)) and member.city in ('Riga', 'City $i')\";" \
			"steps = ( { after = \"$((i + 6)) days\"; at = \"10:00-20:00\"; send = \"hello\"; via = \"sms\"; } ); },"
	done
	for i in 1 2 3 4; do
		echo "{ name = \"newcomer-$i\"; kind = \"service\"; when = \"registration.completed\"; unless = \"purchase.completed\"; then = \"restart\";" \
			"steps = ( { after = \"$((i * 7)) days\"; send = \"hello\"; via = \"sms\"; }, { after = \"14 days\"; send = \"hello\"; via = \"sms\"; } ); },"
	done
	for i in 1 2 3 4; do
		echo "{ name = \"reply-$i\"; kind = \"service\"; when = \"discount.calculated\"; only_if = \"event.discount >= $i and event.store != 'S$i'\";" \
			"actions = ( { do = \"receipt\"; text = \"Your discount amount was \${Discount:money} \${Currency}.\"; } ); },"
	done
	for i in 1 2 3; do
		echo "{ name = \"thanks-$i\"; kind = \"service\"; when = \"purchase.completed\"; only_if = \"event.total > 90 and counter('thanks') < $i\";" \
			"actions = ( { do = \"send\"; template = \"total\"; via = \"sms\"; count = \"thanks\"; } ); },"
	done
	echo '{ name = "app"; kind = "service"; when = "app.installed"; steps = ( { after = "1 day"; send = "hello"; via = "sms"; } ); } );'
	echo 'counters = { thanks = { of = "actions"; per = "member"; period = "month"; }; };'
}
offers >"$dir/offers.d/all.conf"
[ "$mode" != birthday ] || cat >"$dir/tasks.d/all.conf" <<CONF
tasks = ( { name = "birthday"; every = "day at 00:00"; clock = "member"; look = "member.birthday"; if_late = "run"; send = "hello"; via = "sms"; } );
CONF

run_postern() {
	start "$postern" -c "$dir/postern.conf" 2>>"$dir/log"
	pid=$!
	await 60 curl -fs "http://127.0.0.1:$http/readyz" || { tail -5 "$dir/log" >&2; die "postern did not become ready"; }
}
member_lines() { # N: a birthday on each day of the year in turn
	awk -v n="$1" 'BEGIN { for (i = 0; i < n; i++) { d = i % 365; m = int(d / 31) + 1; if (m > 12) m = 12;
		printf "{\"id\":\"m%06d\",\"first_name\":\"Name%d\",\"phone\":\"+4670%07d\",\"birthday\":\"%04d-%02d-%02d\",\"state\":\"registered\",\"attributes\":{\"city\":\"City %d\"}}\n",
			i, i % 1000, i, 1950 + i % 50, m, d % 28 + 1, i % 40 } }'
}
import() { # N; none: the events make them
	[ "$1" -gt 0 ] || return 0
	member_lines "$1" | curl -fsS -m 600 -T - -X POST -H 'Authorization: Bearer bench' -H 'Content-Type: application/x-ndjson' \
		"http://127.0.0.1:$http/v1/members" -o "$dir/import.json" || die "the import failed: $(head -c 300 "$dir/import.json")"
}
db() { sqlite3 -cmd '.timeout 5000' "$dir/state/postern.db" "$@"; }
events() { # JSON OPTION...: posternsim's figures
	local json=$1
	shift
	"$sim" http --connect "127.0.0.1:$http" --token bench --path /v1/events --json "$json" "$@" --expect-accepted || die "events: refused"
}
purchase='{"id":"e{n}","source":"bench","type":"purchase.completed","occurred_at":"{now}","store":"S1","member":{"id":"m{r:6}"},"receipt":"r{n}","data":{"total":"{r:2}.50","currency":"EUR","items":[{"product":"p{r:2}","quantity":1,"amount":"5.00"}]}}'
discount='{"id":"d{n}","source":"bench","type":"discount.calculated","occurred_at":"{now}","store":"S9","till":"1","member":{"id":"m{r:6}"},"receipt":"r{n}","data":{"discount":"8.00","total":"80.00","currency":"EUR"}}'

run_postern
case $mode in
import)
	n=${2:-1000000}
	began=$(now_ms)
	import "$n"
	took=$(($(now_ms) - began))
	[ "$(db 'SELECT count(*) FROM of_member')" = "$n" ] || die "members are missing"
	jq -cn --argjson n "$n" --argjson ms "$took" --argjson kib "$(peak_kib "$pid")" \
		'{name: "offers, import of \($n) members", messages: $n, seconds: ($ms / 1000), rate: ($n * 1000 / $ms | round), peak_mib: ($kib / 1024 | round)}'
	;;
events)
	n=${2:-300000}
	import "$members"
	events "$purchase" --connections 64 --count 5000 --first 90000000 >/dev/null
	cpu=$(cpu_ms "$pid")
	events "$purchase" --connections "${CONNECTIONS:-128}" --count "$n" >"$dir/load.json"
	jq -c --argjson n "$n" --argjson cpu $(($(cpu_ms "$pid") - cpu)) --argjson kib "$(peak_kib "$pid")" \
		'{name: "offers, events (20 offers)", messages: $n, rate: .accept_rate, cpu_us: ($cpu * 100000 / $n | round / 100),
		  accept_p50_ms: .latency.p50_ms, accept_p99_ms: .latency.p99_ms, peak_mib: ($kib / 1024 | round)}' "$dir/load.json"
	;;
till)
	n=${2:-20000}
	import "$members"
	events "$discount" --connections 64 --count 2000 --first 90000000 >/dev/null
	events "$discount" --connections 64 --count "$n" --rate 1000 >"$dir/load.json"
	jq -c --argjson n "$n" '{name: "offers, till replies at 1,000/s", messages: $n, rate: .accept_rate,
		accept_p50_ms: .latency.p50_ms, accept_p99_ms: .latency.p99_ms}' "$dir/load.json"
	;;
armed | timers)
	n=${2:-$([ "$mode" = armed ] && echo 1000000 || echo 100000)}
	import "$n"
	# One real chain says how a row looks; its copies are the others', each of an event of its own.
	events '{"id":"first","source":"bench","type":"registration.completed","occurred_at":"{now}","member":{"id":"m000000"},"data":{}}' --count 1 >/dev/null
	stop "$pid"
	if [ "$mode" = armed ]; then due=$((($(date +%s) + 864000) * 1000000000)); else due=$((($(date +%s) + 20) * 1000000000)); fi
	db "DELETE FROM of_chain WHERE offer <> (SELECT max(offer) FROM of_chain);
		UPDATE of_chain SET due = $due;
		CREATE TEMP TABLE one AS SELECT * FROM of_chain;
		INSERT INTO of_chain(offer, member, key, run, anchor, step, due, restarts, version, pin)
		SELECT one.offer, m.id, one.key, one.run + m.id, one.anchor, one.step, one.due, one.restarts, one.version, one.pin
		FROM of_member m, one WHERE m.id <> one.member LIMIT $n;
		INSERT INTO of_mark(member, offer, occurred, seq, kind, receipt, key)
		SELECT m.id, k.offer, k.occurred, k.seq + m.id, k.kind, k.receipt, k.key FROM of_member m, of_mark k, one
		WHERE k.member = one.member AND k.offer = one.offer AND m.id <> one.member LIMIT $n;" || die "the chains could not be laid out"
	run_postern
	if [ "$mode" = armed ]; then
		sleep 5
		cpu=$(cpu_ms "$pid")
		sleep 20
		jq -cn --argjson n "$n" --argjson cpu $(($(cpu_ms "$pid") - cpu)) --argjson kib "$(peak_kib "$pid")" \
			'{name: "offers, \($n) armed chains waiting", messages: $n, cpu_percent: ($cpu / 200 * 100 | round / 100), peak_mib: ($kib / 1024 | round)}'
	else
		fired() { [ "$(db 'SELECT count(*) FROM of_sent WHERE msg > 0')" -ge "$n" ]; }
		while [ "$(date +%s%N)" -lt "$due" ]; do sleep 0.02; done
		began=$((due / 1000000))
		cpu=$(cpu_ms "$pid")
		await 120 fired || die "only $(db 'SELECT count(*) FROM of_sent WHERE msg > 0') of $n fired"
		jq -cn --argjson n "$n" --argjson ms $(($(now_ms) - began)) --argjson cpu $(($(cpu_ms "$pid") - cpu)) \
			'{name: "offers, \($n) timers into queued messages", messages: $n, seconds: ($ms / 1000), rate: ($n * 1000 / $ms | round),
			cpu_us: ($cpu * 100000 / $n | round / 100)}'
	fi
	;;
birthday)
	n=${2:-1000000}
	import "$n"
	db 'SELECT count(*) FROM of_run' >/dev/null
	stop "$pid"
	# Everybody's run of today begins anew, of a task that has been known for long.
	db 'DELETE FROM of_run WHERE date > 0; UPDATE of_run SET started = started - 864000000000000, ended = ended - 864000000000000;
		DELETE FROM of_task_done; DELETE FROM of_sent;' || die "the task could not be reset"
	expected=$(db "SELECT count(*) FROM of_member WHERE birthday = CAST(strftime('%m', 'now') AS INTEGER) * 100 + CAST(strftime('%d', 'now') AS INTEGER)")
	began=$(now_ms) # the start counts, too: the task begins with it
	run_postern
	finished() { [ "$(db 'SELECT count(*) FROM of_run WHERE date > 0 AND ended > 0')" -ge 1 ] && [ "$(db 'SELECT count(*) FROM of_sent WHERE msg > 0')" -ge "$expected" ]; }
	await 180 finished || die "the task did not end: $(db 'SELECT * FROM of_run')"
	jq -cn --argjson n "$n" --argjson e "$expected" --argjson ms $(($(now_ms) - began)) '{name: "offers, birthday task over \($n) members", messages: $e, seconds: ($ms / 1000)}'
	;;
*) die "there is no mode $mode" ;;
esac
