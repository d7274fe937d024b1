#!/bin/bash
# A short share of the kill test: 5 kills under load by SMPP; the long one is in tests/long.d.
# timeout: 180
# flavours: plain
exec tests/kill/run 5 smpp
