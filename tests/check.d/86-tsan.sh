#!/bin/bash
# A share of the unit tests that have threads, under the thread sanitizer; `make tsan` runs everything
# there.
# flavours: plain
# timeout: 900
. tests/lib.sh
threaded="loop_test stream_test store_test store_load queue_test channel_test notify_test reload_test time_test
	account_test server_test client_test smpp_session smpp_submit offers_test"
[ ! -w /dev/shm ] || SCRATCH=$(mktemp -d /dev/shm/postern-tsan.XXXXXX) && trap 'rm -rf "$SCRATCH"' EXIT
verify "it builds" make -s say=@: -j"$JOBS" tsan-build WANT="$threaded"
TEST_SHARE=15 setarch -R tests/run-unit build-tsan $threaded || failures=$((failures + 1))
finish
