# What the scripts of tests/check.d and tests/long.d share; each starts with `. tests/lib.sh`.
set -u
failures=0

ok() { printf 'ok    %s\n' "$*"; }
fail() { printf 'FAIL  %s\n' "$*"; failures=$((failures + 1)); }
# verify NAME COMMAND...: one thing tried; shows the command's output only when it fails.
verify() {
	local name=$1 said
	shift
	if said=$("$@" 2>&1); then ok "$name"; else
		fail "$name"
		printf '%s\n' "$said" | tail -n 60 | sed 's/^/      /'
	fi
}
finish() { [ "$failures" = 0 ]; exit $?; }
need() { # PROGRAM...: ends the script with a clear word when the build lacks one
	local p
	for p in "$@"; do
		[ -x "$p" ] || { fail "$p has not been built"; exit 1; }
	done
}
# free_port: a TCP port of the loopback on which nobody listens at the moment, which no script that
# runs beside this one may take, and which this one has not been given before.
free_port() {
	local p
	while :; do
		p=$((${PORTS:-31000} + RANDOM % 1000))
		if [ -n "${SCRATCH:-}" ]; then
			mkdir -p "$SCRATCH/.ports"
			mkdir "$SCRATCH/.ports/$p" 2>/dev/null || continue
		fi
		ss -Hltn "sport = :$p" | grep -q . || { echo "$p"; return; }
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
