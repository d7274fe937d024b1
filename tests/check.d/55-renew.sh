#!/bin/bash
# Certificates that are renewed in place, as certbot does it: a reload takes them over everywhere, for
# connections that come from then on; those that are there go on. A broken one is refused by name.
# timeout: 120
. tests/lib.sh
root=$PWD
. tests/gateway.sh
esme=$(free_port) mail=$(free_port) implicit=$(free_port) far=$(free_port) relay=$(free_port)

# certificate NAME SERIAL: NAME.pem and NAME.key, self-signed
certificate() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "/CN=$1" -set_serial "$2" \
		-addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout "$1.key" -out "$1.pem" 2>/dev/null || fail "no certificate"
}
# renewed NAME SERIAL: a new one takes its place by a rename
renewed() {
	certificate new "$2"
	mv new.key "$1.key"
	mv new.pem "$1.pem"
}
certificate us 1
certificate them 2
cat us.pem >known.pem # those whom the far sides believe

tls='tls = { cert_file = "us.pem"; key_file = "us.key"; }'
cat >gw.conf <<EOF
state = "state";
shutdown_grace = "1s";
mail = { hostname = "gw.example"; };
http = { listen = "127.0.0.1:$http"; $tls; tokens = ( { name = "ops"; token = "t-ops"; scopes = [ "messages", "admin" ]; } ); };
listeners = (
	{ name = "esme"; type = "smpp"; listen = "127.0.0.1:$esme"; $tls; accounts = ( { system_id = "a"; password = "b"; } ); },
	{ name = "mail"; type = "smtp"; listen = "127.0.0.1:$mail"; $tls; },
	{ name = "implicit"; type = "smtp"; listen = "127.0.0.1:$implicit";
	  tls = { mode = "implicit"; cert_file = "us.pem"; key_file = "us.key"; }; }
);
channels = (
	{ name = "far"; type = "smpp"; host = "127.0.0.1"; port = $far; system_id = "a"; password = "b"; reconnect_first = "50ms";
	  reconnect_most = "100ms"; tls = { ca_file = "them.pem"; cert_file = "us.pem"; key_file = "us.key"; }; },
	{ name = "relay"; type = "smtp"; host = "127.0.0.1"; port = $relay; reconnect_first = "50ms"; reconnect_most = "100ms";
	  tls = { mode = "implicit"; verify = true; ca_file = "them.pem"; cert_file = "us.pem"; key_file = "us.key"; };
	  dkim = ( { domain = "gw.example"; selector = "s"; key_file = "dkim.key"; } ); }
);
routes = ( { media = "sms"; via = [ "far" ]; }, { media = "email"; via = [ "relay" ]; } );
EOF
openssl genpkey -algorithm ed25519 -out dkim.key 2>/dev/null
: >far.log
: >relay.log
peer() { # KIND PORT NAME
	node "$root/tests/peers/tls.js" "$1" --port "$2" --log "$3.log" --key them.key --cert them.pem --ca known.pem >"$3.out" 2>&1 &
	sim_pids+=($!)
	await 20 grep -q listening "$3.out" || { fail "tls.js does not start"; cat "$3.out"; }
}
peer smpp "$far" far
far_pid=${sim_pids[-1]}
gw_start

# serial PORT [OPTION...]: of the certificate that is shown there
serial() {
	local port=$1
	shift
	openssl s_client -connect "127.0.0.1:$port" "$@" </dev/null 2>/dev/null | openssl x509 -noout -serial | sed 's/serial=0*//'
}
all_show() { # SERIAL
	local n
	for n in "$(serial "$http")" "$(serial "$esme")" "$(serial "$mail" -starttls smtp)" "$(serial "$implicit")"; do
		[ "$n" = "$1" ] || { echo "serial $n instead of $1"; return 1; }
	done
}
reload() { ctl reload >reload.out 2>&1; }
lines() { [ "$(wc -l <"$1")" = "$2" ] || { cat "$1"; return 1; }; }
verify "all listeners show the first" all_show 1
verify "the channel shows it" await $((10 * slow)) grep -qx 01 far.log
await $((10 * slow)) channel_has far '.far_side.bound == 1' || fail "the channel is not bound"

# ---- sessions that are to stay: one each of the API and SMTP, and SMPP's by the channel
hold() { # NAME PORT OPTION...: a client whose input stays open on NAME.in
	mkfifo "$1.in"
	openssl s_client -quiet -connect "127.0.0.1:$2" "${@:3}" <"$1.in" >"$1.out" 2>/dev/null &
	sim_pids+=($!)
}
request() { printf 'GET /healthz HTTP/1.1\r\nHost: gw\r\n\r\n' >&"$1"; }
hold api "$http"
exec 7>api.in
hold smtp "$implicit"
exec 8>smtp.in
request 7
verify "a connection of the API" await $((5 * slow)) grep -q '200 OK' api.out
verify "a session of SMTP" await $((5 * slow)) grep -q ^220 smtp.out

# ---- the reload
verify "nothing has changed: nothing would" test "$(ctl reload --dry-run)" = "nothing would change"
renewed us 17
cat us.pem >>known.pem
verify "what would change is told" grep -q 'changed channels\["far"\].tls.cert_file' <(ctl reload --dry-run)
verify "and for listeners" grep -q 'changed listeners\["esme"\].tls.key_file' <(ctl reload --dry-run)
verify "it is taken" reload
verify "all listeners show the new one" all_show 11
verify "the channel's session stays" lines far.log 1
: >api.out
request 7
verify "the API's connection goes on" await $((5 * slow)) grep -q '200 OK' api.out
printf 'NOOP\r\n' >&8
verify "SMTP's session goes on" await $((5 * slow)) grep -q ^250 smtp.out

# ---- the far side's, and ours at it
renewed them 34
kill "$far_pid"
wait "$far_pid" 2>/dev/null
peer smpp "$far" far
far_pid=${sim_pids[-1]}
peer smtp "$relay" relay
verify "an authority that it does not know yet: no connection" await $((10 * slow)) grep -q 'relay.*certificate' gw.log
verify "taken with the reload" reload
verify "the SMPP channel knows it" await $((15 * slow)) grep -qx 11 far.log
verify "the SMTP channel knows it, and shows the new one" await $((15 * slow)) grep -qx 11 relay.log
kill -USR1 "$far_pid"
verify "and once more" await $((10 * slow)) lines far.log 3

# ---- broken ones
refused() { # FILE: the reload names it, and so does -t
	: >t.out
	! reload && grep -q "$1" reload.out && ! "$OUT/postern" -t -c gw.conf >t.out 2>&1 && grep -q "^gw.conf:[0-9]*: .*$1" t.out ||
		{ cat reload.out t.out; return 1; }
}
for file in us.pem us.key them.pem dkim.key; do
	cp "$file" kept
	echo rubbish >"$file"
	verify "a broken $file is refused" refused "$file"
	mv kept "$file"
done
cp us.key kept
certificate new 51
mv new.key us.key
verify "a key of another certificate is refused" refused us.key
mv kept us.key
verify "the listeners go on as they were" all_show 11
verify "the channel's session stays" lines far.log 3
verify "all is well again" reload
gw_stop || fail "the gateway does not stop as asked"
finish
