#!/bin/bash
# No warning from the other compiler, either: clang reads every file that gcc has built.
# flavours: plain
. tests/lib.sh
commands=$SCRATCH/commands
make -Bn V=1 CC=clang OUT="$SCRATCH/none" all tests fuzzers 2>/dev/null | grep '^clang .*\.c' | grep -v -- ' -Wl,' |
	sed -E 's/ -MMD -MP( -MF [^ ]*)?//; s|^clang|clang -fsyntax-only -Werror -Wno-unused-command-line-argument|; s| [^ ]*/libpostern\.a||' >"$commands"
[ -s "$commands" ] || fail "no commands to try"
# One line, one command, as make would hand it to the shell.
tr '\n' '\0' <"$commands" | xargs -0 -P "$JOBS" -n 1 sh -c '
	"${BASH:-sh}" -c "$1" >"$0.$$" 2>&1 || cat "$0.$$"
	rm -f "$0.$$"' "$SCRATCH/said" >"$SCRATCH/warnings"
if [ -s "$SCRATCH/warnings" ]; then
	fail "clang warns"
	head -n 60 "$SCRATCH/warnings"
else
	ok "clang finds nothing in $(wc -l <"$commands") files"
fi
finish
