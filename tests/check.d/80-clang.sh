#!/bin/bash
# What the other compiler finds. clang reads every file without a warning, and builds all of it with
# the address and undefined behaviour sanitizers, for the fuzzers and for the unit tests at once: then
# a share of the tests, and all the corpora. `make asan` and `make fuzz` are for the whole.
# flavours: plain
# timeout: 900
. tests/lib.sh
# What is on a disk elsewhere may be in memory here.
[ ! -w /dev/shm ] || SCRATCH=$(mktemp -d /dev/shm/postern-clang.XXXXXX) && trap 'rm -rf "$SCRATCH"' EXIT
export ASAN_OPTIONS=${ASAN_OPTIONS:-abort_on_error=1:detect_leaks=1:strict_string_checks=1}
verify "clang builds it all without a warning" make -s say=@: ERR=1 -k -j"$JOBS" clang-build
[ "$failures" = 0 ] || finish
TEST_SHARE=15 tests/run-unit build-clang || failures=$((failures + 1))
for target in build-clang/fuzz/fuzz_*; do
	name=${target##*/fuzz_}
	[ "${name%.d}" = "$name" ] || continue
	verify "corpus $name" "$target" -runs=0 "tests/corpus/$name"
done
finish
