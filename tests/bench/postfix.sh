# A Postfix of our own for a measurement or a test: its configuration and queue lie in one folder, it
# listens on the loopback alone, logs into a file, and relays all to one port. Debian's own instance is
# never started. It needs root, as Postfix does.
#   postfix_start DIR PORT RELAY_PORT [LINE...]   LINEs are added to its main.cf; its master is $postfix_pid
#   postfix_stop DIR
PATH=$PATH:/usr/sbin:/sbin

postfix_possible() { command -v postfix >/dev/null && [ "$(id -u)" = 0 ]; }

postfix_start() {
	local dir=$1 port=$2 relay=$3
	shift 3
	mkdir -p "$dir/conf" "$dir/queue" "$dir/data" && chmod 755 "$dir" "$dir/conf" "$dir/queue" &&
		chown postfix "$dir/data" && chmod 700 "$dir/data" || return 1
	cat >"$dir/conf/main.cf" <<-CONF
		compatibility_level = 3.6
		queue_directory = $dir/queue
		data_directory = $dir/data
		daemon_directory = /usr/lib/postfix/sbin
		mail_owner = postfix
		setgid_group = postdrop
		inet_interfaces = loopback-only
		inet_protocols = ipv4
		myhostname = postfix.example
		mydestination =
		mynetworks = 127.0.0.0/8
		relayhost = [127.0.0.1]:$relay
		smtpd_relay_restrictions = permit_mynetworks, reject
		alias_maps =
		alias_database =
		message_size_limit = 40000000
		smtp_tls_security_level = none
		biff = no
		maillog_file_prefixes = $dir
		maillog_file = $dir/queue/maillog
		$(printf '%s\n' "$@")
	CONF
	# as Debian's, without what is never used here; nothing in a chroot
	cat >"$dir/conf/master.cf" <<-CONF
		127.0.0.1:$port inet n - n - - smtpd
		pickup unix n - n 60 1 pickup
		cleanup unix n - n - 0 cleanup
		qmgr unix n - n 300 1 qmgr
		tlsmgr unix - - n 1000? 1 tlsmgr
		rewrite unix - - n - - trivial-rewrite
		bounce unix - - n - 0 bounce
		defer unix - - n - 0 bounce
		trace unix - - n - 0 bounce
		verify unix - - n - 1 verify
		flush unix n - n 1000? 0 flush
		proxymap unix - - n - - proxymap
		proxywrite unix - - n - 1 proxymap
		smtp unix - - n - - smtp
		relay unix - - n - - smtp
		showq unix n - n - - showq
		error unix - - n - - error
		retry unix - - n - - error
		discard unix - - n - - discard
		anvil unix - - n - 1 anvil
		scache unix - - n - 1 scache
		postlog unix-dgram n - n - 1 postlogd
	CONF
	sed -i 's/^[ \t]*//' "$dir/conf/main.cf" "$dir/conf/master.cf"
	postfix -c "$dir/conf" start >"$dir/start.log" 2>&1 || { cat "$dir/start.log" "$dir/queue/maillog" >&2; return 1; }
	await 10 listens "$port" || { cat "$dir/queue/maillog" >&2; return 1; }
	postfix_pid=$(tr -d ' ' <"$dir/queue/pid/master.pid")
}
postfix_stop() {
	[ -s "$1/queue/pid/master.pid" ] && postfix -c "$1/conf" stop >/dev/null 2>&1
	return 0
}
# postfix_cpu_ms PID: of the master, of all that it has ended, and of those that run.
postfix_cpu_ms() {
	local tick p sum
	tick=$(getconf CLK_TCK)
	sum=$(sed 's/^.*) //' "/proc/$1/stat" | awk '{print $12 + $13 + $14 + $15}') || return 1
	for p in $(pgrep -P "$1"); do
		sum=$((sum + $(sed 's/^.*) //' "/proc/$p/stat" 2>/dev/null | awk '{n = $12 + $13 + $14 + $15} END {print n + 0}')))
	done
	echo $((sum * 1000 / tick))
}
