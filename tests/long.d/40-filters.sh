#!/bin/bash
# FX-1 in full: ten million cases of random filters over random members, byte code against SQL.
# timeout: 1800
make -s say=@: -j"$JOBS" "$OUT/tests/filter_sql_test" || exit 1
FX1_CASES="${FX1_CASES:-10000000}" FX1_SEED="${FX1_SEED:-20260315}" "$OUT/tests/filter_sql_test"
