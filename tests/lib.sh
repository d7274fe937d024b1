# What the scripts of tests/check.d and tests/long.d share; each starts with `. tests/lib.sh`.
set -u
failures=0
. tests/loopback.sh

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
