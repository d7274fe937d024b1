# What the benchmarks share. A run works in a folder of its own, ends what it started by its
# number, and says what it found as one line of JSON.
set -u
OUT=$(realpath "${OUT:-build}")
sim=$OUT/posternsim
pids=()

start() { # COMMAND...: in the background; its number is in $!
	"$@" &
	pids+=($!)
}
stop() { # PID: ends it and waits
	kill "$1" 2>/dev/null
	wait "$1" 2>/dev/null
	local p kept=()
	for p in "${pids[@]}"; do [ "$p" = "$1" ] || kept+=("$p"); done
	pids=("${kept[@]}")
}
stop_all() {
	local p
	for p in "${pids[@]}"; do kill "$p" 2>/dev/null; done
	wait
	pids=()
}
die() { echo "bench: $*" >&2; exit 1; }
await() { # SECONDS COMMAND...
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.05
	done
}
listens() { ss -Hltn "sport = :$1" | grep -q .; }
free_port() {
	local p
	while :; do
		p=$((20000 + RANDOM % 12000))
		listens "$p" || { echo "$p"; return; }
	done
}
# cpu_ms PID...: CPU that the processes have used, user and system, in ms.
cpu_ms() {
	local p sum=0 tick fields
	tick=$(getconf CLK_TCK)
	for p in "$@"; do
		fields=$(sed 's/^.*) //' "/proc/$p/stat") || return 1
		sum=$((sum + $(awk -v t="$tick" '{printf "%d", ($12 + $13) * 1000 / t}' <<<"$fields")))
	done
	echo "$sum"
}
peak_kib() { awk '/^VmHWM/ {print $2}' "/proc/$1/status"; }
now_ms() { date +%s%3N; }
