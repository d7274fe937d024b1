#!/bin/bash
# EV-4, CN-32: a short share of the kill test of events and timers; the long one is in tests/long.d.
# timeout: 180
[ "${FLAVOUR:-plain}" = plain ] || export PATIENCE=120
exec tests/kill/offers 4
