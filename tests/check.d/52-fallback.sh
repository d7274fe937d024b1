#!/bin/bash
# Fallback: further media in turn, at failure or when time is over; kept over a kill -9.
. tests/lib.sh
need "$OUT/postern" "$OUT/posternctl"
http=$(free_port)
conf=$SCRATCH/postern.conf log=$SCRATCH/log
cat >"$conf" <<CONF
state = "$SCRATCH/state";
http = { listen = "127.0.0.1:$http"; tokens = ( { name = "pos"; token = "secret"; scopes = [ "messages", "admin" ]; } ); };
channels = ( { name = "good"; type = "null"; receipts = true; receipt_delay = "100ms"; },
             { name = "bad"; type = "null"; receipts = true; fail_receipt = 1.0; receipt_delay = "100ms"; },
             { name = "silent"; type = "null"; receipts = true; receipt_delay = "1h"; },
             { name = "refuses"; type = "null"; refuse = 1.0; } );
routes = ( { media = "push"; via = [ "bad" ]; }, { media = "viber"; via = [ "silent" ]; },
           { media = "email"; via = [ "refuses" ]; }, { media = "sms"; to = "46*"; via = [ "good" ]; } );
CONF
chmod 600 "$conf"
run() {
	"$OUT/postern" -c "$conf" 2>>"$log" &
	pid=$!
	await 20 curl -fs "http://127.0.0.1:$http/readyz" || { fail "postern did not start"; tail -5 "$log"; exit 1; }
}
api() { curl -s -H "Authorization: Bearer secret" "$@"; }
submit() { api -d "$1" "http://127.0.0.1:$http/v1/messages" | jq -r '.id // .detail'; }
state() { api "http://127.0.0.1:$http/v1/messages/$1" | jq -r .state; }
is() { [ "$(state "$1")" = "$2" ]; }
comes_to() { await 20 is "$1" "$2" || { echo "is $(state "$1")"; api "http://127.0.0.1:$http/v1/messages/$1"; return 1; }; }
has_attempts() { [ "$(api "http://127.0.0.1:$http/v1/messages/$1" | jq '[.history[] | select(.what == "fallback")] | length')" = "$2" ]; }

run
a=$(submit '{"media":"push","to":"bad:tok","text":"a","fallback":[{"media":"email","to":"a@b.example","text":"a"},{"media":"sms","to":"+46700000001","text":"a"}]}')
b=$(submit '{"media":"viber","to":"+46700000002","text":"b","fallback":[{"media":"sms","to":"+46700000002","text":"b","after":"1s"}]}')
c=$(submit '{"media":"push","to":"bad:tok","text":"c","fallback":[{"media":"sms","to":"+47700000003","text":"c"}]}')
d=$(submit '{"media":"sms","to":"+46700000004","text":"d","fallback":[{"media":"email","to":"a@b.example","text":"d"}]}')
e=$(submit '{"media":"viber","to":"+46700000005","text":"e","fallback":[{"media":"sms","to":"+46700000005","text":"e","after":"6s"}]}')
verify "the third medium delivers after two failed" comes_to "$a" delivered
verify "it tells both further attempts" has_attempts "$a" 2
verify "the second begins when its time has come" comes_to "$b" delivered
verify "when none is left it is undeliverable" comes_to "$c" undeliverable
verify "the first that delivers ends it" comes_to "$d" delivered
verify "without further attempts" has_attempts "$d" 0
kill -9 "$pid"
wait "$pid" 2>/dev/null
run
verify "what waits for its time survives a kill" comes_to "$e" delivered
verify "and is attempted once" has_attempts "$e" 1
f=$(submit '{"media":"push","to":"bad:tok","text":"g","title":"t","fallback":[{"media":"sms","to":"+46700000007"}]}')
verify "an attempt without content of its own is taken" comes_to "$f" delivered
said() { api "http://127.0.0.1:$http/v1/messages?to=%2B46700000007" | jq -r '.messages[0].id'; }
verify "and says what the message does" test "$(api "http://127.0.0.1:$http/v1/messages/$(said)" | jq -r .text)" = g
verify "a fault in an attempt is named" grep -q '^/fallback/0/media: ' <<<"$(submit '{"media":"sms","to":"+46700000006","text":"f","fallback":[{"media":"smms","to":"+46700000006","text":"f"}]}')"
verify "an unknown first destination is refused" grep -q 'no route' <<<"$(submit '{"media":"sms","to":"+47700000006","text":"g","fallback":[{"media":"sms","to":"+46700000006","text":"g"}]}')"
kill "$pid"
wait "$pid"
verify "a clean stop" [ $? = 0 ]
finish
