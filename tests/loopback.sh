# What every script needs that starts servers on the loopback: tests, the demo, the benchmarks.

# free_port: a TCP port of the loopback on which nobody listens at the moment; where there is a
# SCRATCH, one which no script that runs beside this one may take, and which this one has not been
# given before. They are looked for from PORTS on, PORTS_SPAN of them.
free_port() {
	local p
	while :; do
		p=$((${PORTS:-31000} + RANDOM % ${PORTS_SPAN:-1000}))
		if [ -n "${SCRATCH:-}" ]; then
			mkdir -p "$SCRATCH/.ports"
			mkdir "$SCRATCH/.ports/$p" 2>/dev/null || continue
		fi
		grep -qi ":$(printf %04X $p) " /proc/net/tcp /proc/net/tcp6 2>/dev/null || { echo "$p"; return; }
	done
}
# await SECONDS COMMAND...: until it succeeds; no fixed sleeps in tests.
await() {
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.05
	done
}
