#!/bin/bash
# make demo ends by itself, with everything as it expects.
# timeout: 120
. tests/lib.sh
need "$OUT/postern" "$OUT/posternctl" "$OUT/posternsim"
export OUT TMPDIR=$SCRATCH
verify "make demo" tests/demo/run
finish
