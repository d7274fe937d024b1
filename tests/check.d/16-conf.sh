#!/bin/bash
# Every configuration that we ship is one that we accept.
. tests/lib.sh
need "$OUT/postern"
for file in conf/*.conf conf/examples/*.conf tests/demo/*.conf; do
	[ -e "$file" ] || continue
	verify "postern -t $file" "$OUT/postern" -t -c "$file"
done
finish
