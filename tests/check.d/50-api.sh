#!/bin/bash
# The HTTP API of the running daemon, from outside: what it takes, what it refuses and in which
# words, who sees what, and what becomes of a message through a null channel.
# timeout: 120
. tests/lib.sh
root=$PWD
. tests/gateway.sh

cat >gw.conf <<EOF
state = "state";
dedupe_window = "1h";
shutdown_grace = "1s";
http = { listen = "127.0.0.1:$http"; body_most = "256KiB";
	tokens = ( { name = "shop"; token = "t-shop"; },
		{ name = "other"; token = "t-other"; },
		{ name = "slow"; token = "t-slow"; rate = 0.2; },
		{ name = "till"; token = "t-till"; scopes = [ "events" ]; },
		{ name = "sender"; token = "t-sender"; from = [ "Shop*" ]; },
		{ name = "ops"; token = "t-ops"; scopes = [ "admin" ]; } ); };
channels = (
	{ name = "a"; type = "null"; receipts = true; receipt_delay = "50ms"; },
	{ name = "plain"; type = "null"; },
	{ name = "bad"; type = "null"; receipts = true; fail_receipt = 1.0; },
	{ name = "refuser"; type = "null"; refuse = 1.0; },
	{ name = "slow"; type = "null"; latency = "150ms"; window = 1; },
	{ name = "small"; type = "null"; latency = "1h"; window = 1; queue_most = 2; },
	{ name = "any"; type = "null"; }
);
routes = (
	{ media = "sms"; to = "4670*"; via = [ "a" ]; },
	{ media = "sms"; to = "4671*"; via = [ "bad" ]; },
	{ media = "sms"; to = "4672*"; via = [ "refuser" ]; },
	{ media = "sms"; to = "4673*"; via = [ "slow" ]; },
	{ media = "sms"; to = "4674*"; via = [ "plain" ]; },
	{ media = "sms"; to = "4675*"; via = [ "small" ]; },
	{ media = [ "email", "push", "viber", "social" ]; via = [ "any" ]; }
);
EOF
gw_start
sms() { printf '{"media":"sms","from":"Shop","to":"%s","text":"hej"%s}' "$1" "${2:+,$2}"; }
in_future() { date -u -d "+$1 seconds" +%Y-%m-%dT%H:%M:%S.%3NZ; }

# ---- one message
expect "one message" 202 '.id | test("^[0-9]{10,19}$")' POST /v1/messages "$(sms +46700000001)"
id=$(jq -r .id <<<"$body")
verify "is delivered" becomes "$id" delivered
expect "GET shows it" 200 ".id == \"$id\" and .state == \"delivered\" and .media == \"sms\" and .to == \"46700000001\"
	and .from == \"Shop\" and .text == \"hej\" and .submitter == \"http/shop\" and .channel == \"a\"
	and .sent_at >= .accepted_at and .final_at >= .sent_at and .attempts == 1 and .parts == 1" GET "/v1/messages/$id"
verify "its history in order" jq -e '[.history[].what] == ["accepted","sent","delivered"]' <<<"$body"
expect "GET of what is none" 404 '.status == 404' GET /v1/messages/12345
expect "GET of what is no number" 404 '.detail' GET /v1/messages/abc
long=$(printf 'x%.0s' {1..400})
expect "a long one is cut into parts" 202 .id POST /v1/messages "{\"media\":\"sms\",\"to\":\"+46700000002\",\"text\":\"$long\"}"
id=$(submit "$(sms +46740000001)")
verify "sent is the last word without receipts" becomes "$id" sent
id=$(submit "$(sms +46710000001)")
verify "undeliverable by its receipt" becomes "$id" undeliverable
id=$(submit "$(sms +46720000001)")
verify "refused by the far side" becomes "$id" rejected
verify "with its words" message_has "$id" '.reason == "refused" and .words == "null channel, as set"'
for m in '"email","to":"anna@example.org","subject":"Hi","text":"Hello"' '"push","to":"any:a1b2c3","title":"Hi"' \
	'"push","to":"a1b2c3","platform":"ios","title":"Hi"' '"viber","to":"+46700000001","text":"Hi"' \
	'"social","to":"vk-1234","text":"Hi"' '"viber","to":"+46700000001","text":"Hi","image":"https://x.example/a.png","button":{"text":"Go","url":"https://x.example"}' \
	'"email","to":"anna@example.org","subject":"Hi","html":"<p>Hello</p>","attachments":[{"name":"a.txt","type":"text/plain","data":"aGVq"}]'; do
	id=$(submit "{\"media\":$m}") && verify "media ${m%%,*}" becomes "$id" sent || fail "media $m"
