#!/bin/bash
# What operators and submitters ask of the offers plugin, at the real daemon: stories that fail, what a
# member has, why somebody was or was not written to.
# timeout: 120
. tests/lib.sh
. tests/gateway.sh
cat >gw.conf <<CONF
state = "state";
shutdown_grace = "1s";
http = { listen = "127.0.0.1:$http"; tokens = ( { name = "shop"; token = "t-shop"; scopes = [ "events", "members", "messages", "admin" ]; },
	{ name = "crm"; token = "t-crm"; policy = "marketing"; scopes = [ "messages" ]; } ); };
channels = ( { name = "n"; type = "null"; receipts = true; }, { name = "net"; type = "null"; receipts = true; } );
routes = ( { media = [ "sms", "push" ]; via = [ "n" ]; }, { media = "social"; via = [ "net" ]; } );
plugins = ( { name = "offers"; } );
CONF
open_at=$(date -u -d '2 hours' +%H:%M) # until then it is quiet in Germany
platform=$(free_port) # nobody listens there for now
echo secret >ledger.secret
chmod 600 ledger.secret
cat >policy.conf <<CONF
ledger = { webhook = "http://127.0.0.1:$platform/"; webhook_secret_file = "ledger.secret"; webhook_private = true; };
members = { statuses = [ "tier" ]; };
policy = { default_clock = "UTC"; consent_default = "all"; unverified = true;
  marketing = { max = [ "1 per day" ]; }; countries = ( { prefix = "49"; quiet = [ "$(date -u -d '1 hour ago' +%H:%M)-$open_at" ]; } ); };
audiences = { tyre = { is = "member.status == 'gold'"; }; };
templates = { hello = { en = { sms = "Hello."; }; }; social = { en = { social = { text = "Hi."; moderated_as = "VK-1"; }; }; }; };
CONF
moderation() { echo "moderation = { VK-1 = { state = \"$1\"; }; };" >offers.d/moderation.conf; }
mkdir offers.d
moderation approved
cat >offers.d/social-parked.conf <<'CONF'
offer = { name = "joined"; kind = "service"; when = "social.joined"; actions = ( { do = "send"; template = "social"; via = "social"; } ); };
CONF
cat >offers.d/tier.conf <<'CONF'
offer = { name = "tier"; kind = "service"; when = "form.completed"; actions = ( { do = "status"; system = "tier"; value = "gold"; } ); };
CONF
stories() { # STORY: of the offer "hi"
	cat >offers.d/hi.conf <<CONF
offer = { name = "hi"; kind = "service"; when = "registration.completed"; unless = "purchase.completed"; then = "stop";
  steps = ( { after = "1 day"; send = "hello"; via = "sms"; } );
  stories = ( "day 0 registration.completed; day 1 expect hello", "$1" ); };
CONF
}
status_of() { # STATUS COMMAND...: it ends so; what it says is in `said` and `errors`
	local want=$1 got
	shift
	said=$("$@" 2>errors)
	got=$?
	[ "$got" = "$want" ] || { echo "status $got, not $want: $said $(cat errors)"; return 1; }
}
try() { # NAME STATUS COMMAND...
	local name=$1
	shift
	status_of "$@" >problem && ok "$name" || { fail "$name"; cat problem; }
}
stories "day 0 registration.completed; day 0 expect nothing"
gw_start

# ---- stories
try "stories that come true" 0 ctl offers test
stories "day 0 registration.completed; day 0 expect hello"
try "one that fails is status 1" 1 ctl offers test
[[ $said == *"ok   hi 1:"*"FAIL hi 2:"* && $(<errors) == "posternctl: 1 of 2 stories failed" ]] && ok "with what was told, and how many" || fail "said: $said, $(<errors)"
try "in JSON, too" 1 ctl --json offers test hi
jq -e 'map(.ok) == [true, false]' <<<"$said" >/dev/null && [[ $(<errors) == *"1 of 2 stories failed" ]] && ok "which is whole" || fail "said: $said, $(<errors)"
try "a simulated story that fails" 1 ctl offers simulate "day 0 registration.completed; day 1 expect nothing"
try "and one that does not" 0 ctl offers simulate "day 0 registration.completed; day 1 expect hello"
try "an offer as a picture" 0 ctl offers picture hi
/usr/bin/python3 -c 'import sys, xml.dom.minidom as x; print(x.parseString(sys.stdin.read()).documentElement.tagName)' <<<"$said" >root 2>errors
[ "$(cat root)" = svg ] && ok "which is well-formed" || fail "it is not: $(<errors) $said"
for words in "picture tire" "test tire" "why ann tire" "why-not ann tire" "audience tire" "render hallo"; do
	try "a name that is mistyped: $words" 1 ctl offers $words
	grep -Eq 'did you mean "(tier|hello|tyre)"\?$' errors && ok "what may be meant" || fail "it says $(<errors)"
