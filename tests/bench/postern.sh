#!/bin/bash
# One measurement of Postern; a line of JSON on stdout.
# Usage: tests/bench/postern.sh MODE [MESSAGES]
#   smpp      SMPP to SMPP with receipts: 4 binds in, 4 out, windows of 500
#   http      POST /v1/messages, one each, to SMPP with receipts
#   ndjson    the same in batches of 100
#   lossy     smpp with one receipt in five never coming
#   latency   time to accept at 1,000 messages/s (MESSAGES / 1000 seconds)
#   backlog   smpp beside BACKLOG messages (5,000,000) that wait for a channel which is down; then a restart
#   idle      memory that 1,000 idle binds cost
# Every message is on disk before its answer; the state lies in BENCH_DIR (build/bench.d), on a disk
# whose time to sync is given with each figure. BINDS and WINDOW change the load.
cd "$(dirname "$0")/../.." || exit 2
. tests/bench/lib.sh
mode=${1:?usage: tests/bench/postern.sh smpp|http|ndjson|lossy|latency|backlog|idle [MESSAGES]}
binds=${BINDS:-4} window=${WINDOW:-500} backlog=${BACKLOG:-5000000}
postern=$OUT/postern
for program in "$postern" "$sim"; do [ -x "$program" ] || die "$program has not been built"; done
dir=$(realpath -m "${BENCH_DIR:-$OUT/bench.d}")/$mode.$$
mkdir -p "$dir" || exit 2
trap 'keep_log "$dir"; stop_all; rm -rf "$dir"' EXIT

sync_ms() { # what this disk takes for one synced write of 4 KiB
	local s
	s=$(dd if=/dev/zero of="$dir/sync" bs=4k count=200 oflag=dsync 2>&1 | sed -n 's/.*, \([0-9.e-]*\) s,.*/\1/p')
	rm -f "$dir/sync"
	awk -v s="$s" 'BEGIN {printf "%.3f", s * 1000 / 200}'
}
receipts=
[ "$mode" = lossy ] && receipts="--receipts delivrd=0.8,none=0.2"
# shellcheck disable=SC2086
start "$sim" smsc --listen 127.0.0.1:0 --port-file "$dir/port" --codec fast --quiet --control "$dir/ctl" \
	--receipt-delay "${RECEIPT_DELAY:-50ms}" $receipts
await 5 test -s "$dir/port" || die "no SMSC"
smpp=$(free_port) http=$(free_port) dark=$(free_port)
umask 077
cat >"$dir/postern.conf" <<CONF
state = "$dir/state";
log   = { level = "warn"; };
http  = { listen = "127.0.0.1:$http"; tokens = ( { name = "bench"; token = "bench"; scopes = [ "messages", "admin" ]; } ); };
listeners = (
  { name = "esme"; type = "smpp"; listen = "127.0.0.1:$smpp";
    accounts = ( { system_id = "shop"; password = "secret"; allow = [ "127.0.0.1" ];
                   max_binds = 2000; window = $window; rate = 0.0; } ); } );
channels = (
  { name = "smsc"; type = "smpp"; host = "127.0.0.1"; port = $(cat "$dir/port"); system_id = "postern"; password = "bench";
    bind = "transceiver"; connections = $binds; window = $window; rate = 0.0; },
  { name = "dark"; type = "smpp"; host = "127.0.0.1"; port = $dark; system_id = "postern"; password = "bench";
    bind = "transceiver"; connections = 1; window = 10; rate = 0.0; } );
routes = (
  { media = "sms"; to = "47*"; via = [ "dark" ]; },
  { media = "sms"; to = "46*"; via = [ "smsc" ]; } );
CONF
ready_ms=
run_postern() {
	local began
	began=$(now_ms)
	start "$postern" -c "$dir/postern.conf" 2>>"$dir/log"
	pid=$!
	await 60 curl -fs "http://127.0.0.1:$http/readyz" || { tail -5 "$dir/log" >&2; die "postern did not become ready"; }
	ready_ms=$(($(now_ms) - began))
}
run_postern
bound() { "$sim" control "$dir/ctl" stats | jq -e ".bound == $binds"; }
await 20 bound || { tail -5 "$dir/log" >&2; die "postern did not bind to the SMSC"; }

esme() { "$sim" esme --connect "127.0.0.1:$smpp" --codec fast --binds "$binds" --window "$window" --drain 30s "$@"; }
post() { "$sim" http --connect "127.0.0.1:$http" --token bench "$@"; }
acked() { "$sim" control "$dir/ctl" stats | jq .receipts_acked; }
arrived() { [ "$(acked)" -ge "$1" ]; }

