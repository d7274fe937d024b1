#!/bin/bash
# A minute of fuzzing for each parser of outside bytes.
# alone: yes
# timeout: 3600
make -s say=@: -j"$JOBS" fuzz FUZZ_SECONDS="${FUZZ_SECONDS:-60}"