done
try "postern -t" 1 "$OUT/postern" -t -c gw.conf
grep -q '^offers.d/hi.conf:[0-9]*: .*1 of 2 stories failed$' errors && ok "says how many" || fail "it says $(<errors)"
try "a reload is refused" 1 ctl reload
grep -q '1 of 2 stories failed' errors && ok "and says how many" || fail "it says $(<errors)"

# ---- what a member has
stories "day 0 registration.completed; day 0 expect nothing"
expect "points come with events" 200 '' POST /v1/events '{"id":"b1","type":"bonus.calculated","member":"ann","occurred_at":"2026-01-01T00:00:00Z",
	"data":{"amount":30,"currency":"bonus","lots":[{"id":"L1","amount":10},{"id":"L2","amount":"20.5","activates_at":"2096-01-01T00:00:00Z","expires_at":"2097-01-01T00:00:00Z"}]}}'
expect "a member has balances and lots" 200 '.balances == [{currency:"bonus",amount:"10"}] and .lots == [
	{lot:"L2",currency:"bonus",amount:"20.5",left:"20.5",state:"scheduled",activates_at:"2096-01-01T00:00:00.000Z",expires_at:"2097-01-01T00:00:00.000Z"},
	{lot:"L1",currency:"bonus",amount:"10",left:"10",state:"active",activates_at:null,expires_at:null}]' GET /v1/members/ann
try "posternctl shows them, too" 0 ctl members show ann
grep -q 'currency=bonus  amount=10$' <<<"$said" && grep -q 'lot=L1 .* state=active' <<<"$said" && ok "in words" || fail "it shows $said"

# ---- slips in events, platforms' own names, rows of suppressions, what goes through a subscription
expect "a platform's own name, and slips" 200 '' POST /v1/events '{"id":"o1","type":"Purchase Completion","member":{"id":"ann","frist_name":"Ann","zone":"Riga"},
	"data":{"totl":5,"colour":"red"}}'
try "offers fields" 0 ctl offers fields
[ "$(grep -c '^purchase.completed ' <<<"$said")" = 3 ] && grep -q 'data.totl: is "total" meant?  (1 times' <<<"$said" && grep -q 'member/frist_name is not known here; did you mean "first_name"' <<<"$said" &&
	grep -q 'member/zone' <<<"$said" && ok "says what was passed over" || fail "it says $said"
[ "$(metric postern_offers_odd_fields_total)" = 3 ] && [ "$(grep -c 'field of an event is passed over' gw.log)" = 3 ] && ok "which is counted and logged" || fail "$(metric postern_offers_odd_fields_total) $(grep passed gw.log)"
try "suppressed for a row" 0 ctl suppressions add sms +46700000077 Advertisement
try "lifted for another" 1 ctl suppressions remove sms +46700000077 System
try "and as a whole" 1 ctl suppressions remove sms +46700000077
try "lifted for that row" 0 ctl suppressions remove sms +46700000077 advertisement
try "no such row" 1 ctl suppressions add sms +46700000077 Advert
try "subscriptions" 0 ctl members consent ann
grep -q '^Advertisement  *all\* ' <<<"$said" && ok "say what goes through" || fail "they say $said"
ctl members consent ann Advertisement sms off >/dev/null
ctl members consent ann System email off >/dev/null
try "what was refused" 0 ctl members consent ann
grep -q '^Advertisement  *serv\. ' <<<"$said" && grep -q '^System  *all\*  *no ' <<<"$said" && ok "does not" || fail "they say $said"
expect "in JSON" 200 '.consent.Advertisement.sms | .granted == false and .default == false and .marketing == false and .service' GET /v1/members/ann/consent

