#!/bin/bash
# Webhooks of the running daemon: signed, told again until taken, in order per message, durable over
# kills, corrections told as such, private addresses only where allowed.
# timeout: 180
. tests/lib.sh
. tests/gateway.sh
hook=$(free_port) closed=$(free_port)
cat >gw.conf <<EOF
state = "state";
shutdown_grace = "2s";
http = { listen = "127.0.0.1:$http";
	tokens = ( { name = "shop"; token = "t-shop"; webhook = "http://127.0.0.1:$hook/hook?a=b"; webhook_secret_file = "secret"; webhook_private = true; },
		{ name = "quiet"; token = "t-quiet"; },
		{ name = "public"; token = "t-public"; webhook = "http://127.0.0.1:$hook/public"; webhook_secret = "x"; },
		{ name = "away"; token = "t-away"; webhook = "http://127.0.0.1:$closed/"; webhook_secret = "x"; webhook_private = true; } ); };
channels = (
	{ name = "a"; type = "null"; receipts = true; receipt_delay = "50ms"; },
	{ name = "bad"; type = "null"; receipts = true; fail_receipt = 1.0; },
	{ name = "late"; type = "null"; receipts = true; receipt_delay = "5s"; receipt_wait = "1s"; },
	{ name = "plain"; type = "null"; }
);
routes = (
	{ media = "sms"; to = "4670*"; via = [ "a" ]; },
	{ media = "sms"; to = "4671*"; via = [ "bad" ]; },
	{ media = "sms"; to = "4672*"; via = [ "late" ]; },
	{ media = "sms"; via = [ "plain" ]; }
);
EOF
echo s3cret >secret
chmod 600 secret
gw_start
sms() { submit "{\"media\":\"sms\",\"from\":\"Shop\",\"to\":\"$1\",\"text\":\"hej\"${2:+,$2}}"; }
receiver() { # OPTION...
	: >hooks
	sim webhook --listen "127.0.0.1:$hook" --secret s3cret --record hooks --stats-json "$@" >hooks.json
	await 10 sh -c "ss -Hltn 'sport = :$hook' | grep -q ."
}
told() { # ID: what the webhook was told about it, one JSON a line
	cut -f2 hooks | jq -c "select(.id == \"$1\")"
}
is_told() { # ID JQ-CONDITION over the list
	told "$1" | jq -se "$2" >/dev/null
}
becomes_told() { await $((15 * slow)) is_told "$@" || { echo "not: $2"; told "$1"; return 1; }; }
owed() { ctl --json status | jq -e ".accounts[] | select(.name == \"http/$1\") | .waiting $2" >/dev/null; }

# ---- told while nobody listens, and after: with the failures in between
id=$(sms +46700000001 '"id":"order-1"')
becomes "$id" delivered >/dev/null
verify "what cannot be told is owed" owed shop '== 1'
receiver --fail-first 2
verify "told when the receiver is back, after its failures" becomes_told "$id" 'length == 1'
verify "with all that matters" is_told "$id" '.[0] | .type == "receipt" and .state == "delivered" and .final and .client_id == "order-1"
	and .to == "46700000001" and .from == "Shop" and .media == "sms" and (.at > .accepted_at) and (.seq | length > 0)'
verify "nothing is owed any more" await $((5 * slow)) owed shop '== 0'
bad=$(sms +46710000001)
verify "undeliverable is told, with the reason" becomes_told "$bad" '.[0].state == "undeliverable" and .[0].reason'
sent=$(sms +46790000001)
verify "sent as the last word is told" becomes_told "$sent" '.[0].state == "sent"'
late=$(sms +46720000001)
cancelled=$(sms +46700000002 "\"send_at\":\"$(date -u -d '+1 hour' +%Y-%m-%dT%H:%M:%SZ)\"")
ctl cancel "$cancelled" >/dev/null
verify "cancelled is told" becomes_told "$cancelled" '.[0].state == "cancelled"'
verify "unknown is told when receipt_wait is over" becomes_told "$late" '.[0].state == "unknown" and (.[0] | has("correction") | not)'
verify "a late receipt is told as a correction, after it" becomes_told "$late" 'length == 2 and .[1].state == "delivered" and .[1].correction'
verify "and is in the history" message_has "$late" '.state == "delivered" and ([.history[].what] | index("unknown") != null or .[-1] == "delivered")'
token=t-quiet sms +46700000003 >/dev/null
verify "a token without webhook owes nothing" owed quiet '== 0'

# ---- private addresses
token=t-public
public=$(sms +46700000004)
token=t-shop
verify "not to a private address unless allowed" await $((10 * slow)) grep -q 'webhook failed.*token=public' gw.log
verify "not told" is_told "$public" 'length == 0'
verify "but owed" owed public '== 1'

# ---- many, with failures: each once
sim_end
verify "every signature held" jq -e '.forged == 0 and .unsigned == 0 and .stale == 0' hooks.json
verify "nothing was told twice" jq -e '.repeats == 0' hooks.json
receiver --fail 10% --latency 0..20ms
"$OUT/posternsim" http --connect "127.0.0.1:$http" --token t-shop --count 1000 --form array --to '+4670{n:7}' --expect-accepted >load.json || fail "1,000 submitted"
taken() { [ "$(wc -l <hooks)" -ge "$1" ]; }
verify "1,000 are told through a receiver that fails each tenth" await $((60 * slow)) taken 1000
await 5 owed shop '== 0'
sim_end
verify "each once" jq -e '.good == 1000 and .repeats == 0 and .states.delivered == 1000 and .failed > 20' hooks.json

# ---- kill -9 while it is owed
id=$(sms +46700000005)
becomes "$id" delivered >/dev/null
verify "owed" owed shop '>= 1'
gw_kill
gw_start
receiver
verify "told after a kill" becomes_told "$id" '.[-1].state == "delivered"'
verify "the others are still owed" owed public '== 1'

# ---- in order: the corrections of many messages come after what they correct
ids=()
for i in 1 2 3 4 5; do ids+=("$(sms "+4672000001$i")"); done
for id in "${ids[@]}"; do
	becomes_told "$id" '[.[].state] == ["unknown","delivered"]' || fail "order of $id"
done
ok "news of one message in order"

# ---- a receiver in trouble harms nobody
token=t-away
for i in 1 2 3; do sms "+4670000010$i" >/dev/null; done
token=t-shop
id=$(sms +46700000109)
verify "another token's dead webhook does not delay" becomes_told "$id" 'length == 1'
verify "its own is owed" owed away '== 3'

# ---- a webhook may go and come by reload
sed -i "s|webhook = \"http://127.0.0.1:$closed/\"|webhook = \"http://127.0.0.1:$hook/away\"|; s|webhook_secret = \"x\"; webhook_private|webhook_secret = \"s3cret\"; webhook_private|" gw.conf
ctl reload >/dev/null || fail reload
verify "another URL by reload: what was owed is told there" await $((70 * slow)) owed away '== 0'
sim_end
gw_stop
status=$?
verify "stops in order with news owed" test "$status" = 0
verify "no word of a sanitizer" sh -c "! grep -E 'runtime error|Sanitizer' gw.log"
finish