done
id=$(submit "$(sms +46700000003 '"channel":"plain"')")
verify "the channel that it names" message_has "$id" '.channel == "plain"'
expect "a channel that is none" 422 '.detail | test("nowhere")' POST /v1/messages "$(sms +46700000003 '"channel":"nowhere"')"

# ---- many
expect "an array" 200 'length == 3 and .[0].status == 202 and .[1].status == 400 and .[2].status == 202 and (.[0].id | length > 9)' \
	POST /v1/messages "[$(sms +46700000010), {\"media\":\"sms\"}, $(sms +46700000011)]"
expect "an array with one that no route takes" 200 '.[0].status == 422 and .[1].status == 202' \
	POST /v1/messages "[$(sms +99700000010), $(sms +46700000011)]"
expect "an array that breaks off: what came before it is told" 200 'length == 3 and .[0].status == 202 and .[1].status == 202 and .[2].status == 400' \
	POST /v1/messages "[$(sms +46700000014),$(sms +46700000014),{\"media\":"
expect "an empty array" 200 '. == []' POST /v1/messages '[]'
expect "NDJSON" 200 'length == 3 and .[0].status == 202 and .[1].status == 400 and .[2].status == 202' \
	POST /v1/messages "$(sms +46700000012)"$'\n'"{broken"$'\n\n'"$(sms +46700000013)"$'\n' -H 'Content-Type: application/x-ndjson'
api POST /v1/messages "$(sms +46700000012)"$'\n'"$(sms +46700000013)" -H 'Content-Type: application/x-ndjson' -H 'Accept: application/x-ndjson'
verify "NDJSON answered in lines" sh -c "[ \"\$(jq -c .status | tr '\n' ' ')\" = '202 202 ' ]" <<<"$body"
verify "3,000 in one array" sh -c "'$OUT/posternsim' http --connect 127.0.0.1:$http --token t-shop --count 3000 --form array --batch 1500 --connections 2 --to '+4674{n:7}' --expect-accepted"
verify "2,000 as NDJSON" sh -c "'$OUT/posternsim' http --connect 127.0.0.1:$http --token t-shop --count 2000 --form ndjson --batch 500 --connections 2 --to '+4674{n:7}' --expect-accepted"

# ---- the caller's own id
expect "with an own id" 202 .id POST /v1/messages "$(sms +46700000020 '"id":"order-1"')"
id=$(jq -r .id <<<"$body")
expect "the same again: the same id" 202 ".id == \"$id\" and .duplicate" POST /v1/messages "$(sms +46700000020 '"id":"order-1"')"
expect "another body under it" 409 '.status == 409' POST /v1/messages "$(sms +46700000021 '"id":"order-1"')"
token=t-other expect "another token's order-1 is its own" 202 ".id != \"$id\" and (.duplicate | not)" POST /v1/messages "$(sms +46700000022 '"id":"order-1"')"
expect "GET by it" 200 ".id == \"$id\" and .client_id == \"order-1\"" GET /v1/messages/client/order-1
expect "GET by one that is none" 404 .status GET /v1/messages/client/order-2
expect "in one array twice" 200 '.[0].id == .[1].id and .[1].duplicate and .[2].status == 409' \
	POST /v1/messages "[$(sms +46700000023 '"id":"o 3"' | sed 's/o 3/o3/'), $(sms +46700000023 '"id":"o3"'), $(sms +46700000024 '"id":"o3"')]"
