#!/bin/bash
# Members from outside: /v1/members, their consent and history, suppressions, CSV and NDJSON in bulk,
# posternctl members; merging and leaving.
# timeout: 120
. tests/lib.sh
. tests/gateway.sh

mkdir -p offers.d
cat >gw.conf <<EOF
state = "state";
country = "371";
shutdown_grace = "1s";
http = { listen = "127.0.0.1:$http";
	tokens = ( { name = "shop"; token = "t-shop"; scopes = [ "members", "events", "messages" ]; },
		{ name = "till"; token = "t-till"; scopes = [ "events" ]; },
		{ name = "ops"; token = "t-ops"; scopes = [ "members", "admin", "messages" ]; } ); };
channels = ( { name = "n"; type = "null"; receipts = true; },
	{ name = "m"; type = "smtp"; host = "127.0.0.1"; port = $(free_port); } ); # nobody listens there
mail = { hostname = "gw.example"; secret = "a secret of these tests"; };
routes = ( { media = "sms"; via = [ "n" ]; }, { media = "email"; via = [ "m" ]; } );
plugins = ( { name = "offers"; } );
EOF
cat >policy.conf <<EOF
policy = { default_clock = "Europe/Riga"; read_only = [ "System" ]; from = { email = "shop@shop.example"; }; };
EOF
cat >offers.d/thanks.conf <<'EOF'
templates = { thanks = { en = { sms = "Thank you, ${Member.first_name}, for ${Amount:number}";
	email = { subject = "For ${Member.first_name}"; text = "Dear ${Member.first_name}, a parcel of ${Amount:number}"; }; }; }; };
offer = { name = "thanks"; kind = "service"; when = "purchase.completed"; only_if = "event.total == 77.31"; actions = (
	{ do = "send"; template = "thanks"; via = "sms"; }, { do = "send"; template = "thanks"; via = "email"; } ); };
EOF
cat >offers.d/members.conf <<EOF
members = { attributes = { city = "text"; children = "int"; tags = "list of text"; };
	statuses = [ "tier" ]; };
EOF
gw_start

# ---- one member
expect "a member is made" 201 '.created == 1' POST /v1/members '{"id":"1001","phone":"+37120000001",
	"email":"Ann@Example.COM","first_name":"Ann","birthday":"1980-02-29","zone":"Europe/Riga",
	"status":"gold","cards":["77"],"attributes":{"city":"Riga","children":2,"tags":["a","b"]},
	"consent":{"Advertisement":{"sms":true}},"proof":"form 7"}'
expect "and shown" 200 '.state == "registered" and .birthday == "1980-02-29" and .statuses.tier == "gold"
	and .attributes == {city:"Riga",children:2,tags:["a","b"]} and .cards == ["77"]
	and ([.contacts[].value] | sort) == ["37120000001","Ann@example.com"]' GET /v1/members/1001
for name in card:77 phone:%2B37120000001 phone:37120000001 email:Ann@EXAMPLE.com number:1; do
	expect "found as $name" 200 '.id == "1001"' GET "/v1/members/$name"
done
expect "PATCH changes what it says" 200 '.last_name == "B" and .first_name == "Ann" and (.attributes | has("city") | not)' \
	PATCH /v1/members/1001 '{"last_name":"B","attributes":{"city":null}}'
expect "PUT is the whole" 200 '.first_name == "Ann" and (has("last_name") or has("cards") or has("attributes") | not)
	and .contacts == []' PUT /v1/members/1001 '{"first_name":"Ann"}'
expect "PUT makes one" 201 '.id == "2001"' PUT /v1/members/2001 '{"phone":"+37120000001"}'
expect "PATCH does not" 404 .detail PATCH /v1/members/3001 '{"first_name":"X"}'
expect "another id than the path's" 409 .detail PUT /v1/members/1001 '{"id":"x"}'
expect "a fault names its field" 422 '.errors[0].pointer == "#/zone"' PATCH /v1/members/1001 '{"zone":"Riga"}'
expect "a typo is asked about" 422 '.detail | test("did you mean .phone")' POST /v1/members '{"id":"9","phon":"1"}'
expect "nobody" 404 .detail GET /v1/members/none
token=t-till
expect "a till's token may not" 403 '' GET /v1/members/1001
token=t-shop

# ---- consent
expect "consent is a matrix" 200 '.consent.Advertisement.sms.granted and (.consent.Advertisement.email.granted | not)
	and .history[0].proof == "form 7"' GET /v1/members/1001/consent
expect "CO-3 read-only is not changed" 403 .detail PUT /v1/members/1001/consent '{"consent":{"System":{"sms":false}}}'
expect "a channel off" 200 '.consent.off == ["email"]' PUT /v1/members/1001/consent '{"consent":{"*":{"email":false}}}'
expect "force is for operators" 403 .detail PUT "/v1/members/1001/consent?force=1" '{"consent":{"System":false}}'
token=t-ops
expect "who may" 200 '.history[0].by == "ops"' PUT "/v1/members/1001/consent?force=1" '{"consent":{"System":false}}'
token=t-shop

# ---- many
printf 'id,phone,city,consent.Advertisement.sms\n' >many.csv
for i in $(seq 1 1500); do printf 'M%d,+3712100%04d,"Riga, old",true\n' "$i" "$i"; done >>many.csv
printf 'bad,12,,\nshort\n' >>many.csv
api POST /v1/members @many.csv -H 'Content-Type: text/csv'
verify "CSV: good rows are kept, faults named by line" answers 200 '.rows == 1502 and .created == 1500 and .refused == 2
	and .faults[0].line == 1502 and .faults[0].field == "phone" and .faults[1].line == 1503'
