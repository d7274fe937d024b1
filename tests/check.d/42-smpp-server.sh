#!/bin/bash
# The SMPP server against posternsim's ESME, by libsmpp34 and by its own codec: every kind of
# message, every version, receivers that are slow, mute or come and go. Each accepted message must
# have exactly one final receipt under the id of its response.
# timeout: 240
. tests/lib.sh
. tests/gateway.sh
smpp=$(free_port) far=$(free_port)

cat >gw.conf <<CONF
state = "state";
shutdown_grace = "2s";
http = { listen = "127.0.0.1:$http"; tokens = ( { name = "ops"; token = "t-shop"; scopes = [ "admin" ]; } ); };
listeners = ( { name = "esme"; type = "smpp"; listen = "127.0.0.1:$smpp"; answer_wait = "2s";
	accounts = (
		{ system_id = "shop"; password = "secret"; max_binds = 20; window = 50; },
		{ system_id = "hex"; password = "secret"; id = "hex"; receipt_dates = 12; },
		{ system_id = "narrow"; password = "secret"; window = 2; },
		{ system_id = "tardy"; password = "secret"; },
		{ system_id = "unsure"; password = "secret"; },
		{ system_id = "mute"; password = "secret"; },
		{ system_id = "away"; password = "secret"; }
	); } );
channels = ( { name = "far"; type = "smpp"; host = "127.0.0.1"; port = $far; system_id = "gw"; password = "secret";
	window = 200; retry_first = "200ms"; retry_most = "1s"; } );
routes = ( { media = "sms"; to = "46*"; via = [ "far" ]; } );
CONF
sim smsc --listen "127.0.0.1:$far" --account gw:secret --receipt-delay 0ms..50ms --quiet
gw_start

# esme NAME ARGUMENT...: everything accepted, and one final for each
esme() {
	local name=$1
	shift
	verify "$name" timeout $((60 * slow)) "$OUT/posternsim" esme --connect "127.0.0.1:$smpp" --response-timeout 30s --drain 20s \
		--expect-accepted --expect-receipts "$@"
}
mix=text=.2,long=.1,ucs2=.1,udh=.1,sar=.1,payload=.1,data=.1,binary=.1,flash=.1
esme "every kind, by our codec" --count 600 --binds 2 --window 20 --mix $mix --codec fast
esme "every kind, by libsmpp34" --count 300 --window 10 --mix $mix
esme "submit_multi" --count 60 --window 5 --mix multi=1
esme "version 3.3: short ids, no TLVs" --count 200 --window 10 --interface-version 0x33 --codec fast
esme "version 3.3, by libsmpp34" --count 100 --window 10 --interface-version 0x33
esme "version 5.0" --count 200 --window 10 --interface-version 0x50
esme "a transmitter and a receiver" --count 300 --window 10 --bind tx+rx
esme "ids in hex" --system-id hex --count 100 --window 10
esme "more at once than its window" --system-id narrow --count 500 --window 100 --codec fast
esme "receipts slowly answered" --system-id tardy --count 100 --window 20 --deliver-delay 0ms..300ms
esme "receipts refused for now" --system-id unsure --count 40 --window 20 --deliver-again 0.2
if [ "${FLAVOUR:-plain}" = plain ]; then
	esme "receipts not answered, and told again" --system-id mute --count 40 --window 20 --deliver-mute 0.1 --drain 30s
fi

# nobody is bound when the receipts come
"$OUT/posternsim" esme --connect "127.0.0.1:$smpp" --system-id away --bind tx --count 50 --drain 10ms >/dev/null
sleep 1
sim esme --connect "127.0.0.1:$smpp" --system-id away --bind rx --count 0 --record-receipts told >/dev/null
told() { ctl --json status | jq -e '.accounts[] | select(.name == "smpp/away") | .told == 50 and .waiting == 0'; }
verify "receipts wait for a receiver" await $((20 * slow)) told
sim_end
verify "which had each once" test "$(sort -u told | grep -c .)" = 50

# a session that ends leaves nothing behind
verify "no session stays" await 10 sh -c "'$OUT/posternctl' --json status | jq -e '.listeners[] | select(.name == \"esme\") | .connections == 0'"
verify "stops in time" timeout $((10 * slow)) bash -c "kill -TERM $gw_pid; while kill -0 $gw_pid 2>/dev/null; do sleep 0.1; done"
gw_pid=
verify "without an error" bash -c "! grep -E ' error ' gw.log"
finish
