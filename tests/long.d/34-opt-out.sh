#!/bin/bash
# CO-5: a list of a million opt-outs is imported while messages are sent to the same numbers, through an
# account under policy = "marketing". Every row is there afterwards; whoever was on the list before their
# message was submitted gets none; and nothing waits for somebody on it.
# timeout: 1200
# flavours: plain
. tests/lib.sh
. tests/gateway.sh
n=${ROWS:-1000000} sends=${SENDS:-60000}
cat >gw.conf <<CONF
state = "state";
http = { listen = "127.0.0.1:$http"; tokens = ( { name = "ops"; token = "t-ops"; scopes = [ "members", "messages", "admin" ]; },
	{ name = "crm"; token = "t-crm"; policy = "marketing"; scopes = [ "messages" ]; } ); };
channels = ( { name = "n"; type = "null"; rate = 2000.0; receipts = true; } );
routes = ( { media = "sms"; via = [ "n" ]; } );
plugins = ( { name = "offers"; } );
CONF
echo 'policy = { default_clock = "UTC"; consent_default = "all"; };' >policy.conf
gw_start || exit 1
await $((10 * slow)) curl -fs "$base/readyz"
sql() { sqlite3 -readonly -cmd '.timeout 10000' state/postern.db "$1"; }
# the list goes up, the sends go up beside it, by a number that is now before, now behind
{ echo 'address,media,reason'; seq -f '+4670%07.0f,sms,list' 0 $((n - 1)); } >list.csv
"$OUT/posternsim" http --connect "127.0.0.1:$http" --token t-crm --connections 8 --rate 800 --count "$sends" \
	--json '{"media":"sms","to":"+46700{r:6}","text":"Sale {n}"}' >send.json 2>send.err &
load=$!
sleep 1
began=$(date +%s%N)
curl -sS -m 900 -X PUT -H 'Authorization: Bearer t-ops' -H 'Content-Type: text/csv' -T list.csv "$base/v1/suppressions" -o import.json
ended=$(date +%s%N)
jq -e ".rows == $n and .refused == 0" import.json >/dev/null && ok "CO-5: a million rows in $(((ended - began) / 1000000)) ms, while messages are sent" || fail "CO-5: $(head -c 300 import.json)"
wait "$load"
jq -e ".accepted == $sends" send.json >/dev/null && ok "CO-5: each submission was answered" || fail "CO-5: $(cat send.json)"
[ "$(sql 'SELECT count(*) FROM of_block')" = "$n" ] && ok "CO-5: each row is there" || fail "CO-5: $(sql 'SELECT count(*) FROM of_block') rows"
over() { [ "$(sql 'SELECT count(*) FROM msg LEFT JOIN st USING(id) WHERE coalesce(st.state, 0) = 0')" = 0 ] && [ "$(sql 'SELECT count(*) FROM of_deed')" = 0 ]; }
await 120 over || fail "CO-5: something still waits: $(sql 'SELECT count(*) FROM of_deed') deeds"
suppressed=$(sql "SELECT count(*) FROM msg JOIN st USING(id) WHERE sent_at IS NULL OR sent_at = 0")
sent_after=$(sql "SELECT count(*) FROM msg JOIN of_block b ON b.address = msg.dst JOIN st USING(id) WHERE b.at < msg.accepted AND coalesce(st.sent_at, 0) > 0")
[ "$sent_after" = 0 ] && ok "CO-5: nobody who was on the list before was written to" || fail "CO-5: $sent_after were written to"
[ "$suppressed" -gt 0 ] && [ "$(sql 'SELECT count(*) FROM msg JOIN st USING(id) WHERE st.sent_at > 0')" -gt 0 ] && ok "CO-5: some were sent before, others not at all" || fail "CO-5: $suppressed were not sent"
echo "      $suppressed of $sends were not sent; import and sends: $(jq -c '{rows, created, changed}' import.json)"
gw_stop
finish