# ---- what policy says to other senders, asked beforehand
sms() { printf '{"media":"sms","to":"%s","text":"Sale!"%s}' "$1" "${2:+,$2}"; }
token=t-crm
for i in 1 2; do # asking does not use up the cap
	expect "dry_run under policy: it would go ($i)" 200 '.dry_run and .channel == "n" and .state == "queued" and (has("reason") or has("due_at") | not)' \
		POST /v1/messages "$(sms +46700000001 '"dry_run":true')"
done
expect "it goes" 202 .id POST /v1/messages "$(sms +46700000001)"
expect "dry_run: the cap is reached" 200 '.state == "suppressed" and .reason == "cap" and (.words | test("1 per day"))' POST /v1/messages "$(sms +46700000001 '"dry_run":true')"
expect "dry_run: the hours hold it" 200 '.state == "queued" and .reason == "quiet_hours" and (.due_at > (now | todate))' POST /v1/messages "$(sms +49700000001 '"dry_run":true')"
expect "dry_run: and it is over by then" 200 '.state == "expired"' POST /v1/messages "$(sms +49700000001 '"dry_run":true,"valid_for":"20s"')"
id=$(submit "$(sms +49700000001 '"valid_for":"20s"')")
as t-shop verify "QH-5: so it ends, too" message_has "$id" '.state == "expired" and .reason == "expired"'
as t-shop expect "somebody asks for peace" 200 '.created == 1' PUT /v1/suppressions '[{"address":"+46700000002","media":"sms"}]'
expect "dry_run: suppressed" 200 '.state == "suppressed" and .reason == "suppression"' POST /v1/messages "$(sms +46700000002 '"dry_run":true')"
why() { # NAME ID WANTED...: what `offers why` says of a message
	local name=$1 id=$2 word
	shift 2
	said=$(ctl offers why "$id" 2>&1) || { fail "$name: $said"; return; }
	for word; do [[ $said == *"$word"* ]] || { fail "$name: no \"$word\" in: $said"; return; }; done
	ok "$name"
}
id=$(submit "$(sms +46700000001)")
why "why a message of another sender was not sent" "$id" "of http/crm, sms to 46700000001" 'suppressed: the recipient has had as many' \
	'NO   cap            "1 per day": 1 of 1' "yes  suppression"
id=$(submit "$(sms +46700000002)")
why "and one that is suppressed" "$id" "NO   suppression    import by shop at" "What stands in the way: suppression"
id=$(submit "$(sms +49700000001)")
why "and one that waits" "$id" "queued until" "NO   hours" "quiet until"
id=$(as t-shop submit "$(sms +46700000003)")
why "and one that nobody was asked about" "$id" "none is asked about what http/shop submits"
ctl --json offers why "$id" | jq -e --arg id "$id" '.message == $id and .obstacle == null' >/dev/null && ok "in JSON, too" || fail "JSON: $(ctl --json offers why "$id")"
try "there is no such message" 1 ctl offers why 12345
as t-shop api POST /v1/events '{"id":"r1","type":"registration.completed","source":"crm","member":"eve"}'
as t-shop api POST /v1/events '{"id":"p1","type":"purchase.completed","source":"pos","member":"eve"}'
try "why-not names the event that disarmed" 0 ctl offers why-not eve hi
grep -q '^NO   chain .* disarmed .* by purchase.completed (id p1 of pos)$' <<<"$said" && ok "with its id" || fail "it says $said"
try "why of nobody" 1 ctl offers why nobody hi

