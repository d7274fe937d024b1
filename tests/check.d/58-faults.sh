#!/bin/bash
# The disk fails, is full, is slow to come back; connections fail; memory is gone: the gateway stops
# accepting in each protocol's own words, sends what it can, recovers by itself, and loses nothing.
# timeout: 240
# flavours: plain asan
. tests/lib.sh
. tests/gateway.sh
smpp=$(free_port) far=$(free_port)
cat >gw.conf <<CONF
state = "state";
shutdown_grace = "3s";
http = { listen = "127.0.0.1:$http"; tokens = ( { name = "shop"; token = "t-shop"; scopes = [ "admin" ]; } ); };
listeners = ( { name = "esme"; type = "smpp"; listen = "127.0.0.1:$smpp";
	accounts = ( { system_id = "shop"; password = "secret"; window = 50; max_binds = 8; } ); } );
channels = ( { name = "smsc"; type = "smpp"; host = "127.0.0.1"; port = $far; system_id = "p"; password = "p"; window = 20; } );
routes = ( { media = "sms"; via = [ "smsc" ]; } );
CONF
far_side() { # RECORD
	sim smsc --listen "127.0.0.1:$far" --quiet --codec fast --receipt-delay 5ms..50ms --record "$1" --control smsc.ctl
	far_pid=$sim_pid
}
# Its log goes through a pipe, for limits on files that are meant for the store alone.
gw_begin() { # [COMMAND...]: starts the daemon by it
	local before
	before=$(grep -c ' ready ' gw.log 2>/dev/null)
	chmod 600 gw.conf
	"$@" "$OUT/postern" -c gw.conf 2> >(exec cat >>gw.log) &
	gw_pid=$!
	await $((15 * slow)) gw_readier "${before:-0}" || { fail "the gateway did not get ready"; tail -n 20 gw.log; finish; }
}
ends() { # NAME: stops it, with status 0
	gw_stop
	verify "$1" test $? = 0
}
is_ready() { curl -fsS "$base/readyz"; }
is_not_ready() { ! curl -fsS "$base/readyz" 2>/dev/null; }
sms='{"media":"sms","from":"Shop","to":"+46700000001","text":"hej"}'
queue_is_empty() { ctl --json channel smsc | jq -se '.[0].queued | .high + .normal + .bulk == 0'; }
proved() { # ACCEPTED TAKEN MOST-REPEATS
	"$OUT/posternsim" prove --accepted "$1" --taken "$2" --most-repeats "$3"
}

# ---- a store that does not work at the start: status 2, and a sentence
FAULT=write:1 timeout 20 "$OUT/postern" -c gw.conf >start.log 2>&1
verify "a disk that fails at the start: status 2" test $? = 2
verify "it says what" grep -q 'cannot start.*postern.db' start.log
rm -rf state

# ---- one write or one sync fails, at any point
round=0
far_side taken1
for fault in fsync:20 fsync:40 write:150 write:500; do
	round=$((round + 1))
	gw_begin env FAULT=$fault
	verify "FAULT=$fault: all are taken in the end" "$OUT/posternsim" http --connect "127.0.0.1:$http" --token t-shop \
		--count 300 --rate 300/s --first $((round * 1000)) --retry --expect-accepted --record accepted1.$fault
	await $((20 * slow)) queue_is_empty
	verify "FAULT=$fault: it says so and recovers" sh -c "tail -n 400 gw.log | grep -q 'store recovered' && curl -fsS $base/readyz"
	ends "FAULT=$fault: ends in order"
done
cat accepted1.* >accepted1
sim_end "$far_pid"
verify "nothing was lost or sent twice" proved accepted1 taken1 0

# ---- for longer: what was accepted goes on as far as it is safe, nothing new comes in
far_side taken2
gw_begin
await $((10 * slow)) channel_has smsc '.health == "up"'
ctl channel hold smsc >/dev/null
verify "taken while all is well" "$OUT/posternsim" http --connect "127.0.0.1:$http" --token t-shop --count 100 --expect-accepted --record accepted2
id=$(submit "$sms")
prlimit --pid "$gw_pid" --fsize=4096:unlimited
expect "the disk fails: 503" 503 '.title and .status == 503' POST /v1/messages "$sms"
verify "with Retry-After" sh -c "curl -sS -D- -o /dev/null -H 'Authorization: Bearer t-shop' -d '$sms' $base/v1/messages | grep -qi '^Retry-After:'"
verify "readyz says so" await $((5 * slow)) is_not_ready
api GET /healthz
verify "healthz does not: it lives" answers 200
expect "in a batch each one is told" 200 'all(.[]; .status == 503)' POST /v1/messages "[$sms,$sms]"
"$OUT/posternsim" esme --connect "127.0.0.1:$smpp" --system-id shop --password secret --count 20 --drain 0s >esme.json 2>/dev/null
verify "SMPP: 0x08 for each" jq -e '.status == {"0x08":20}' esme.json
verify "what is there can be asked for" message_has "$id" '.state == "queued"'
verify "cancelling is refused at once, not held up" sh -c "[ \$(curl -sS -o /dev/null -w '%{http_code}' -m 5 -X DELETE -H 'Authorization: Bearer t-shop' $base/v1/messages/$id) = 503 ]"
ctl channel resume smsc >/dev/null
taken() { [ "$(wc -l <taken2)" -ge "$1" ]; }
verify "it sends on, as far as its window" await $((10 * slow)) taken 20
sleep 1
verify "and no further: what cannot be recorded might be sent twice" test "$(wc -l <taken2)" = 20
prlimit --pid "$gw_pid" --fsize=unlimited:unlimited
verify "the disk is back: ready again, without a restart" await $((15 * slow)) is_ready
verify "taken again" submit "$sms"
verify "all that waited is sent" await $((20 * slow)) queue_is_empty
verify "and becomes delivered" becomes "$id" delivered 20
verify "no credit is lost" await $((10 * slow)) channel_has smsc '.in_flight == 0'
verify "SMPP takes again" "$OUT/posternsim" esme --connect "127.0.0.1:$smpp" --system-id shop --password secret --count 50 --first 5000 \
	--expect-accepted --expect-receipts --record accepted3