expect "an id with a space" 400 '.errors[0].pointer // .field | tostring | test("/id")' POST /v1/messages "$(sms +46700000023 '"id":"o 3"')"

# ---- what is wrong, and where
refused() { # NAME STATUS TEXT BODY: a problem document that says TEXT
	api POST /v1/messages "$4" -D headers
	verify "$1" answers "$2" ".status == $2 and (tostring | test(\"$3\"))" &&
		verify "$1: a problem document" grep -qi '^content-type: application/problem+json' headers
}
refused "broken JSON names the place" 400 'line 1.*column' '{"media":"sms",}'
refused "no JSON at all" 400 'line 1' 'hello'
refused "an empty body" 400 'empty' ' '
refused "a wrong type" 400 '/to' '{"media":"sms","to":4670,"text":"x"}'
refused "a missing field" 400 '/to' '{"media":"sms","text":"x"}'
refused "all faults at once" 400 '/to.*/text|/text.*/to' '{"media":"sms"}'
refused "an unknown field, with a guess" 400 'priority' "$(sms +46700000001 '"priorty":"high"')"
refused "an unknown medium" 400 '/media' '{"media":"fax","to":"+46700000001","text":"x"}'
refused "an unknown priority" 400 '/priority' "$(sms +46700000001 '"priority":"urgent"')"
refused "a bad number" 400 '/to' "$(sms +46abc)"
refused "a bad e-mail address" 400 '/to' '{"media":"email","to":"anna","text":"x"}'
refused "a device that nobody can tell" 400 '/to' '{"media":"push","to":"a1b2","title":"x"}'
refused "a time that is none" 400 '/send_at' "$(sms +46700000001 '"send_at":"tomorrow"')"
refused "a validity without unit" 400 '/valid_for' "$(sms +46700000001 '"valid_for":"90"')"
refused "a name twice" 400 'text' '{"media":"sms","to":"+46700000001","text":"x","text":"y"}'
refused "two objects in one body" 400 '' "$(sms +46700000001)$(sms +46700000001)"
refused "a URL that is none" 400 '/url' "$(sms +46700000001 '"url":"javascript:1"')"
sent_before=$(metric 'postern_account_accepted_total{account="http/shop"}')
refused "no route to a destination" 422 '/to' "$(sms +99700000001)"
verify "nothing of it is stored" test "$(ctl --json messages --to 99700000001 | jq length)" = 0
verify "nor counted as accepted" test "$(metric 'postern_account_accepted_total{account="http/shop"}')" = "$sent_before"
token=t-sender refused "a sender that it may not use" 422 '/from' '{"media":"sms","from":"Bank","to":"+46700000001","text":"x"}'
token=t-sender expect "one that it may" 202 .id POST /v1/messages '{"media":"sms","from":"ShopInfo","to":"+46700000001","text":"x"}'
head -c 300000 /dev/zero | tr '\0' x >big
api POST /v1/messages @big
verify "a body that is too large" answers 413
{ printf '{"media":"sms","to":"+46700000001","text":"'; head -c 70000 /dev/zero | tr '\0' x; printf '"}'; } >big
api POST /v1/messages @big
verify "a text that is too long" answers 400 'tostring | test("/text")'

# ---- who may
token=wrong expect "a wrong token" 401 .status POST /v1/messages "$(sms +46700000001)"
body=$(curl -sS -D headers -o /dev/null -w '%{http_code}' "$base/v1/messages" -d "$(sms +46700000001)")
verify "no token" test "$body" = 401
verify "and how to ask" grep -qi '^www-authenticate: bearer' headers
token=t-till expect "a token without the scope" 403 '.detail | test("scope")' POST /v1/messages "$(sms +46700000001)"
id=$(submit "$(sms +46700000030)")
token=t-other expect "another token's message" 404 .status GET "/v1/messages/$id"
token=t-other expect "nor can it be cancelled" 404 .status DELETE "/v1/messages/$id"
token=t-other expect "nor found" 200 "[.messages[].submitter] | unique == [\"http/other\"]" GET /v1/messages
token=t-ops expect "admin sees it" 200 ".id == \"$id\"" GET "/v1/messages/$id"
token=t-ops expect "admin finds all" 200 '[.messages[].submitter] | unique | length >= 2' GET '/v1/messages?limit=1000'
expect "another method" 405 true PUT "/v1/messages/$id"
expect "another path" 404 true GET /v2/messages

