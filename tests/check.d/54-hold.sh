#!/bin/bash
# on_uncertain = "hold": only what may have been taken waits for the operator, not what was
# throttled, nor what waited when the connection went.
# timeout: 120
. tests/lib.sh
. tests/gateway.sh
esme=$(free_port) smsc=$(free_port)
cat >gw.conf <<CONF
state = "state";
log = { level = "debug"; };
http = { listen = "127.0.0.1:$http"; tokens = ( { name = "shop"; token = "t-shop"; scopes = [ "messages", "admin" ]; } ); };
channels = ( { name = "paid"; type = "smpp"; host = "127.0.0.1"; port = $smsc; system_id = "postern"; password = "p";
	on_uncertain = "hold"; window = 5; retry_first = "100ms"; reconnect_first = "100ms"; } );
routes = ( { media = "sms"; via = [ "paid" ]; } );
CONF
load() { # FIRST COUNT: a message to each of so many numbers; sets ids
	local list="" i
	for ((i = $1; i < $1 + $2; i++)); do
		list+="{\"media\":\"sms\",\"from\":\"Shop\",\"to\":\"+467000$i\",\"text\":\"hold $i\"},"
	done
	api POST /v1/messages "[${list%,}]"
	mapfile -t ids < <(jq -r '.[].id' <<<"$body")
	verify "$2 messages are accepted" [ "${#ids[@]}" = "$2" ]
}
all_are() { # STATE
	local id
	for id in "${ids[@]}"; do is_state "$id" "$1" || return 1; done
}
sim smsc --listen "127.0.0.1:$smsc" --throttle 10 --receipt-delay 10ms --quiet
gw_start
load 1000 40 # through an SMSC that throttles
verify "all are delivered, none is held" await $((40 * slow)) all_are delivered
verify "it has throttled" bash -c "curl -sS $base/metrics | grep 'postern_channel_throttled_total{channel=\"paid\"} [1-9]'"
verify "none was called uncertain" bash -c '! grep -q " held " gw.log'
# throttled, then killed: what waited was not being sent
sim_end
sim smsc --listen "127.0.0.1:$smsc" --error 0x58:1 --quiet
verify "the channel is bound again" await $((20 * slow)) channel_has paid '.. | objects | select(has("bound")) | .bound == 1'
load 2000 5
sleep 1
gw_kill
sim_end
sim smsc --listen "127.0.0.1:$smsc" --receipt-delay 10ms --quiet
gw_start
verify "after a kill what was only waiting goes out" await $((20 * slow)) all_are delivered
gw_stop
finish
