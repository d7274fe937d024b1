#!/bin/bash
# What becomes of messages in the running daemon when far sides misbehave and operators interfere:
# failover, retries, throttling, hold and drain, requeue, cancel, search, backup and restore.
# timeout: 180
. tests/lib.sh
. tests/gateway.sh
flaky=$(free_port) gone=$(free_port)
cat >gw.conf <<EOF
state = "state";
shutdown_grace = "2s";
http = { listen = "127.0.0.1:$http"; tokens = ( { name = "shop"; token = "t-shop"; scopes = [ "admin" ]; } ); };
channels = (
	{ name = "ok"; type = "null"; receipts = true; },
	{ name = "refuser"; type = "null"; refuse = 1.0; },
	{ name = "throttler"; type = "null"; throttle = 0.3; },
	{ name = "flaky"; type = "smpp"; host = "127.0.0.1"; port = $flaky; system_id = "p"; password = "p"; retry_first = "100ms"; retry_most = "2s"; },
	{ name = "tired"; type = "smpp"; host = "127.0.0.1"; port = $flaky; system_id = "q"; password = "p"; retry_first = "50ms"; attempts = 3; },
	{ name = "gone"; type = "smpp"; host = "127.0.0.1"; port = $gone; system_id = "p"; password = "p"; failover_after = "1s"; },
	{ name = "one"; type = "null"; },
	{ name = "two"; type = "null"; },
	{ name = "slow"; type = "null"; latency = "300ms"; window = 1; }
);
routes = (
	{ media = "sms"; to = "4670*"; via = [ "refuser", "ok" ]; },
	{ media = "sms"; to = "4671*"; via = [ "flaky" ]; },
	{ media = "sms"; to = "4672*"; via = [ "tired" ]; },
	{ media = "sms"; to = "4673*"; via = [ "throttler" ]; },
	{ media = "sms"; to = "4674*"; via = [ "gone", "ok" ]; },
	{ media = "sms"; to = "4675*"; via = [ "one" ]; },
	{ media = "sms"; to = "4676*"; via = [ "one", "two" ]; share = [ "one=1", "two=3" ]; },
	{ media = "sms"; to = "4677*"; via = [ "slow", "ok" ]; },
	{ media = "sms"; to = "4678*"; via = [ "gone" ]; }
);
EOF
sim smsc --listen "127.0.0.1:$flaky" --error-to '46711*:0x14:3' --error-to '46712*:0x08:1' --error-to '4672*:0x14' \
	--error-to '46714*:0x45' --control smsc.ctl --quiet 2>smsc.log
gw_start
await $((10 * slow)) sh -c "'$OUT/posternctl' --json channels | jq -e 'map(select(.health == \"up\")) | length == 8'"
sms() { submit "{\"media\":\"sms\",\"from\":\"Shop\",\"to\":\"$1\",\"text\":\"hej\"${2:+,$2}}"; }
many() { # PREFIX N: ids
	echo "[$(for ((i = 0; i < $2; i++)); do printf '{"media":"sms","to":"+%s%05d","text":"x"},' "$1" $i; done | sed 's/,$//')]" >many
	api POST /v1/messages @many
	jq -r '.[].id' <<<"$body"
}

# ---- failover and retry
id=$(sms +46700000001)
verify "refused: the next channel" becomes "$id" delivered
verify "says so in its history" message_has "$id" '.channel == "ok" and ([.history[].what] == ["accepted","failover","sent","delivered"]) and .history[1].channel == "refuser"'
verify "counted" channel_has refuser '.failed_over == 1 and .failed == 0'
id=$(sms +46711000001)
verify "a temporary fault: tried again" becomes "$id" delivered
verify "with back-off, three times" message_has "$id" '.attempts == 4 and ([.history[] | select(.what == "retry")] | length == 3)'
verify "each with the far side's words" message_has "$id" '[.history[] | select(.what == "retry") | .words] | all(test("ESME_RMSGQFUL"))'
longer() { ctl message "$1"; ctl --json message "$1" | jq -e '[.history[] | select(.what == "retry" or .what == "sent") | .at[17:23] | tonumber] as $t | def wait($a; $b): if $b < $a then $b + 60 - $a else $b - $a end; wait($t[2]; $t[3]) > wait($t[0]; $t[1])'; }
verify "waits grow" longer "$id"
id=$(sms +46712000001)
verify "a fault of the far side's system: sent in the end" becomes "$id" delivered
id=$(sms +46714000001)
verify "a permanent refusal and no other channel: rejected" becomes "$id" rejected
verify "with its status" message_has "$id" '.words | test("ESME_RSUBMITFAIL")'
id=$(sms +46720000001)
verify "attempts used up: undeliverable" becomes "$id" undeliverable
verify "for that reason, after three" message_has "$id" '.reason == "attempts" and .attempts == 3'
id=$(sms +46740000001)
verify "a channel that is down: the next one in time" becomes "$id" delivered
verify "went there" message_has "$id" '.channel == "ok"'
verify "the channel says what is wrong" channel_has gone '.health == "down" and (.why | test("refused"))'
waits=$(sms +46780000001)
verify "no other channel: it waits" message_has "$waits" '.state == "queued" and .waits_for == "channel"'

# ---- throttling slows the channel, not the message's attempts
mapfile -t ids < <(many 4673 20)
verify "throttled ones are sent in the end" becomes "${ids[19]}" sent 40
all=1
for id in "${ids[@]}"; do message_has "$id" '.state == "sent" and .attempts == 1' >/dev/null || becomes "$id" sent 20 >/dev/null || all=0; done
verify "all of them, at the first attempt that counted" test "$all" = 1
verify "the channel was slowed" channel_has throttler '.throttled >= 1 and .rate > 0 and .sent == 20 and .retried == 0'

