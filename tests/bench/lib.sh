# What the benchmarks share. A run works in a folder of its own, ends what it started by its
# number, and says what it found as one line of JSON.
set -u
PORTS=20000 PORTS_SPAN=12000
. tests/loopback.sh
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
# keep_log DIR: first thing of an EXIT trap. When the run failed, it says what became of the processes
# and keeps DIR's log beside DIR, which is removed.
keep_log() {
	local status=$? p kept=$1.failed.log
	[ "$status" -ne 0 ] && [ -e "$1/log" ] || return 0
	cp "$1/log" "$kept" || return 0
	for p in "${pids[@]}"; do
		if kill -0 "$p" 2>/dev/null; then
			echo "bench: process $p ($(cat "/proc/$p/comm")) was running" | tee -a "$kept" >&2
		else
			wait "$p"
			echo "bench: process $p had ended with status $?" | tee -a "$kept" >&2
		fi
	done
	echo "bench: the log is kept: $kept" >&2
}
stop_all() {
	local p
	for p in "${pids[@]}"; do kill "$p" 2>/dev/null; done
	wait
	pids=()
}
die() { echo "bench: $*" >&2; exit 1; }
listens() { ss -Hltn "sport = :$1" | grep -q .; }
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