# ---- what was told
try "events" 0 ctl events
[ "$(awk '{ print $3 }' <<<"$said" | head -2 | tr '\n' ' ')" = "pos/p1 crm/r1 " ] && ok "the newest first" || fail "they are $said"
try "events of a type, a source, a member" 0 ctl --json events --type purchase.completed --source pos --member eve --since 1h
jq -e 'length == 1 and (.[0] | .id == "p1" and .member == "eve" and .state == "worked_on" and .removed == 0)' <<<"$said" >/dev/null && ok "are those" || fail "they are $said"
try "and only so many" 0 ctl --json events --limit=1
[ "$(jq length <<<"$said")" = 1 ] && ok "which is one" || fail "they are $said"
try "one event" 0 ctl --json events crm/r1
jq -e '.type == "registration.completed" and .event.id == "r1" and (.offers | length) == 1 and .messages == []' <<<"$said" >/dev/null && ok "with what came of it" || fail "it is $said"
try "in words" 0 ctl events p1
grep -q '^state  *worked_on$' <<<"$said" && ok "a field a line" || fail "it says $said"
try "no such event" 1 ctl events crm/nothing
try "no such type" 1 ctl events --type purchase.complete
grep -q 'did you mean "purchase.completed"' errors && ok "says which is meant" || fail "it says $(<errors)"
try "no such member" 1 ctl events --member nobody
[ "$(sqlite3 -readonly state/postern.db 'SELECT count(*) FROM of_touch')" = 2 ] && ok "and nothing but what was sent is counted" || fail "more is counted"

token=t-shop
# ---- CH-3: a network takes its approval back while a message waits
ctl channel hold net >/dev/null
api POST /v1/events '{"id":"s1","type":"social.linked","member":{"id":"soc","phone":"+46700000055"},"data":{"provider":"vk","profile":"p"}}'
api POST /v1/events '{"id":"s2","type":"social.joined","member":"soc","data":{"provider":"vk","group":"g"}}'
id=$(jq -r '.queued[0]' <<<"$body")
moderation revoked
verify "the reload is taken" ctl reload
ctl channel resume net >/dev/null
parked() { message_has "$id" '.state == "queued" and .reason == "moderation" and .waits_for == "policy" and (.words | test("VK-1 is revoked"))'; }
verify "CH-3: what waits is parked, and says why" await $((10 * slow)) parked
api POST /v1/events '{"id":"s3","type":"social.joined","member":"soc","data":{"provider":"vk","group":"h"}}'
[ "$(jq -c .queued <<<"$body")" = "[]" ] && ok "CH-3: and nothing new is made" || fail "made: $body"

# ---- a platform that does not listen: a line when it begins, one when it has ended
for i in 1 2 3; do api POST /v1/events "{\"id\":\"f$i\",\"type\":\"form.completed\",\"member\":\"m$i\"}"; done
fails() { grep -c 'platform does not take commands' gw.log; }
waiting() { sqlite3 -readonly state/postern.db "SELECT count(*) FROM of_deed WHERE kind = 3 AND attempts >= $1"; }
tried_twice() { [ "$(waiting 2)" = 3 ]; }
await $((20 * slow)) tried_twice || fail "commands are not tried again"
api POST /v1/events '{"id":"f4","type":"form.completed","member":"m4"}'
[ "$(waiting 0)" = 4 ] && ok "a fourth waits" || fail "$(waiting 0) wait"
expect "its member leaves" 200 '.state == "left"' DELETE /v1/members/m4
of_three() { [ "$(waiting 0)" = 3 ]; }
await $((20 * slow)) of_three && ok "and the platform is not told of them any more" || fail "$(waiting 0) wait"
[ "$(fails)" = 1 ] && ok "a platform that is away costs one line" || fail "$(fails) lines: $(grep platform gw.log)"
sim webhook --listen "127.0.0.1:$platform" --secret secret --fail-first 1 >webhook.log
all_told() { [ "$(waiting 0)" = 0 ]; }
await $((30 * slow)) all_told || fail "the platform was not told"
[ "$(fails)" = 1 ] && [ "$(grep -c 'platform takes commands again failed=[1-9]' gw.log)" = 1 ] && ok "and one when it is back" || fail "$(grep platform gw.log)"
api POST /v1/events '{"id":"f9","type":"form.completed","member":"m9"}'
all_told_again() { all_told && [ "$(metric postern_offers_commands_total)" = 4 ]; }
await $((20 * slow)) all_told_again && [ "$(grep -c 'platform' gw.log)" = 2 ] && ok "nothing is said of what goes well" || fail "$(grep platform gw.log) $(metric postern_offers_commands_total)"
sim_end
gw_stop
finish