ends "ends in order"
sim_end "$far_pid"
cat accepted2 accepted3 >accepted
verify "nothing was lost or sent twice, over all that" proved accepted taken2 0

# ---- stopped while the disk fails: what is on disk is there, at most a window is sent again
far_side taken4
gw_begin
ctl channel hold smsc >/dev/null
verify "taken" "$OUT/posternsim" http --connect "127.0.0.1:$http" --token t-shop --count 60 --first 7000 --expect-accepted --record accepted4
await $((10 * slow)) channel_has smsc '.health != "down"'
prlimit --pid "$gw_pid" --fsize=4096:unlimited
api POST /v1/messages "$sms"
ctl channel resume smsc >/dev/null
at_most_window() { [ "$(wc -l <taken4)" -ge 20 ]; }
await $((10 * slow)) at_most_window
ends "it ends although the disk fails"
gw_begin
verify "held, as the disk says" channel_has smsc '.health == "held"'
ctl channel resume smsc >/dev/null
verify "all is sent by the next one" await $((20 * slow)) queue_is_empty
ends "ends in order"
sim_end "$far_pid"
verify "nothing was lost; no more than a window came twice" proved accepted4 taken4 20

# ---- a disk that is really full (where we may make one)
if unshare -Urm true 2>/dev/null; then
	far_side taken5
	mkdir -p full
	sed 's|^state = .*|state = "full/state";|' gw.conf >gw.full && cp gw.conf gw.keep && cp gw.full gw.conf
	gw_begin unshare -Urm sh -c 'mount -t tmpfs -o size=40m none full && exec "$0" "$@"'
	inside() { nsenter --preserve-credentials -U -m -t "$gw_pid" --wdns="$SCRATCH" "$@"; }
	if inside true 2>/dev/null; then
		verify "on a small disk" submit "$sms"
		inside sh -c 'cat /dev/zero >full/ballast' 2>/dev/null
		refuses() { api POST /v1/messages "$sms"; [ "$code" = 503 ]; }
		verify "full: 503" await $((20 * slow)) refuses
		verify "in those words" answers 503 '.detail | test("full|failed")'
		verify "not ready" is_not_ready
		inside rm -f full/ballast
		verify "room again: ready, without a restart" await $((15 * slow)) is_ready
		verify "taken again" submit "$sms"
	fi
	ends "ends in order"
	cp gw.keep gw.conf
	sim_end "$far_pid"
fi

# ---- connections
far_side taken6
gw_begin env FAULT=connect:1
verify "the first connection fails: the next does not" await $((20 * slow)) channel_has smsc '.health == "up"'
verify "sent" becomes "$(submit "$sms")" delivered 20
gw_stop

# ---- memory: it ends at once, and the next one goes on
if [ "${FLAVOUR:-plain}" = plain ]; then
	for n in 3000 30000 60000; do
		before=$(grep -c ' ready ' gw.log)
		"$OUT/posternsim" http --connect "127.0.0.1:$http" --token t-shop --count 400 --rate 400/s --first $((20000 + n)) --reconnect --timeout 2s \
			--record accepted7.$n >/dev/null 2>&1 &
		load=$!
		FAULT=alloc:$n "$OUT/postern" -c gw.conf 2>>gw.log &
		gw_pid=$!
		for ((i = 0; i < 60; i++)); do
			kill -0 "$gw_pid" 2>/dev/null || break
			sleep 0.1
		done
		gw_kill 2>/dev/null # it may have had enough
		kill "$load" 2>/dev/null
		wait "$load" 2>/dev/null
		gw_begin
		verify "FAULT=alloc:$n: the next one sends what was taken" await $((20 * slow)) queue_is_empty
		gw_stop
	done
	sim_end "$far_pid"
	cat accepted7.* >accepted7
	verify "nothing of it was lost; repeats within the bound" proved accepted7 taken6 60
fi
verify "no bug was met" sh -c "! grep -E 'postern: bug|AddressSanitizer|runtime error' gw.log"
finish
