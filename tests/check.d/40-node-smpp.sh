#!/bin/bash
# Applications and SMSCs by node-smpp on both sides of the gateway.
# timeout: 180
. tests/lib.sh
need "$OUT/postern"
verify "npm packages" tests/peers/setup
gateway=$(free_port) decimal=$(free_port) hex=$(free_port) breaking=$(free_port) http=$(free_port)

cat >"$SCRATCH/postern.conf" <<CONF
state = "state";
log = { level = "debug"; };
http = { listen = "127.0.0.1:$http"; };
listeners = ( { name = "esme"; type = "smpp"; listen = "127.0.0.1:$gateway";
  accounts = (
	{ system_id = "node"; password = "secret"; allow = [ "127.0.0.1" ]; max_binds = 8; window = 200; },
	{ system_id = "brief"; password = "secret"; allow = [ "127.0.0.1" ]; max_binds = 4; },
	{ system_id = "spread"; password = "secret"; allow = [ "127.0.0.1" ]; max_binds = 4; window = 200; },
	{ system_id = "other"; password = "secret"; allow = [ "127.0.0.1" ]; max_binds = 4; },
	{ system_id = "away"; password = "secret"; allow = [ "127.0.0.1" ]; max_binds = 4; },
	{ system_id = "single"; password = "secret"; allow = [ "127.0.0.1" ]; max_binds = 1; },
	{ system_id = "slow"; password = "secret"; allow = [ "127.0.0.1" ]; max_binds = 1; rate = 2.0; }
  ); } );
channels = (
	{ name = "decimal"; type = "smpp"; host = "127.0.0.1"; port = $decimal; system_id = "postern"; password = "secret"; window = 20; },
	{ name = "hex"; type = "smpp"; host = "127.0.0.1"; port = $hex; system_id = "postern"; password = "secret"; window = 20;
	  bind = "transceiver"; connections = 2; },
	{ name = "breaking"; type = "smpp"; host = "127.0.0.1"; port = $breaking; system_id = "postern"; password = "secret"; }
);
routes = (
	{ media = "sms"; to = "46*"; via = [ "decimal" ]; },
	{ media = "sms"; to = "47*"; via = [ "hex" ]; },
	{ media = "sms"; to = "48*"; via = [ "breaking" ]; }
);
CONF

chmod 600 "$SCRATCH/postern.conf"
smsc() { # NAME PORT ARGUMENTS...
	local name=$1 port=$2
	shift 2
	: >"$SCRATCH/$name.jsonl"
	node tests/peers/smsc.js --port "$port" --log "$SCRATCH/$name.jsonl" "$@" >"$SCRATCH/$name.log" 2>&1 &
	await 20 grep -q listening "$SCRATCH/$name.log" || fail "smsc.js ($name) does not start"
}
smsc decimal "$decimal"
smsc hex "$hex" --ids hex --receipts text
smsc breaking "$breaking" --receipts tlv

"$OUT/postern" -c "$SCRATCH/postern.conf" 2>"$SCRATCH/postern.log" &
daemon=$!
await 30 grep -qw ready "$SCRATCH/postern.log" || {
	fail "the gateway is not ready"
	tail -n 30 "$SCRATCH/postern.log"
	finish
}
node tests/peers/esme.js --port "$gateway" --far "$SCRATCH/decimal.jsonl,$SCRATCH/hex.jsonl,$SCRATCH/breaking.jsonl" ||
	{ failures=$((failures + 1)); grep -E 'error|warn' "$SCRATCH/postern.log" | tail -n 30; }

kill -TERM $daemon
wait $daemon
verify "the gateway stops as asked" test $? = 0
for name in decimal hex breaking; do
	verify "it unbound from $name" grep -q '"event":"unbind"' "$SCRATCH/$name.jsonl"
done
finish
