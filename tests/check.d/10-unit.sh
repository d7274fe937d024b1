#!/bin/bash
# The unit tests: one cmocka program beside each piece of code.
# timeout: 600
exec tests/run-unit "$OUT"
