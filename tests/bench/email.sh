#!/bin/bash
# One measurement of email, by Postfix's own load tools; a line of JSON on stdout.
# Usage: tests/bench/email.sh MODE [MESSAGES]
#   ceiling   smtp-source straight to smtp-sink: what the tools can do
#   postfix   smtp-source, a Postfix of our own, smtp-sink
#   smtp      smtp-source, Postern, smtp-sink
#   http      POST /v1/messages, one each, to smtp-sink
#   latency   posternsim mail at 200/s: the time to 250
#   idle      memory that 1,000 idle SMTP sessions cost
#   big       memory that a mail of 25 MiB costs, BIG (4) of them at a time, by SMTP
#   big-http  the same with an attachment of 25 MiB, by POST /v1/messages, and signed (DKIM)
# Messages of 4 KiB over 10 sessions that stay open, each on disk before its 250. The rate is that of
# all until the last has arrived at the sink; the CPU that of all processes of the gateway. The
# state lies in BENCH_DIR (build/bench.d).
cd "$(dirname "$0")/../.." || exit 2
. tests/bench/lib.sh
. tests/bench/postfix.sh
mode=${1:?usage: tests/bench/email.sh ceiling|postfix|smtp|http|latency|idle|big|big-http [MESSAGES]}
sessions=${SESSIONS:-10} octets=${OCTETS:-4096}
postern=$OUT/postern
for program in smtp-source smtp-sink; do
	command -v "$program" >/dev/null || die "$program is missing: packaging/install-deps bench"
done
for program in "$postern" "$sim"; do [ -x "$program" ] || die "$program has not been built"; done
dir=$(realpath -m "${BENCH_DIR:-$OUT/bench.d}")/email-$mode.$$
mkdir -p "$dir" || exit 2
trap 'keep_log "$dir"; postfix_stop "$dir/postfix"; stop_all; rm -rf "$dir"' EXIT
sync=$(s=$(dd if=/dev/zero of="$dir/sync" bs=4k count=200 oflag=dsync 2>&1 | sed -n 's/.*, \([0-9.e-]*\) s,.*/\1/p')
	awk -v s="$s" 'BEGIN {printf "%.3f", s * 1000 / 200}')

# ---- the sink: it writes a line over itself at each mail
sink=$(free_port)
as_nobody=()
[ "$(id -u)" != 0 ] || as_nobody=(-u nobody)
start smtp-sink -c "${as_nobody[@]}" "127.0.0.1:$sink" 1024 >"$dir/sink" 2>"$dir/sink.err"
await 5 listens "$sink" || die "smtp-sink: $(cat "$dir/sink.err")"
taken() { tail -c 80 "$dir/sink" | tr '\r' '\n' | sed -n 's/.*mesg=\([0-9]*\).*/\1/p' | tail -n 1; }
arrived() { [ "$(taken)" -ge "$1" ]; }

run_postern() {
	smtp=$(free_port) http=$(free_port)
	umask 077
	local dkim=""
	if [ "$mode" = big-http ]; then
		openssl genrsa 2048 >"$dir/key.pem" 2>/dev/null || die "openssl makes no key"
		dkim="dkim = ( { domain = \"bench.example\"; selector = \"s\"; key_file = \"$dir/key.pem\"; } );"
	fi
	cat >"$dir/postern.conf" <<-CONF
		state = "$dir/state";
		log   = { level = "warn"; };
		mail  = { hostname = "postern.example"; };
		http  = { listen = "127.0.0.1:$http"; tokens = ( { name = "bench"; token = "bench"; scopes = [ "messages", "admin" ]; } ); };
		listeners = ( { name = "submission"; type = "smtp"; listen = "127.0.0.1:$smtp"; connections = 4000; per_address = 4000;
		    size_most = "40MiB";
		    accounts = ( { user = "bench"; trust = [ "127.0.0.1" ]; sessions = 4000; rate = 0.0; } ); } );
		channels = ( { name = "relay"; type = "smtp"; host = "127.0.0.1"; port = $sink; tls = { mode = "none"; };
		    connections = ${CONNECTIONS:-10}; rate = 0.0; $dkim } );
		routes = ( { media = "email"; via = [ "relay" ]; } );
	CONF
	start "$postern" -c "$dir/postern.conf" 2>>"$dir/log"
	pid=$!
	await 60 curl -fs "http://127.0.0.1:$http/readyz" || { tail -5 "$dir/log" >&2; die "postern did not become ready"; }
}
source_to() { # PORT MESSAGES [OCTETS [SESSIONS]]
	smtp-source -d -s "${4:-$sessions}" -m "$2" -l "${3:-$octets}" -f "shop@bench.example" -t "anna@example.org" "127.0.0.1:$1"
}

