#!/bin/bash
# Everything that make check runs, under AddressSanitizer and UBSan.
# alone: yes
# timeout: 5400
make -s say=@: -j"$JOBS" asan | grep -vE '^[0-9]+ passed'
exit "${PIPESTATUS[0]}"
