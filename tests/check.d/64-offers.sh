#!/bin/bash
# The offers plugin through the real daemon, an SMSC and null channels: the six use cases with their
# cancels (CN-34), cancels that race the dispatch (CN-33), the same event from many askers (EV-1), a limit that many ask for at once (FC-1), and
# twice the intake limit with a kill -9 after it (EV-7).
# timeout: 180
. tests/lib.sh
. tests/gateway.sh
sim smsc --listen 127.0.0.1:0 --port-file port --quiet --codec fast --latency 20ms..60ms --receipt-delay 5ms..50ms --record taken
sim smsc --listen 127.0.0.1:0 --port-file slow-port --quiet --codec fast --latency 2s --receipt-delay 5ms --record slow-taken --error-to '47002*:0x08:1'
await $((5 * slow)) test -s port
await $((5 * slow)) test -s slow-port
absent=$(free_port)
conf() { # RATE: the gateway's, and the plugin's with so many events a second, 0: any
	cat >gw.conf <<CONF
state = "state";
http = { listen = "127.0.0.1:$http"; tokens = ( { name = "shop"; token = "t-shop"; scopes = [ "events", "admin" ]; } ); };
channels = ( { name = "smsc"; type = "smpp"; host = "127.0.0.1"; port = $(cat port); system_id = "p"; password = "x"; window = 4; },
	{ name = "slow"; type = "smpp"; host = "127.0.0.1"; port = $(cat slow-port); system_id = "p"; password = "x"; },
	{ name = "absent"; type = "smpp"; host = "127.0.0.1"; port = $absent; system_id = "p"; password = "x"; },
	{ name = "push"; type = "null"; receipts = true; }, { name = "social"; type = "null"; receipts = true; } );
routes = ( { media = "sms"; to = "46*"; via = [ "smsc" ]; }, { media = "sms"; to = "47*"; via = [ "slow" ]; }, { media = "sms"; to = "49*"; via = [ "absent" ]; },
	{ media = "push"; via = [ "push" ]; }, { media = "social"; via = [ "social" ]; } );
plugins = ( { name = "offers"; } );
CONF
	chain() { # NAME WHEN UNLESS THEN VIA MORE
		cat <<CONF
{ name = "$1"; kind = "service"; when = [ $2 ]; unless = [ $3 ]; then = "$4"; ${6:-}
  steps = ( { after = "${AFTER:-$((4 * slow)) s}"; send = "$1"; via = [ $5 ]; } ); }
CONF
	}
	cat >policy.conf <<CONF
intake = { rate = $1.0; reply_budget = "10 s"; };
policy = { default_clock = "UTC"; consent_default = "all"; unverified = true; };
templates = {
	u1 = { en = { sms = "u1 \${Member.id}"; }; }; u2 = { en = { sms = "u2 \${Member.id}"; }; };
	u3 = { en = { sms = "u3 \${Member.id}"; }; }; u4 = { en = { social = { text = "u4"; moderated_as = "approved"; }; }; };
	u5 = { en = { sms = "u5 \${Member.id}"; }; }; u6 = { en = { push = { title = "u6"; text = "Register"; }; }; };
	race = { en = { sms = "race \${Member.id}"; }; }; again = { en = { sms = "again"; }; };
};
counters = { visits = { of = "purchase.completed"; only_if = "member.id == 'monthly'"; per = "member"; period = "ever"; }; };
offers = (
$(chain u1 '"purchase.completed"' '"purchase.completed"' stop '"sms"' "only_if = \"member.id starts with 'u1'\"; "),
$(chain u2 '"phone.linked"' '"form.completed"' stop '"sms"'),
$(chain u3 '"purchase.completed"' '"bonus.deducted"' stop '"sms"' "only_if = \"member.id starts with 'u3'\"; "),
$(chain u4 '"social.linked"' '"social.activity", "social.unlinked"' stop '"social"'),
$(chain u5 '"registration.completed"' '"friend.invited"' stop '"sms"' "only_if = \"member.id starts with 'u5'\"; "),
$(chain u6 '"app.installed"' '"registration.completed"' stop '"push"'),
$(AFTER="$((8 * slow)) s" chain again '"social.joined"' '"social.left"' restart '"sms"'),
{ name = "monthly"; kind = "service"; when = "purchase.completed"; only_if = "member.id == 'monthly'"; limits = { per_member = "1 per month"; };
  actions = ( { do = "send"; template = "again"; via = "sms"; } ); },
$(AFTER="1 s" chain race '"card.activated"' '"form.completed"' stop '"sms"')
);
CONF
}
conf 0
sql() { sqlite3 -readonly -cmd '.timeout 5000' "$(find state -name '*.db' | head -1)" "$1"; }
n=0
answer=
ev() { # STATUS TYPE MEMBER-JSON [MORE]
	local status
	n=$((n + 1))
	status=$(curl -sS -m 10 -o answer -w '%{http_code}' -H 'Authorization: Bearer t-shop' --data-binary \
		"{\"id\":\"e$n\",\"type\":\"$2\",\"member\":$3${4:+,$4}}" "$base/v1/events")
	answer=$(cat answer)
	[ "$status" = "$1" ] || fail "$2 of $3: $status $answer"
}
up() { # the daemon, or the end of this
	gw_start
	kill -0 "$gw_pid" 2>/dev/null || { fail "the gateway did not start"; tail -n 20 gw.log; exit 1; }
}
up

