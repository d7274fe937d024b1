#!/bin/bash
# make lint: form, layers, banned calls, documents.
# flavours: plain
exec tests/lint/run
