#!/bin/bash
# The unit tests and the corpora again, under the thread sanitizer;
# `make tsan` runs everything there.
# flavours: plain
# timeout: 420
make -s say=@: -j"$JOBS" tsan T=1[02]- | grep -vE "^[0-9]+ passed,"
exit "${PIPESTATUS[0]}"
