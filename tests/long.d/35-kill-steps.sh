#!/bin/bash
# kill -9 before each single write that a short history of the offers plugin makes.
# timeout: 1800
# flavours: plain
exec tests/kill/steps 1
