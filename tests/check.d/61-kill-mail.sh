#!/bin/bash
# A short share of the kill test with mail: 3 kills under load; the long one is in tests/long.d.
# timeout: 240
# flavours: plain
exec tests/kill/smtp 3