expect "with their attributes" 200 '.attributes.city == "Riga, old"' GET /v1/members/M1500
api POST /v1/members $'id,cty\n1,x\n' -H 'Content-Type: text/csv'
verify "an unknown column refuses the whole" answers 422 '.detail | test("cty.*city")'
api POST /v1/members $'{"id":"N1"}\n{"id":2,"state":"gone"}\n{"id":"N3"}\n' -H 'Content-Type: application/x-ndjson'
verify "NDJSON" answers 200 '.created == 2 and .faults[0].line == 2 and .faults[0].field == "state"'
expect "an array" 200 '.created == 1 and .changed == 1' POST /v1/members '[{"id":"N1","language":"lv"},{"id":"N4"}]'
says() { # TEXT VERB...
	local want=$1 said
	shift
	said=$(ctl "$@" 2>&1)
	[[ $said == *"$want"* ]] || { echo "$said"; return 1; }
}
verify "posternctl imports" says "1502 rows: 0 new, 1500 changed, 2 refused" members import many.csv
verify "and names the faults" says "line 1502: phone: is not a phone number" members import many.csv
verify "posternctl shows" says "value=37121000007" members show M7
verify "posternctl finds" says "id=M7" members find +37121000007
verify "posternctl says nobody" says "no such member" members show none
verify "posternctl turns a channel off" says "viber is turned off" members consent M7 '*' viber off

# ---- suppressions
expect "suppressed" 200 '.created == 2 and .changed == 0 and .refused == 1' PUT /v1/suppressions '[{"address":"+37121000001","media":"sms","reason":"asked"},
	{"address":"a@b.example","media":"email"},{"address":"x","media":"sms"}]'
expect "listed" 200 '[.suppressions[].address] == ["37121000001","a@b.example"]' GET /v1/suppressions
expect "asked for one" 200 '.suppressions[0].reason == "asked"' GET "/v1/suppressions?address=%2B37121000001"
expect "said again, with what proves it" 200 '.created == 0 and .changed == 1' PUT /v1/suppressions '{"address":"+37121000001","media":"sms","proof":"letter 7"}'
expect "shown" 200 '.suppressions[0].proof == "letter 7"' GET "/v1/suppressions?address=%2B37121000001"
expect "lifted" 200 '' DELETE "/v1/suppressions?media=sms&address=%2B37121000001"
expect "once" 404 .detail DELETE "/v1/suppressions?media=sms&address=%2B37121000001"

# ---- what happened; merging; leaving
expect "an event" 200 '.duplicate == false' POST /v1/events '{"id":"e1","type":"purchase.completed","source":"pos",
	"occurred_at":"2026-01-01T00:00:00Z","member":{"id":"M1"},"receipt":"r1","data":{"total":10}}'
has_event() {
	api GET /v1/members/M1/events
	answers 200 '.events[0].type == "purchase.completed" and .events[0].id == "e1"'
}
verify "is in the history" await 10 has_event
expect "messages" 200 '.messages == []' GET /v1/members/M1/messages
expect "merged" 200 '.id == "M1" and (.contacts | length) == 2' POST /v1/members/M2/merge '{"into":"M1"}'
expect "both names lead there" 200 '.id == "M1"' GET /v1/members/M2
expect "one already" 409 .detail POST /v1/members/M2/merge '{"into":"M1"}'
expect "leaves" 200 '.state == "left"' DELETE /v1/members/M1
expect "and is gone" 404 .detail GET /v1/members/M1
expect "by all names" 404 .detail GET /v1/members/phone:%2B37121000001

# ---- nothing of who left is anywhere: one message was delivered, one waits for a server that is away
expect "somebody" 201 '' POST /v1/members '{"id":"L1","first_name":"Margareta","phone":"+37129876543","email":"margareta@users.example",
	"consent":{"*":{"sms":true,"email":true}},"cards":["card-4455"]}'
buy='{"id":"buy","type":"purchase.completed","source":"pos","member":{"card":"card-4455"},"data":{"total":77.31,"note":"Margareta"}}'
expect "is written to" 200 '(.queued | length) == 2' POST /v1/events "$buy"
told=$(jq -r '.queued[0]' <<<"$body") waiting=$(jq -r '.queued[1]' <<<"$body")
expect "says something" 202 '' POST /v1/events '{"id":"link","type":"contact.linked","source":"crm","member":{"id":"L1"},
	"data":{"kind":"phone","value":"+37129876544","verified":false}}'
verify "by telephone" becomes "$told" delivered
verify "by mail, in vain" becomes "$waiting" queued
verify "the state has it" grep -qa 37129876543 state/postern.db state/postern.db-wal
expect "leaves, and what waits is taken back" 200 '.state == "left" and .removed == 1' DELETE /v1/members/L1
erased() { message_has "$1" ".erased and .state == \"$2\" and (has(\"to\") or has(\"text\") or has(\"words\") | not)"; }
verify "what was delivered is empty" await $((20 * slow)) erased "$told" delivered
verify "what was taken back, too" await $((20 * slow)) erased "$waiting" cancelled
token=t-ops
expect "as the API says" 200 '.erased and .state == "delivered" and (has("to") or has("text") | not)' GET "/v1/messages/$told"
expect "nothing is found by the number" 200 '.messages == []' GET "/v1/messages?to=%2B37129876543"
token=t-shop
expect "its event, sent again, is known" 200 '.duplicate and .queued == []' POST /v1/events "$buy"
gw_stop
nowhere() { # in the whole state
	local word
	for word in 3712987654 margareta Margareta card-4455 parcel 77.31; do
		! grep -rlaF -- "$word" state || { echo "$word is there"; return 1; }
	done
}
verify "and in no file of the state" nowhere
gw_start
expect "members outlive it" 200 '.id == "M3"' GET /v1/members/M3
gw_stop
verify "stops" [ $? = 0 ]
finish