# measured NAME MESSAGES CPU COMMAND...: the load; CPU is the command that tells the gateway's
measured() {
	local name=$1 messages=$2 cpu_of=$3 cpu began took before
	shift 3
	before=$(taken)
	cpu=$($cpu_of) began=$(now_ms)
	"$@" >"$dir/load" 2>&1 || die "$name: $(tail -n 3 "$dir/load")"
	took=$(($(now_ms) - began))
	accepted=$took
	await 120 arrived $((before + messages)) || die "$name: $(($(taken) - before)) of $messages arrived"
	took=$(($(now_ms) - began)) cpu=$(($($cpu_of) - cpu))
	figures=$(jq -cn --arg name "$name" --argjson m "$messages" --argjson ms "$took" --argjson accepted "$accepted" --argjson cpu "$cpu" \
		--argjson sync "$sync" \
		'{name: $name, messages: $m, rate: ($m * 1000 / $ms | round), accept_rate: ($m * 1000 / $accepted | round),
		  cpu_us: ($cpu * 1000 / $m | round), fsync_ms: $sync}')
}
warm_up() { # MESSAGES COMMAND...
	local before n=$1
	shift
	before=$(taken)
	"$@" >"$dir/load" 2>&1 || die "the warm-up failed: $(tail -n 3 "$dir/load")"
	await 60 arrived $((before + n)) || die "the warm-up did not arrive: $(taken)"
}
postern_cpu() { cpu_ms "$pid"; }
rss() { awk '/^VmRSS/ {print $2}' "/proc/$pid/status"; }
with_peak() { figures=$(jq -c --argjson kib "$(peak_kib "$pid")" '.peak_mib = ($kib / 1024 | round)' <<<"$figures"); }
source_to "$sink" 10 || die "smtp-source does not reach smtp-sink" # and the counter has begun
await 5 arrived 10 || die "smtp-sink does not count: $(tail -c 80 "$dir/sink")"

case $mode in
ceiling)
	messages=${2:-50000}
	none() { echo 0; }
	measured "load tools alone, mail" "$messages" none source_to "$sink" "$messages"
	figures=$(jq -c 'del(.cpu_us, .accept_rate, .fsync_ms)' <<<"$figures")
	;;
postfix)
	messages=${2:-10000}
	postfix_possible || die "there is no postfix here, or not for us (it needs root)"
	port=$(free_port)
	postfix_start "$dir/postfix" "$port" "$sink" || die "postfix does not start"
	cpu() { postfix_cpu_ms "$postfix_pid"; }
	warm_up 500 source_to "$port" 500
	measured "postfix smtp-smtp" "$messages" cpu source_to "$port" "$messages"
	;;
smtp)
	messages=${2:-50000}
	run_postern
	warm_up 1000 source_to "$smtp" 1000
	measured "postern smtp-smtp" "$messages" postern_cpu source_to "$smtp" "$messages"
	with_peak
	;;
http)
	messages=${2:-50000}
	run_postern
	text=$(head -c 3600 /dev/zero | tr '\0' 'x' | fold -w 70 | sed 's/$/\\n/' | tr -d '\n') # about 4 KiB with its header
	post() {
		"$sim" http --connect "127.0.0.1:$http" --token bench --path /v1/messages --connections "${CLIENTS:-64}" --count "$1" \
			--expect-accepted --json "{\"media\":\"email\",\"from\":\"shop@bench.example\",\"to\":\"anna{n:7}@example.org\",\"subject\":\"Order {n}\",\"text\":\"$text\"}"
	}
	warm_up 1000 post 1000
	measured "postern http-smtp" "$messages" postern_cpu post "$messages"
	figures=$(jq -c --slurpfile l "$dir/load" '. + {accept_p50_ms: $l[0].latency.p50_ms, accept_p99_ms: $l[0].latency.p99_ms}' <<<"$figures")
	with_peak
	;;