# ---- search
expect "by recipient" 200 ".messages | length == 1 and .[0].id == \"$id\"" GET '/v1/messages?to=%2B46700000030'
for to in +46700000030 0046700000030 '%2B46%2070-000%2000%2030'; do
	expect "by recipient, as $to" 200 ".messages | length == 1" GET "/v1/messages?to=$to"
done
expect "since a duration" 200 ".messages | length == 1" GET '/v1/messages?to=46700000030&since=1h'
expect "since what is none" 400 '.errors[0].pointer == "#since"' GET '/v1/messages?since=yesterday'
expect "an unknown channel is named by its field" 422 '.errors[0].pointer == "#/channel"' POST /v1/messages "$(sms +46700000031 '"channel":"nope"')"
expect "an empty text has one fault" 400 '.errors | length == 1' POST /v1/messages '{"media":"sms","to":"+46700000031","text":""}'
expect "what is no object has one fault" 400 '.errors | length == 1' POST /v1/messages 5
expect "packed bodies are not taken" 415 .status POST /v1/messages "$(sms +46700000031)" -H 'Content-Encoding: gzip'
expect "by recipient, without +" 200 ".messages | length == 1" GET '/v1/messages?to=46700000030'
expect "by state" 200 '.messages | length >= 1 and all(.state == "undeliverable")' GET '/v1/messages?state=undeliverable'
expect "by medium" 200 '.messages | length == 2 and all(.media == "email")' GET '/v1/messages?media=email'
expect "by time" 200 '.messages == []' GET "/v1/messages?since=$(in_future 60)"
expect "since an hour ago" 200 '.messages | length == 100' GET "/v1/messages?since=$(in_future -3600)"
expect "a page" 200 '(.messages | length == 2) and .next == .messages[1].id' GET '/v1/messages?limit=2'
next=$(jq -r .next <<<"$body")
expect "the next page" 200 ".messages | length == 2 and all((.id | tonumber) < ($next | tonumber))" GET "/v1/messages?limit=2&before=$next"
expect "a state that is none" 400 'tostring | test("state")' GET '/v1/messages?state=gone'
expect "a time that is none" 400 'tostring | test("since")' GET '/v1/messages?since=yesterday'

# ---- time
id=$(submit "$(sms +46700000040 "\"send_at\":\"$(in_future 2)\"")")
expect "send_at: it waits" 200 '.state == "queued" and .waits_for == "schedule" and .due_at' GET "/v1/messages/$id"
cancelled=$(submit "$(sms +46700000041 "\"send_at\":\"$(in_future 3600)\"")")
expect "DELETE before it is sent" 200 '.state == "cancelled"' DELETE "/v1/messages/$cancelled"
expect "is cancelled" 200 '.state == "cancelled" and .history[-1].what == "cancelled"' GET "/v1/messages/$cancelled"
expect "DELETE again" 409 .status DELETE "/v1/messages/$cancelled"
expect "DELETE of what is none" 404 .status DELETE /v1/messages/12345
expired=$(submit "$(sms +46750000001 '"valid_for":"1s"')")
waiting=$(submit "$(sms +46750000002 '"valid_for":"1s"')")
verify "send_at: sent when it is time" becomes "$id" delivered
verify "not before" message_has "$id" '(.sent_at >= .due_at) or (.sent_at[0:19] > .accepted_at[0:19])'
expect "DELETE after it was sent" 409 '.detail' DELETE "/v1/messages/$id"
verify "valid_for: expired in the queue" becomes "$waiting" expired
verify "for the reason" message_has "$waiting" '.reason == "expired"'
expect "send_at years ahead" 422 'tostring | test("/send_at")' POST /v1/messages "$(sms +46700000042 "\"send_at\":\"$(in_future 400000000)\"")"

