#!/bin/bash
# kill -9 between steps of the offers plugin, at a few of them; at each one in tests/long.d.
# timeout: 120
# flavours: plain
exec tests/kill/steps 100 20
