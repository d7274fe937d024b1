#!/bin/bash
# Webhooks over https, to a server that we did not write: whom the gateway believes, and when it gives
# up.
# timeout: 120
. tests/lib.sh
root=$PWD
. tests/gateway.sh
hook=$(free_port) closed=$(free_port)
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
	-addext subjectAltName=DNS:localhost -keyout key.pem -out cert.pem 2>/dev/null || fail "no certificate"
hook() { # NAME URL MORE: a token with a webhook
	printf '{ name = "%s"; token = "t-%s"; webhook = "%s"; webhook_secret = "s3cret"; webhook_private = true; %s },\n' "$1" "$1" "$2" "$3"
}
cat >gw.conf <<EOF
state = "state";
shutdown_grace = "2s";
http = { listen = "127.0.0.1:$http"; tokens = (
	$(hook good "https://localhost:$hook/good" 'webhook_ca_file = "cert.pem";')
	$(hook stranger "https://localhost:$hook/stranger" '')
	$(hook other "https://127.0.0.1:$hook/other" 'webhook_ca_file = "cert.pem";')
	$(hook plain "http://localhost:$hook/plain" '')
	$(hook brief "https://localhost:$closed/brief" 'webhook_give_up = "2s";')
	{ name = "ops"; token = "t-ops"; scopes = [ "admin" ]; } ); };
channels = ( { name = "a"; type = "null"; receipts = true; receipt_delay = "20ms"; } );
routes = ( { media = "sms"; via = [ "a" ]; } );
EOF
gw_start
: >hooks
node "$root/tests/peers/hook.js" --port "$hook" --log hooks --key key.pem --cert cert.pem --secret s3cret >hook.log 2>&1 &
sim_pids+=($!)
await 20 grep -q listening hook.log || { fail "hook.js does not start"; cat hook.log; }
n=0 id=()
sms() { token=t-$1 submit '{"media":"sms","from":"Shop","to":"+46700000001","text":"hej"}'; }
owed() { ctl --json status | jq -e ".accounts[] | select(.name == \"http/$1\") | .waiting $2" >/dev/null; }
refused() { grep "webhook failed.*token=$1" gw.log | grep -q "$2"; }

for name in good stranger other plain brief; do
	id[$((++n))]=$(sms $name)
done
is_told() { jq -se "map(select(.path == \"/$1\")) | $2" hooks >/dev/null; }
verify "told over https" await $((15 * slow)) is_told good 'length == 1 and .[0].signed and .[0].method == "POST" and .[0].body.state == "delivered"'
verify "by TLS 1.2 or later" is_told good '.[0].tls | test("^TLSv1.[23]$")'
verify "with the id of the message" is_told good ".[0].body.id == \"${id[1]}\""
verify "nothing is owed any more" await $((5 * slow)) owed good '== 0'
verify "a certificate of unknown authority: not told" await $((10 * slow)) refused stranger 'certificate'
verify "a certificate of another name: not told" await $((10 * slow)) refused other '127.0.0.1'
verify "without TLS to a server that speaks it: not told" await $((10 * slow)) refused plain 'status=\|why='
for name in stranger other plain; do
	is_told $name 'length == 0' || fail "$name was told"
	owed $name '== 1' || fail "$name is not owed"
done
verify "given up when webhook_give_up is over" await $((20 * slow)) owed brief '== 0'
verify "which the log tells" grep -q "not told.*msg=${id[5]}.*account=http/brief" gw.log
gw_stop
status=$?
verify "stops in order" test "$status" = 0
verify "no word of a sanitizer" sh -c "! grep -E 'runtime error|Sanitizer' gw.log"
finish
