#!/bin/bash
# make install puts everything below DESTDIR, and the unit that it installs is sound and tight.
# flavours: plain
. tests/lib.sh
need "$OUT/postern" "$OUT/posternctl" "$OUT/posternsim"
root=$SCRATCH/root
verify "make install" make -s OUT="$OUT" DESTDIR="$root" PREFIX=/opt/postern install
for file in opt/postern/sbin/postern opt/postern/bin/posternctl opt/postern/bin/posternsim etc/postern/postern.conf \
	opt/postern/lib/systemd/system/postern.service opt/postern/share/man/man8/postern.8 \
	opt/postern/share/man/man5/postern.conf.5 opt/postern/share/doc/postern/README.md; do
	[ -s "$root/$file" ] || fail "$file is not installed"
done
echo '# mine' >>"$root/etc/postern/postern.conf"
make -s OUT="$OUT" DESTDIR="$root" PREFIX=/opt/postern install >/dev/null 2>&1
verify "the operator's configuration survives" grep -q '^# mine' "$root/etc/postern/postern.conf"
verify "manual pages are well formed" sh -c "mandoc -T lint -W warning $root/opt/postern/share/man/man*/*"

unit=$SCRATCH/postern.service
sed "s|/opt/postern/sbin/postern|$OUT/postern|" "$root/opt/postern/lib/systemd/system/postern.service" >"$unit"
verify "systemd-analyze verify" systemd-analyze verify --man=no "$unit"
exposed=$(systemd-analyze security --offline=yes "$unit" 2>/dev/null | sed -n 's/.*exposure level for .*: \([0-9.]*\) .*/\1/p')
verify "exposure ${exposed:-unknown} is below 2.0" awk "BEGIN { exit !(${exposed:-10} < 2.0) }"
finish