latency)
	messages=${2:-4000}
	run_postern
	warm_up 500 source_to "$smtp" 500
	measured "mail accepted at 200/s" "$messages" postern_cpu "$sim" mail --connect "127.0.0.1:$smtp" --sessions 4 --rate 200 \
		--count "$messages" --size "$octets" --expect-accepted
	figures=$(jq -c --slurpfile l "$dir/load" '. + {accept_p50_ms: $l[0].latency.p50_ms, accept_p99_ms: $l[0].latency.p99_ms}' <<<"$figures")
	;;
idle)
	messages=${2:-1000}
	run_postern
	ulimit -n 4096
	before=$(rss)
	# one shell, a thousand descriptors: each has said EHLO, and waits
	fds=()
	for ((i = 0; i < messages; i++)); do
		exec {fd}<>"/dev/tcp/127.0.0.1/$smtp" || die "session $i does not come up"
		printf 'EHLO idle%d.example\r\n' "$i" >&"$fd"
		fds+=("$fd")
	done
	for fd in "${fds[@]}"; do
		while read -r -t 10 line <&"$fd"; do [ "${line:0:4}" != "250 " ] || break; done
		[ "${line:0:4}" = "250 " ] || die "a session was not greeted: $line"
	done
	sleep 1
	after=$(rss)
	figures=$(jq -cn --argjson n "$messages" --argjson kib $((after - before)) \
		'{name: "postern, \($n) idle SMTP sessions", messages: $n, grown_mib: ($kib / 1024 * 10 | round / 10)}')
	;;
big)
	big=${BIG:-4}
	run_postern
	warm_up 200 source_to "$smtp" 200
	echo 5 >"/proc/$pid/clear_refs" || die "the peak of memory cannot be reset"
	before=$(rss)
	measured "postern, mail of 25 MiB, $big at a time" "$big" postern_cpu source_to "$smtp" "$big" $((25 << 20)) "$big"
	figures=$(jq -c --argjson kib $(($(peak_kib "$pid") - before)) --argjson n "$big" \
		'del(.rate, .accept_rate) | .grown_mib = ($kib / 1024 * 10 | round / 10) | .grown_mib_each = ($kib / 1024 / $n * 10 | round / 10)' <<<"$figures")
	;;
big-http)
	big=${BIG:-4}
	run_postern
	warm_up 200 source_to "$smtp" 200
	{
		printf '{"media":"email","from":"shop@bench.example","to":"anna@example.org","subject":"Big","text":"See the attachment.","attachments":[{"name":"big.bin","content":"'
		head -c $((25 << 20)) /dev/urandom | base64 -w 0
		printf '"}]}'
	} >"$dir/body"
	post() {
		local pids=() i
		for ((i = 0; i < big; i++)); do
			curl -fsS -H "Authorization: Bearer bench" -H "Content-Type: application/json" -T "$dir/body" -X POST \
				"http://127.0.0.1:$http/v1/messages" &
			pids+=($!)
		done
		wait "${pids[@]}"
	}
	echo 5 >"/proc/$pid/clear_refs" || die "the peak of memory cannot be reset"
	before=$(rss)
	measured "postern, attachment of 25 MiB by HTTP, $big at a time" "$big" postern_cpu post
	figures=$(jq -c --argjson kib $(($(peak_kib "$pid") - before)) --argjson n "$big" \
		'del(.rate, .accept_rate) | .grown_mib = ($kib / 1024 * 10 | round / 10) | .grown_mib_each = ($kib / 1024 / $n * 10 | round / 10)' <<<"$figures")
	;;
*) die "there is no mode $mode" ;;
esac
echo "$figures"
