#!/bin/bash
# A subscriber's STOP and START, as they come from an SMSC: whom they concern, and what follows for the
# offers' own messages and for an account that is under the policy.
. tests/lib.sh
. tests/gateway.sh
sim smsc --listen 127.0.0.1:0 --port-file port --control smsc.sock --quiet --codec fast --receipt-delay 5ms --record taken
await $((5 * slow)) test -s port
cat >gw.conf <<CONF
state = "state";
http = { listen = "127.0.0.1:$http"; tokens = ( { name = "shop"; token = "t-shop"; scopes = [ "events", "members", "messages", "admin" ]; },
	{ name = "crm"; token = "t-crm"; policy = "marketing"; scopes = [ "messages" ]; } ); };
channels = ( { name = "smsc"; type = "smpp"; host = "127.0.0.1"; port = $(cat port); system_id = "p"; password = "x"; } );
routes = ( { media = "sms"; via = [ "smsc" ]; } );
plugins = ( { name = "offers"; } );
CONF
cat >policy.conf <<'CONF'
policy = { default_clock = "UTC"; consent_default = "all"; unverified = true; stop_words = [ "STOP", "СТОП" ]; start_words = [ "START" ]; };
templates = { news = { en = { sms = "News for ${Member.id}"; }; }; };
offers = ( { name = "news"; kind = "marketing"; when = "form.completed"; actions = ( { do = "send"; template = "news"; via = "sms"; } ); } );
CONF
gw_start
up() { channel_has smsc '.health == "up"'; }
await $((10 * slow)) up || fail "the SMSC is not bound"
mo() { "$OUT/posternsim" control smsc.sock mo "$1" >/dev/null; }
tell() { # MEMBER: an event of theirs that sends news
	api POST /v1/events "{\"id\":\"$(date +%s%N)\",\"type\":\"form.completed\",\"member\":\"$1\",\"data\":{\"section\":\"s\"}}"
}
silent() { tell "$1"; answers 202 '.queued == []'; }
heard() { tell "$1"; answers 202 '.queued | length == 1'; }

# Two share a number, one has another.
for who in "anna 46700000001" "bert 46700000001" "cora 46700000003"; do
	set -- $who
	api PUT "/v1/members/$1" "{\"phone\":\"+$2\",\"state\":\"registered\"}"
done
verify "news go out to all of them" eval 'heard anna && heard bert && heard cora'
verify "a word that is none changes nothing" eval 'mo "from=46700000001,to=1234,text=do not stop" && await 5 channel_has smsc ".mo == 1" && heard anna'
mo 'from=46700000001,to=1234,text= stop'
verify "STOP is for both owners of the number" eval 'await $((10 * slow)) silent anna && silent bert'
verify "and for nobody else" heard cora
mo 'from=46700000003,to=1234,ucs2,text=стоп'
verify "in Cyrillic, too" await $((10 * slow)) silent cora
verify "it is a member's no, with its proof" eval 'api GET /v1/members/anna/consent; answers 200 "[.. | objects | .by? // empty] | any(test(\"stop|mo\"; \"i\"))"'
id=$(as t-crm submit '{"media":"sms","from":"Shop","to":"+46700000001","text":"Sale"}')
verify "an account under the policy is held to it" becomes "$id" suppressed
id=$(submit '{"media":"sms","from":"Shop","to":"+46700000001","text":"Your code is 1"}')
verify "another is not" becomes "$id" delivered
mo 'from=46700000001,to=1234,text=START'
verify "START takes it back" await $((10 * slow)) heard anna
verify "for both" heard bert
verify "and not for who stopped elsewhere" silent cora
id=$(as t-crm submit '{"media":"sms","from":"Shop","to":"+46700000001","text":"Sale"}')
verify "the account's goes out again" becomes "$id" delivered
gw_stop || fail "stops with status $?"
verify "nothing left that was stopped" test "$(awk -F'\t' '$4 == "46700000003"' taken | wc -l)" = 2
finish
