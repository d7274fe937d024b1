#!/bin/bash
# The Debian packages build, please lintian, install and go again without a trace.
# Installs them on this machine for a moment, with daemons forbidden to start.
# alone: yes
# timeout: 900
. tests/lib.sh
if dpkg-query -W -f='${db:Status-Status}' postern 2>/dev/null | grep -q '^installed$'; then
	fail "packages: a postern is installed on this machine; try it on another one"
	finish
fi
root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }
root true 2>/dev/null || { fail "packages: neither root nor sudo without a password"; finish; }

verify "make deb, lintian clean" make -s deb
policy=/usr/sbin/policy-rc.d ours= had_user=yes
getent passwd postern >/dev/null || had_user=
if [ ! -e $policy ]; then
	ours=yes
	printf '#!/bin/sh\nexit 101\n' | root tee $policy >/dev/null
	root chmod 755 $policy
fi
clean_up() {
	root dpkg --purge postern postern-sim >/dev/null 2>&1
	[ -n "$had_user" ] || root deluser --system --quiet postern >/dev/null 2>&1
	[ -z "$ours" ] || root rm -f $policy
}
trap clean_up EXIT

mode() { root stat -c '%a %U:%G' "$1"; }
verify "they install" root dpkg -i build/deb/postern_*.deb build/deb/postern-sim_*.deb
verify "a user of its own" getent passwd postern
verify "configuration for its group only" test "$(mode /etc/postern/postern.conf)" = "640 root:postern"
verify "state for itself only" test "$(mode /var/lib/postern)" = "750 postern:postern"
verify "nothing was started" sh -c '! pgrep -x postern -u postern'
verify "the shipped configuration is sound" root runuser -u postern -- /usr/sbin/postern -t -c /etc/postern/postern.conf
verify "posternctl runs" sh -c "dpkg -L postern | grep -qx /usr/bin/posternctl && test -x /usr/bin/posternctl"
verify "posternsim runs" test -x /usr/bin/posternsim
verify "the unit is there" test -e /lib/systemd/system/postern.service

printf '\n# mine\n' | root tee -a /etc/postern/postern.conf >/dev/null
verify "they install again" root dpkg -i build/deb/postern_*.deb
verify "the operator's configuration survives" root grep -q '^# mine' /etc/postern/postern.conf
verify "with its mode" test "$(mode /etc/postern/postern.conf)" = "640 root:postern"
verify "they are removed" root dpkg --remove postern postern-sim
verify "and the configuration stays" root test -e /etc/postern/postern.conf
verify "they are purged" root dpkg --purge postern postern-sim
verify "without a trace" sh -c "! ls -d /etc/postern /var/lib/postern /usr/sbin/postern \
	/etc/systemd/system/multi-user.target.wants/postern.service 2>/dev/null | grep ."
finish
