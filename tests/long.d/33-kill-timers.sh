#!/bin/bash
# CN-32: a million armed chains, kill -9 at random points while a hundred thousand of them fire.
# timeout: 1200
# flavours: plain
exec tests/kill/timers 100000 900000 10