# ---- weights
many 4676 200 >/dev/null
drained() { ctl --json channels | jq -e 'map(select(.name == "one" or .name == "two") | .sent) | add == 200'; }
verify "a share: all are sent" await $((10 * slow)) drained
verify "about three to one" channel_has two '.sent > 110 and .sent < 185'

# ---- hold, resume, drain
verify "hold" ctl channel hold one
id=$(sms +46750000001)
verify "health: held" channel_has one '.health == "held"'
verify "its messages wait" message_has "$id" '.state == "queued"'
verify "queue tells" sh -c "sleep 1.2; '$OUT/posternctl' --json queue one | jq -e '.queued.normal == 1'"
verify "resume" ctl channel resume one
verify "they go" becomes "$id" sent
mapfile -t ids < <(many 4677 6)
verify "drain" ctl channel drain slow
other=$(sms +46770000099)
verify "draining: what comes goes elsewhere" becomes "$other" delivered
verify "to the next channel" message_has "$other" '.channel == "ok"'
verify "what it has is sent" becomes "${ids[5]}" sent
verify "by it" message_has "${ids[5]}" '.channel == "slow"'
ctl channel resume slow >/dev/null
verify "a channel that is none: refused" sh -c "! '$OUT/posternctl' channel hold nowhere"

# ---- requeue and cancel
verify "requeue to another channel" ctl requeue "$waits" --channel ok
verify "is sent there" becomes "$waits" delivered
verify "and says so" message_has "$waits" '.channel == "ok" and ([.history[].words] | any(. == "by the operator"))'
verify "what was sent is not requeued" sh -c "! '$OUT/posternctl' requeue $waits"
ctl channel hold one >/dev/null
id=$(sms +46750000002)
verify "cancel of what is held" ctl cancel "$id"
verify "is cancelled" message_has "$id" '.state == "cancelled"'
verify "cancel again: refused" sh -c "! '$OUT/posternctl' cancel $id"
moved=$(sms +46750000003)
verify "requeue of what is held" ctl requeue "$moved" --channel two
verify "goes" becomes "$moved" sent
mapfile -t ids < <(many 4675 3000)
deep=${ids[2990]}
verify "cancel of one that is on disk only" ctl cancel "$deep"
verify "another one is requeued" ctl requeue "${ids[2980]}" --channel two
ctl channel resume one >/dev/null
verify "the rest is sent" becomes "${ids[2999]}" sent 30
verify "the cancelled one was not" message_has "$deep" '.state == "cancelled" and (has("sent_at") | not)'
verify "the other went its way" message_has "${ids[2980]}" '.state == "sent" and .channel == "two"'

# ---- search
count() { ctl --json messages --limit 1000 "$@" | jq length; }
verify "search: recipient" test "$(count --to 46700000001)" = 1
verify "search: state" test "$(count --state rejected)" = 1
verify "search: channel" test "$(count --channel slow)" = 6
verify "search: submitter" test "$(count --submitter http/shop --state cancelled)" = 2
verify "search: sender" test "$(count --from Nobody)" = 0
verify "search: since" test "$(count --since 1h --state undeliverable)" = 1
verify "search: until" test "$(count --until 1h)" = 0
verify "search: limit" test "$(count --limit 7)" = 7
verify "search: in words" sh -c "'$OUT/posternctl' messages --state rejected | grep -q 46714000001"
verify "search: an unknown state is refused" sh -c "! '$OUT/posternctl' messages --state lost"
for kind in channel submitter; do
	verify "search: an unknown $kind is refused" sh -c "'$OUT/posternctl' messages --$kind nobody 2>&1 | grep -q 'there is no $kind'"
done
verify "a message in words" sh -c "'$OUT/posternctl' message $deep | grep -q 'is cancelled'"
verify "send" sh -c "'$OUT/posternctl' send to=+46700000009 text=hello | grep -q 'accepted as'"
verify "send, refused" sh -c "! '$OUT/posternctl' send to=+99700000009 text=hello"
for verb in status channels 'channel ok' 'queue ok' metrics log; do
	# shellcheck disable=SC2086
	verify "$verb, in words and as JSON" sh -c "'$OUT/posternctl' $verb && '$OUT/posternctl' --json $verb | jq -e . && '$OUT/posternctl' $verb --json | jq -e ."
done
verify "an unknown verb is refused" sh -c "! '$OUT/posternctl' dance"

# ---- backup while it runs
"$OUT/posternsim" http --connect "127.0.0.1:$http" --token t-shop --count 4000 --connections 4 --to '+4676{n:7}' --expect-accepted >load.json &
load=$!
verify "backup while it runs" ctl backup backup.db
wait "$load" || fail "the load beside the backup"
verify "not over a file that is there" sh -c "! '$OUT/posternctl' backup '$SCRATCH/backup.db'"
after=$(sms +46700000077)
becomes "$after" delivered >/dev/null
verify "no restore while it runs" sh -c "! '$OUT/posternctl' restore backup.db state"
gw_stop
verify "nobody there: status 2" sh -c "'$OUT/posternctl' status; [ \$? = 2 ]"
echo junk >junk.db
verify "no restore of junk" sh -c "! '$OUT/posternctl' restore junk.db state"
verify "restore" "$OUT/posternctl" restore backup.db state
gw_start
verify "what was before the backup is there" message_has "$deep" '.state == "cancelled"'
verify "what came after is not" sh -c "! '$OUT/posternctl' message $after"
id=$(sms +46700000078)
verify "and it works" becomes "$id" delivered
verify "ids go on behind those of before" test "$id" -gt "$after"
gw_stop
verify "no word of a sanitizer" sh -c "! grep -E 'runtime error|Sanitizer' gw.log"
finish
