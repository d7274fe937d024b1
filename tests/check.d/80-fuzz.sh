#!/bin/bash
# A few seconds of real fuzzing of every parser of outside bytes; `make fuzz` is for longer.
# flavours: plain
# timeout: 420
make -s say=@: -j"$JOBS" fuzz FUZZ_SECONDS="${FUZZ_SHARE:-3}"