# ---- CN-34. Of each case y goes through to its message, x is disarmed before it is due, z when the
# message waits in its queue.
phone() { echo "{\"id\":\"$1\",\"phone\":\"+$2\"}"; }
ev 200 purchase.completed "$(phone u1y 46700000011)" '"receipt":"1y"'
ev 200 purchase.completed "$(phone u1z 49700000012)" '"receipt":"1z"'
ev 200 purchase.completed "$(phone u1x 46700000013)" '"receipt":"1x"'
ev 202 phone.linked '"u2y"' '"data":{"value":"+46700000021"}'
ev 202 email.linked '"u2e"' '"data":{"value":"e@shop.example"}'
ev 202 phone.linked '"u2z"' '"data":{"value":"+49700000022"}'
ev 202 phone.linked '"u2x"' '"data":{"value":"+46700000023"}'
ev 202 phone.linked '"u2y"' '"data":{"value":"+46700000021"}' # again: not twice
ev 200 purchase.completed "$(phone u3y 46700000031)" '"receipt":"3y"'
ev 200 purchase.completed "$(phone u3z 49700000032)" '"receipt":"3z"'
ev 200 purchase.completed "$(phone u3x 46700000033)" '"receipt":"3x"'
ev 200 bonus.deducted "$(phone u3w 46700000034)" '"receipt":"3w","data":{"amount":5,"currency":"bonus"}'
ev 200 purchase.completed '"u3w"' '"receipt":"3w"' # its receipt spent points before: does not arm
for m in y1 x2 v3; do ev 202 social.linked "$(phone "u4${m%?}" "4670000004${m#?}")" "\"data\":{\"provider\":\"vk\",\"profile\":\"p-$m\"}"; done
ev 202 registration.completed "$(phone u5y 46700000051)"
ev 202 registration.completed "$(phone u5z 49700000052)"
ev 202 registration.completed "$(phone u5x 46700000053)"
for d in y x; do
	ev 202 app.installed "{\"device\":\"dev-$d\"}" "\"data\":{\"device\":\"dev-$d\",\"platform\":\"android\",\"service\":\"fcm\",\"token\":\"token-$d\"}"
done
# what disarms, before anything is due
sleep 0.3
ev 200 purchase.completed '"u1x"' '"receipt":"1x2"' # disarms, and arms anew by itself
ev 202 form.completed '"u2x"'
ev 200 bonus.deducted '"u3x"' '"receipt":"3x2","data":{"amount":5,"currency":"bonus"}'
ev 202 social.activity '"u4x"' '"data":{"provider":"vk","kind":"like","object":"o"}'
ev 202 social.activity_removed '"u4x"' '"data":{"provider":"vk","kind":"like","object":"o"}' # does not arm again
ev 202 social.unlinked '"u4v"' '"data":{"provider":"vk","profile":"p-v3"}'
ev 202 friend.invited '"u5x"' '"data":{"friend":"f"}'
ev 202 registration.completed '{"id":"u6x","device":"dev-x"}'
sent_n() { sql "SELECT count(*) FROM of_sent WHERE msg > 0 AND template <> 0 AND object < 100"; }
all() { [ "$(sent_n)" -ge 9 ] && [ "$(sql 'SELECT count(*) FROM of_chain WHERE due IS NOT NULL')" = 0 ]; }
await $((15 * slow)) all || fail "CN-34: $(sent_n) messages were made, $(sql 'SELECT count(*) FROM of_chain WHERE due IS NOT NULL') chains wait"
# what disarms while the message waits for its channel
removed() { # WHO: of the last answer
	local r
	r=$(jq .removed <<<"$answer")
	[ "$r" = "$2" ] && ok "CN-34: $1 takes back $2" || fail "CN-34: $1 takes back $r, not $2: $answer"
}
ev 200 purchase.completed '"u1z"' '"receipt":"1z2"'
removed u1 1
ev 202 form.completed '"u2z"'
removed u2 1
ev 200 bonus.deducted '"u3z"' '"receipt":"3z2","data":{"amount":5,"currency":"bonus"}'
removed u3 1
ev 202 friend.invited '"u5z"' '"data":{"friend":"f"}'
removed u5 1
ev 202 form.completed '"u2y"'
removed "u2, whose message has left," 0
state_of() { sql "SELECT n.name || ' ' || coalesce(m.ext, '?') || ' ' || s.state FROM of_sent s JOIN of_member m ON m.id = s.member JOIN of_name n ON n.kind = 1 AND n.number = s.object WHERE s.msg > 0 AND n.name <> 'race' ORDER BY 1"; }
delivered() { [ "$(state_of | grep -c ' [34]$')" = 7 ]; }
await $((10 * slow)) delivered
while read -r line; do
	grep -qx "$line" <<<"$(state_of)" && ok "CN-34: $line" || fail "CN-34: no \"$line\" in: $(state_of | tr '\n' ';')"
done <<'LINES'
u1 u1x 3
u1 u1y 3
u1 u1z 8
u2 u2y 3
u2 u2z 8
u3 u3y 3
u3 u3z 8
u4 u4y 3
u5 u5y 3
u5 u5z 8
u6 ? 3
LINES
[ "$(state_of | grep -vc '^u1 u1z')" = 10 ] && ok "CN-34: and no other" || fail "CN-34: others: $(state_of | tr '\n' ';')"

# ---- CN-33: cards are activated over a second and a half, so that their messages leave when the forms
# come that cancel them
many() { # TYPE FIRST LAST MORE: answers, a line each
	for ((i = $2; i <= $3; i++)); do
		printf '{"id":"%s%d","type":"%s","member":{"id":"r%d","phone":"+4671%07d"}}\n' "$1" "$i" "$1" "$i" "$i"
	done | curl -sS -m 30 -H 'Authorization: Bearer t-shop' -H 'Content-Type: application/x-ndjson' --data-binary @- "$base/v1/events"
}
for ((b = 0; b < 20; b++)); do many card.activated $((b * 15)) $((b * 15 + 14)) >/dev/null; sleep 0.05; done &
cards=$!
sleep 0.7 # what cancels comes ever later behind what armed
for ((b = 0; b < 20; b++)); do many form.completed $((b * 15)) $((b * 15 + 14)) >>answers; echo >>answers; sleep 0.12; done
wait "$cards"
raced() { [ "$(sql "SELECT count(*) FROM of_sent s JOIN of_name n ON n.kind = 1 AND n.number = s.object WHERE n.name = 'race' AND s.state < 3")" = 0 ]; }
await $((15 * slow)) raced || fail "CN-33: messages without an end"
jq -r 'if type == "array" then .[] else . end | select(.removed == 1) | .id' answers | sed 's/form.completed//' | sort >removed
sql "SELECT substr(m.ext, 2) FROM of_sent s JOIN of_member m ON m.id = s.member JOIN of_name n ON n.kind = 1 AND n.number = s.object WHERE n.name = 'race' AND s.state = 8" | sort >cancelled
left() { # the SMSC writes its record a little behind
	awk -F'\t' '$4 ~ /^4671/ { print substr($4, 5) + 0 }' taken | sort >left
	[ "$(wc -l <left)" = "$(sql "SELECT count(*) FROM of_sent s JOIN of_name n ON n.kind = 1 AND n.number = s.object WHERE n.name = 'race' AND s.state <> 8")" ]
}
await $((10 * slow)) left && ok "CN-33: what is not cancelled has left" || fail "CN-33: $(wc -l <left) left"
[ -z "$(comm -12 removed left)" ] && ok "CN-33: nothing that was reported as removed has left" || fail "CN-33: both: $(comm -12 removed left | tr '\n' ' ')"
cmp -s removed cancelled && ok "CN-33: what was removed is what is cancelled" || fail "CN-33: removed $(wc -l <removed), cancelled $(wc -l <cancelled)"
[ -z "$(uniq -d left)" ] && ok "CN-33: nothing left twice" || fail "CN-33: twice: $(uniq -d left)"
echo "      $(wc -l <removed) removed, $(wc -l <left) left, $(sql "SELECT 300 - count(*) FROM of_sent s JOIN of_name n ON n.kind = 1 AND n.number = s.object WHERE n.name = 'race'") disarmed before"

# ---- CN-33: a chain that begins again while its message is with the far side. One takes it: it is not
# sent again; two's SMSC refuses it for now: taken back, and sent once, when the new time has come.
joined=$(date +%s.%N)
for m in 1 2; do ev 202 social.joined "$(phone "again$m" "4700${m}000001")" '"data":{"provider":"vk","group":"g"}'; done
out() { # both are with the SMSC
	[ "$(ctl --json channel slow | jq .in_flight)" = 2 ]
}
await $((20 * slow)) out || fail "CN-33: nothing is in flight"
leaves=$(date -u -d "@$(jq -n "$joined + 6 * $slow")" +%FT%T.%NZ)
for m in 1 2; do # in one request: the SMSC answers in two seconds
	echo "{\"id\":\"leaves$m\",\"type\":\"social.left\",\"member\":\"again$m\",\"occurred_at\":\"$leaves\",\"data\":{\"provider\":\"vk\",\"group\":\"g\"}}"
done | curl -sS -m 30 -H 'Authorization: Bearer t-shop' -H 'Content-Type: application/x-ndjson' --data-binary @- "$base/v1/events" >leaves
for m in 1 2; do
	answer=$(jq -c "if type == \"array\" then .[] else . end | select(.id == \"leaves$m\")" leaves)
	removed "again$m, whose message is with the far side," 0
done
again() { sql "SELECT m.ext || ' ' || sum(s.state = 3) || ' ' || sum(s.state = 8) FROM of_sent s JOIN of_member m ON m.id = s.member WHERE m.ext LIKE 'again%' GROUP BY m.id ORDER BY 1"; }
ended() { [ "$(again | tr '\n' ';')" = "again1 1 0;again2 1 1;" ] && [ "$(sql 'SELECT count(*) FROM of_chain WHERE due IS NOT NULL')" = 0 ]; }
await $((30 * slow)) ended && ok "CN-33: what left in spite of the cancel is not sent again; what came back does not leave" || fail "CN-33: $(again | tr '\n' ';')"
[ "$(awk -F'\t' '{ print $4 }' slow-taken | sort | uniq -c | tr -s ' \n' ' ')" = " 1 47001000001 2 47002000001 " ] && ok "CN-33: one each left, and one was refused" || fail "CN-33: $(again) $(cat slow-taken)"

# ---- EV-1: one event a thousand times, forty at once
"$OUT/posternsim" http --connect "127.0.0.1:$http" --token t-shop --connections 40 --count 1000 --path /v1/events \
	--json '{"id":"one","type":"phone.linked","member":"u2one","data":{"value":"+46700000099"}}' >one.json 2>one.err
jq -e '.accepted == 1000 and (.status | keys) == ["202"]' one.json >/dev/null && ok "EV-1: all are answered" || fail "EV-1: $(cat one.json one.err)"
[ "$(sql "SELECT count(*) FROM of_event WHERE id = 'one'")" = 1 ] && [ "$(sql "SELECT count(*) FROM of_chain c JOIN of_member m ON m.id = c.member WHERE m.ext = 'u2one'")" = 1 ] &&
	ok "EV-1: and it is one, with one effect" || fail "EV-1: it was kept more than once"

# ---- FC-1: one a month, of a hundred purchases at once; and the count outlives a restart (FC-6)
"$OUT/posternsim" http --connect "127.0.0.1:$http" --token t-shop --connections 50 --count 100 --path /v1/events \
	--json '{"id":"month{n}","type":"purchase.completed","member":{"id":"monthly","phone":"+46700000098"},"receipt":"m{n}","data":{"total":5}}' >month.json 2>month.err
monthly() { sql "SELECT count(*) FROM of_sent s JOIN of_member m ON m.id = s.member WHERE m.ext = 'monthly' AND s.msg > 0"; }
jq -e '.accepted == 100' month.json >/dev/null && [ "$(monthly)" = 1 ] && ok "FC-1: a hundred purchases at once, one message" || fail "FC-1: $(monthly) messages, $(cat month.json month.err)"
gw_stop
up
ev 200 purchase.completed '"monthly"' '"receipt":"later","data":{"total":5}'
[ "$(monthly)" = 1 ] && [ "$(sql "SELECT c.value FROM of_counter c JOIN of_name n ON n.kind = 2 AND n.number = c.counter WHERE n.name = 'visits'")" = 101 ] &&
	ok "FC-6: what was counted outlives a restart" || fail "FC-6: $(monthly) messages, $(sql 'SELECT * FROM of_counter')"

# ---- EV-7
gw_stop
conf 200
up
"$OUT/posternsim" http --connect "127.0.0.1:$http" --token t-shop --connections 10 --rate 400 --count 1200 --path /v1/events \
	--record accepted --json '{"id":"load{n}","type":"form.completed","member":"l{n}"}' >load.json 2>load.err &
load=$!
over() { curl -sS -m 5 -D head -o /dev/null -H 'Authorization: Bearer t-shop' --data-binary '{"id":"x","type":"form.completed","member":"x"}' "$base/v1/events" && grep -q '^HTTP/1.1 429' head; }
await 10 over && grep -qi '^retry-after: [1-9]' head && ok "EV-7: 429 says when to come again" || fail "EV-7: no 429 with Retry-After: $(cat head)"
wait "$load"
gw_kill
up
jq -e '(.status | keys) == ["202", "429"] and .accepted > 400 and .accepted < 1000 and .refused > 200' load.json >/dev/null &&
	ok "EV-7: at twice the limit some are taken, the others hear 429" || fail "EV-7: $(cat load.json)"
lost=$(comm -13 <(sql "SELECT substr(id, 5) FROM of_event WHERE id LIKE 'load%'" | sort) <(awk '{ print $3 }' accepted | sort -u) | wc -l)
[ "$lost" = 0 ] && [ -s accepted ] && ok "EV-7: every 2xx is in the log after a kill -9" || fail "EV-7: $lost events are lost"
gw_stop
sim_end
finish