# ---- dry run
before=$(ctl --json messages --limit 1 | jq -er '.[0].id') || fail "posternctl messages"
expect "dry_run" 200 '.dry_run and .channel == "a" and .parts == 1 and (has("id") | not)' POST /v1/messages "$(sms +46700000050 '"dry_run":true')"
expect "dry_run of what has no route" 422 .status POST /v1/messages "$(sms +99700000050 '"dry_run":true')"
verify "leaves nothing" test "$(ctl --json messages --limit 1 | jq -r '.[0].id')" = "$before"

# ---- limits
over=0
for i in 1 2 3 4 5 6; do
	token=t-slow api POST /v1/messages "$(sms +46740000060)" -D headers
	[ "$code" != 429 ] || { over=$((over + 1)); cp headers over-headers; }
done
verify "over the rate: 429" test "$over" -ge 2
verify "with Retry-After" grep -qi '^retry-after: [1-9]' over-headers
api GET /v1/messages/x
submit "$(sms +46750000003)" >/dev/null
submit "$(sms +46750000004)" >/dev/null
full() { api POST /v1/messages "$(sms +46750000005)"; [ "$code" = 429 ]; }
verify "a channel's queue limit: 429" await $((5 * slow)) full

# ---- priorities: with one at a time, high goes before what came earlier
many=
for i in 1 2 3 4 5 6; do many+="$(sms "+4673000000$i" '"priority":"bulk"'),"; done
api POST /v1/messages "[$many$(sms +46730000009 '"priority":"high"')]"
mapfile -t ids < <(jq -r '.[].id' <<<"$body")
for id in "${ids[@]}"; do becomes "$id" sent >/dev/null || fail "$id is not sent"; done
when() { ctl --json message "$1" | jq -r .sent_at; }
verify "high goes before bulk" test "$(when "${ids[6]}")" '<' "$(when "${ids[2]}")"
verify "bulk keeps its order" test "$(when "${ids[4]}")" '<' "$(when "${ids[5]}")"

# ---- for machines
verify "healthz" test "$(curl -sS "$base/healthz")" = ok
verify "readyz" test "$(curl -sS "$base/readyz")" = ready
curl -sS "$base/metrics" >metrics
for m in 'postern_channel_sent_total{channel="a"}' 'postern_account_accepted_total{account="http/shop"}' 'postern_store_'; do
	verify "metrics has $m" grep -qF "$m" metrics
done
verify "each metric is described" awk '/^# HELP/ { if (NF < 4) { print; bad = 1 } told[$3]; next }
	/^#/ { next } { name = $1; sub(/\{.*/, "", name); plain = name; sub(/_(bucket|sum|count)$/, "", plain)
	if (!(name in told) && !(plain in told)) { print; bad = 1 } } END { exit bad }' metrics
described() { # by its family, or by its own name
	local name family
	sed -n 's/^# HELP \([a-z_]*\).*/\1/p' metrics | while read -r name; do
		family=$(cut -d_ -f1-2 <<<"$name")_
		grep -qE "\b($family|$name)( |$)" "$root/packaging/man/postern-http.7" || { echo "$name"; false; } || return
	done
}
verify "each family of metrics is in postern-http(7)" described
verify "metrics is well formed" awk '/^#/ { next } !/^[a-z_]+(\{[^}]*\})? [-+0-9.e]+(Inf)?$/ { print; bad = 1 } END { exit bad }' metrics
gw_stop
status=$?
verify "stops in order" test "$status" = 0
verify "no error in its log" sh -c "! grep -E ' error |runtime error|Sanitizer' gw.log"
finish
