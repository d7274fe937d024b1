#!/bin/bash
# The store under kills, power cuts and failing writes, many rounds: see store_crash_test.c.
# timeout: 900
. tests/lib.sh
need "$OUT/tests/store_crash_test"
rounds=12
[ "$FLAVOUR" = plain ] || rounds=3
verify "kills, power cuts, faults: $rounds rounds" "$OUT/tests/store_crash_test" "$rounds"
finish
