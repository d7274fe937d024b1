#!/bin/bash
# Everything that make check runs, under ThreadSanitizer.
# alone: yes
# timeout: 5400
make -s say=@: -j"$JOBS" tsan | grep -vE '^[0-9]+ passed'
exit "${PIPESTATUS[0]}"
