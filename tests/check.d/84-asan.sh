#!/bin/bash
# The unit tests and the corpora again, under the address and undefined behaviour sanitizers;
# `make asan` runs everything there.
# flavours: plain
# timeout: 420
make -s say=@: -j"$JOBS" asan T=1[02]- | grep -vE "^[0-9]+ passed,"
exit "${PIPESTATUS[0]}"
