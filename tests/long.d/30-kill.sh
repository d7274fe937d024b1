#!/bin/bash
# 200 kills under load: 150 by SMPP, 50 by HTTP.
# timeout: 1800
# flavours: plain
tests/kill/run 150 smpp && tests/kill/run 50 http