# measured NAME MESSAGES COMMAND...: runs the load; its JSON is in load.json, ours in figures. The
# rate is that of messages until the last receipt, whatever share of them never gets one.
measured() {
	local name=$1 messages=$2 cpu began
	shift 2
	cpu=$(cpu_ms "$pid")
	"$@" >"$dir/load.json" || die "$name: $(cat "$dir/load.json")"
	cpu=$(($(cpu_ms "$pid") - cpu))
	figures=$(jq -cn --arg name "postern $name" --argjson m "$messages" --argjson cpu "$cpu" --argjson kib "$(peak_kib "$pid")" \
		--argjson sync "$sync" --slurpfile l "$dir/load.json" \
		'$l[0] as $l0 | ($l0.finals // $m) as $finals |
		 {name: $name, messages: $m, accept_rate: $l0.accept_rate,
		  rate: (if $l0.receipt_rate and $finals > 0 then $l0.receipt_rate * $m / $finals | round else $l0.accept_rate end),
		  cpu_us: ($cpu * 100000 / $m | round / 100), accept_p50_ms: $l0.latency.p50_ms,
		  accept_p99_ms: $l0.latency.p99_ms, peak_mib: ($kib / 1024 | round), fsync_ms: $sync,
		  load_cpu_us: $l0.cpu_us}')
}
http_to_end() { # FORM...: over when every receipt has come, and the rate is that of the whole
	local began before
	before=$(acked) began=$(now_ms)
	post "$@" --expect-accepted >"$dir/post.json" || { cat "$dir/post.json"; return 1; }
	await 120 arrived $((before + messages)) || { echo "receipts are missing"; return 1; }
	jq -c --argjson ms $(($(now_ms) - began)) --argjson m "$messages" '.receipt_rate = ($m * 1000 / $ms | round)' "$dir/post.json"
}
sync=$(sync_ms)

case $mode in
smpp)
	messages=${2:-300000}
	esme --count 20000 --first 9000000 >/dev/null || die "the warm-up failed"
	measured smpp-smpp "$messages" esme --count "$messages" --expect-receipts --expect-accepted
	;;
lossy)
	messages=${2:-1500000}
	esme --count 20000 --first 9000000 --drain 1s >/dev/null
	measured "smpp-smpp, one receipt in five missing" "$messages" esme --count "$messages" --drain 2s --expect-accepted
	;;
http)
	messages=${2:-100000}
	post --count 2000 --first 9000000 >/dev/null || die "the warm-up failed"
	await 30 arrived 2000 || die "the warm-up's receipts are missing"
	measured http-smpp "$messages" http_to_end --connections "${CONNECTIONS:-64}" --count "$messages"
	;;
ndjson)
	messages=${2:-200000}
	measured "http-smpp, ndjson" "$messages" http_to_end --form ndjson --batch 100 --connections "${CONNECTIONS:-16}" --count "$messages"
	;;
latency)
	messages=${2:-20000}
	measured "accept at 1,000/s" "$messages" esme --count "$messages" --rate 1000 --expect-receipts --expect-accepted
	;;
backlog)
	messages=${2:-300000}
	"$sim" esme --connect "127.0.0.1:$smpp" --codec fast --binds "$binds" --window "$window" --to '4770{n:8}' --registered 0 \
		--count "$backlog" --retry --expect-accepted >"$dir/fill.json" || die "filling: $(cat "$dir/fill.json")"
	measured "smpp-smpp, $backlog queued" "$messages" esme --count "$messages" --expect-receipts --expect-accepted
	stop "$pid"
	run_postern
	figures=$(jq -c --argjson ms "$ready_ms" --slurpfile f "$dir/fill.json" \
		'. + {restart_ms: $ms, fill_rate: $f[0].accept_rate}' <<<"$figures")
	;;
idle)
	messages=${2:-1000}
	before=$(awk '/^VmRSS/ {print $2}' "/proc/$pid/status")
	start "$sim" esme --connect "127.0.0.1:$smpp" --codec fast --binds "$messages" --count 0 --window 1 --run-for 60s --reconnect >/dev/null
	esme_pid=$!
	settled() { [ "$(ss -Htn state established "sport = :$smpp" | wc -l)" -ge "$messages" ]; }
	await 30 settled || die "the binds did not come up"
	sleep 2
	after=$(awk '/^VmRSS/ {print $2}' "/proc/$pid/status")
	stop "$esme_pid"
	figures=$(jq -cn --argjson n "$messages" --argjson kib $((after - before)) \
		'{name: "postern, \($n) idle binds", messages: $n, grown_mib: ($kib / 1024 * 10 | round / 10)}')
	;;
*) die "there is no mode $mode" ;;
esac
echo "$figures"
