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

# Every key that the daemon knows, every verb and every option has its line in a manual.
man=$root/opt/postern/share/man
"$OUT/postern" -t --defaults | sed -n 's/^ *\([a-z][a-z0-9_]*\) = .*/\1/p' | sort -u >"$SCRATCH/keys"
verify "there are keys" test "$(wc -l <"$SCRATCH/keys")" -gt 60
while read -r key; do
	grep -qw -- "$key" "$man/man5/postern.conf.5" || fail "postern.conf(5) does not know $key"
done <"$SCRATCH/keys"
"$OUT/posternctl" --help | sed -n 's/^  \([a-z]*\) .*/\1/p' | sort -u >"$SCRATCH/verbs"
verify "there are verbs" test "$(wc -l <"$SCRATCH/verbs")" -ge 12
while read -r verb; do
	grep -q "^\.It Ic $verb\b" "$man/man1/posternctl.1" || fail "posternctl(1) does not know $verb"
done <"$SCRATCH/verbs"
for command in $("$OUT/posternsim" --help 2>&1 | sed -n 's/^  \([a-z]*\) .*/\1/p'); do
	grep -q "posternsim $command\|Ic $command\|Cm $command" "$man/man1/posternsim.1" || fail "posternsim(1) does not know $command"
done
ok "manuals are complete"

unit=$SCRATCH/postern.service
sed "s|/opt/postern/sbin/postern|$OUT/postern|" "$root/opt/postern/lib/systemd/system/postern.service" >"$unit"
verify "systemd-analyze verify" systemd-analyze verify --man=no "$unit"
exposed=$(systemd-analyze security --offline=yes "$unit" 2>/dev/null | sed -n 's/.*exposure level for .*: \([0-9.]*\) .*/\1/p')
verify "exposure ${exposed:-unknown} is below 2.0" awk "BEGIN { exit !(${exposed:-10} < 2.0) }"
finish
