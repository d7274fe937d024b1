#!/bin/bash
# EV-4, CN-32: 100 kills while events come in and timers fire.
# timeout: 1200
# flavours: plain
exec tests/kill/offers 100
