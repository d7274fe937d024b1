#!/bin/bash
# The unit tests: one cmocka program beside each piece of code.
# timeout: 600
[ "$FLAVOUR" != tsan ] || export UNIT_TIMEOUT=${UNIT_TIMEOUT:-600}
exec tests/run-unit "$OUT"
