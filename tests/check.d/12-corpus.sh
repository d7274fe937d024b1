#!/bin/bash
# Every fuzz target replays the inputs kept for it, those that once broke something among them.
. tests/lib.sh
for target in "$OUT"/fuzz/fuzz_*; do
	name=${target##*/fuzz_}
	[ -x "$target" ] && [ "${name%.d}" = "$name" ] || continue
	if [ -d "tests/corpus/$name" ]; then
		verify "corpus $name" "$target" "tests/corpus/$name"
	else
		fail "corpus $name: no folder tests/corpus/$name"
	fi
done
finish
