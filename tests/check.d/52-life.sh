#!/bin/bash
# The daemon's life, from outside: a faulty configuration, an environment that does not fit, reload,
# the log, systemd, stop and restart.
# timeout: 180
. tests/lib.sh
. tests/gateway.sh
postern() { timeout $((10 * slow)) "$OUT/postern" "$@" 2>&1; }
ends() { # STATUS TEXT COMMAND...: that status, and it says that
	local want=$1 text=$2 said status
	shift 2
	said=$("$@" 2>&1)
	status=$?
	[ "$status" = "$want" ] && grep -qE -- "$text" <<<"$said" && return
	echo "status $status: $said"
	return 1
}

# ---- every fault at once, with its place
cat >bad.conf <<'EOF'
sate = "state";
http = { listen = "0.0.0.0:8080"; };
log = { level = "loud"; };
retention = 30;
channels = (
	{ name = "smsc"; type = "nul"; },
	{ name = "b"; type = "null"; windw = 10; },
	{ name = "b"; type = "null"; window = "10"; },
	{ type = "null"; latency = "50"; }
);
routes = (
	{ media = "sms"; via = [ "smcs" ]; },
	{ media = "fax"; via = [ "b" ]; }
);
EOF
verify "a faulty file: status 1" ends 1 . postern -t -c bad.conf
postern -t -c bad.conf >faults
while IFS='|' read -r line text; do
	verify "line $line: $text" grep -qE "^bad.conf:$line: .*$text" faults
done <<'EOF'
1|unknown key "sate".*did you mean "state"
2|loopback
3|"error", "warn", "info", "debug"
4|duration
6|unknown type "nul"; did you mean "null"
7|unknown key "windw".*did you mean "window"
8|"window".*integer
8|"b" is used twice.*bad.conf:7
9|"name" is missing
9|"latency".*unit
12|no channel "smcs"; did you mean "smsc"
13|"fax" is not a medium
EOF
verify "nothing else is complained of" test "$(grep -c '^bad.conf:' faults)" = 12
verify "to run with it: status 1, too" ends 1 'bad.conf:7: ' postern -c bad.conf
printf 'channels = (\n  { name = "a"\n' >syntax.conf
verify "a syntax error has its line" ends 1 '^syntax.conf:[0-9]+: ' postern -t -c syntax.conf
verify "a file that is none" ends 1 'none.conf.*No such file' postern -t -c none.conf
verify "an unknown option: status 1" ends 1 usage postern --frobnicate
verify "the version" ends 0 '^postern [0-9]' postern -V
postern -t --defaults >defaults
verify "the defaults are a list of keys" grep -q '^shutdown_grace = "30s";' defaults
verify "--defaults is no configuration of secrets" sh -c '! grep -i "password = \"[^…\"]" defaults'

# ---- included files, secrets in files
mkdir -p channels.d
cat >gw.conf <<EOF
state = "state";
shutdown_grace = "2s";
include = [ "channels.d/*.conf" ];
http = { listen = "127.0.0.1:$http"; tokens = ( { name = "shop"; token_file = "shop.token"; scopes = [ "admin" ]; } ); };
channels = ( { name = "main"; type = "null"; latency = "20ms"; } );
EOF
echo 't-shop' >shop.token
chmod 600 shop.token
echo 'channels = ( { name = "c10"; type = "null"; } ); routes = ( { media = "sms"; to = "4610*"; via = [ "c10" ]; } );' >channels.d/10.conf
echo 'channels = ( { name = "c20"; type = "null"; receipts = true; } ); routes = ( { media = "sms"; via = [ "c20" ]; } );' >channels.d/20.conf
chmod 600 gw.conf
verify "included files: sound" ends 0 '^gw.conf: ok$' postern -t -c gw.conf
echo 'channels = ( { name = "c10"; type = "null"; nonsense = 1; } );' >channels.d/30.conf
verify "faults in them have their place" ends 1 '^channels.d/30.conf:1: .*nonsense' postern -t -c gw.conf
verify "names are unique over all of them" ends 1 '"c10" is used twice.*channels.d/10.conf:1' postern -t -c gw.conf
rm channels.d/30.conf
mv shop.token gone
verify "a secret's file that is none" ends 1 'gw.conf:4: .*shop.token' postern -t -c gw.conf
mv gone shop.token

# ---- an environment that does not fit: status 2 and what to do
gw_start
api POST /v1/messages '{"media":"sms","to":"+46100000001","text":"x"}'
verify "the secret came from its file" answers 202
verify "the socket's mode" test "$(stat -c %a state/control.sock)" = 660
verify "the state directory's mode" test "$(stat -c %a state)" = 750
sed "s|127.0.0.1:$http|127.0.0.1:$(free_port)|" gw.conf >second.conf
verify "a second one on the same state: status 2" ends 2 'another postern uses it.*(stop|set)' postern -c second.conf
sed 's|"state"|"state2"|' gw.conf >second.conf
verify "a port that is taken: status 2" ends 2 "127.0.0.1:$http.*in use" postern -c second.conf
sed 's|"state"|"gw.conf/x"|' gw.conf >second.conf
verify "a state directory that cannot be: status 2" ends 2 'state directory gw.conf/x.*set .state' postern -c second.conf
mkdir -p junk
echo 'this is no database at all, not even a little' >junk/postern.db
sed 's|"state"|"junk"|' gw.conf >second.conf
verify "a store that is damaged: status 2" ends 2 'junk/postern.db.*backup' postern -c second.conf

# ---- reload
reloaded() { ctl reload >said 2>&1; }
expect "before" 202 .id POST /v1/messages '{"media":"sms","to":"+46200000001","text":"x"}'
sed -i 's/latency = "20ms"/latency = "30ms"/; s/shutdown_grace = "2s"/shutdown_grace = "3s"/' gw.conf
echo 'channels = ( { name = "c30"; type = "null"; } ); routes = ( { media = "email"; via = [ "c30" ]; } );' >channels.d/30.conf
ctl reload --dry-run >said
verify "reload --dry-run says what would change" grep -q 'changed shutdown_grace' said
verify "a channel that would come" grep -q 'c30' said
verify "but changes nothing" sh -c "! '$OUT/posternctl' channel c30"
verify "nor shows secrets" sh -c "! grep -q t-shop said"
kill -HUP "$gw_pid"
verify "SIGHUP: the new channel is there" await $((5 * slow)) ctl channel c30
expect "and its route" 202 .id POST /v1/messages '{"media":"email","to":"a@b.example","text":"x"}'
verify "logged" grep -q ' reloaded' gw.log
ups() { grep -c "channel up channel=$1" gw.log; }
verify "a channel that did not change stayed open" test "$(ups c10)" = 1
verify "one that did was opened anew" await $((5 * slow)) sh -c '[ "$(grep -c "channel up channel=main" gw.log)" = 2 ]'
echo 'nonsense = 1;' >>gw.conf
kill -HUP "$gw_pid"
verify "a faulty file is refused" await $((5 * slow)) grep -q 'reload refused' gw.log
verify "by posternctl, too, with every fault" ends 1 'gw.conf:[0-9]+: unknown key "nonsense"' ctl reload
sed -i '$d' gw.conf
expect "what ran still runs" 202 .id POST /v1/messages '{"media":"email","to":"a@b.example","text":"x"}'
sed -i 's|"state"|"elsewhere"|' gw.conf
verify "another state directory needs a restart" ends 1 'restart' ctl reload
sed -i 's|"elsewhere"|"state"|' gw.conf
sed -i 's/tokens = (/tokens = ( { name = "new"; token = "t-new"; }, /' gw.conf
verify "a new token" reloaded
token=t-new expect "is taken" 202 .id POST /v1/messages '{"media":"sms","to":"+46100000001","text":"x"}'
sed -i 's/{ name = "new"; token = "t-new"; }, //' gw.conf
verify "it goes" reloaded
token=t-new expect "and is refused" 401 true POST /v1/messages '{"media":"sms","to":"+46100000001","text":"x"}'
rm channels.d/30.conf
verify "a channel goes" reloaded
expect "and its route" 422 true POST /v1/messages '{"media":"email","to":"a@b.example","text":"x"}'
old=$http
http=$(free_port)
sed -i "s|127.0.0.1:$old|127.0.0.1:$http|" gw.conf
verify "another port for the API" reloaded
base=http://127.0.0.1:$http
verify "answers there" await $((5 * slow)) curl -sSf "$base/healthz"

# ---- reload under load loses nothing
"$OUT/posternsim" http --connect "127.0.0.1:$http" --token t-shop --count 3000 --connections 4 --to '+4620{n:7}' --expect-accepted --reconnect --resend >load.json &
load=$!
for i in 1 2 3 4 5 6; do
	sed -i "s/receipts = true;[^}]*}/receipts = true; window = $((50 + i)); }/" channels.d/20.conf
	ctl reload >/dev/null || fail "reload $i"
done
wait "$load"
status=$?
verify "all are accepted while channels are opened anew" test "$status" = 0
# how many of a state, of the newest thousand
count() { ctl --json messages --limit 1000 --channel c20 --state "$1" | jq length; }
drained() { ctl --json channel c20 | jq -e '.queued.normal == 0 and .in_flight == 0'; }
verify "and all are sent" await $((10 * slow)) drained
verify "each" test "$(count queued)$(count sending)" = 00

# ---- log
verify "log level at run time" ends 0 debug ctl log debug
api POST /v1/messages '{"media":"sms","to":"+46100000009","text":"sesame"}'
id=$(jq -r .id <<<"$body")
verify "debug lines have the message's id" await $((5 * slow)) grep -q "debug sent msg=$id" gw.log
ctl log warn >/dev/null
verify "a level that is none" ends 1 'not a level' ctl log loud
verify "no text of messages in the log" sh -c '! grep -q sesame gw.log'
sed -i 's/^state/log = { format = "json"; };\nstate/' gw.conf
sed -i "s/shutdown_grace = \"3s\"/shutdown_grace = \"5s\"/" gw.conf
ctl log info >/dev/null
verify "log format by reload" reloaded
ctl log info >/dev/null
verify "is JSON" sh -c 'tail -n 1 gw.log | jq -e ".level == \"info\" and (.time // .ts // .at) and (.event // .msg)"'

# ---- stop: what is in flight is finished; restart: what waited is there
sed -i 's/receipts = true;[^}]*}/latency = "500ms"; window = 10; }/' channels.d/20.conf
verify "a slow channel" reloaded
api POST /v1/messages "[$(for i in {10..49}; do printf '{"media":"sms","to":"+4630000000%d","text":"x"},' "$i"; done | sed 's/,$//')]"
gw_stop
status=$?
verify "SIGTERM: status 0" test "$status" = 0
verify "the socket is gone" test ! -e state/control.sock
sed -i '/^log = /d' gw.conf
gw_start
all_sent() { [ "$(count queued)" = 0 ] && [ "$(count sent)" -ge 40 ]; }
verify "after a start the rest is sent" await $((15 * slow)) all_sent
verify "none of them twice" test "$(metric 'postern_channel_sent_total{channel="c20"}')" -le 30
gw_kill
gw_start
verify "after kill -9 it starts and says so" grep -q 'last end was not clean' gw.log
gw_stop

# ---- systemd
cat >notify.py <<'EOF'
import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("notify")
open("bound", "w").close()
s.settimeout(60)
while True:
    text = s.recv(4096).decode()
    open("notified", "a").write(text + "\n")
    if "STOPPING=1" in text:
        break
EOF
if command -v python3 >/dev/null; then
	python3 notify.py &
	await 10 test -e bound
	NOTIFY_SOCKET=$SCRATCH/notify gw_start
	verify "READY=1" await 5 grep -q READY=1 notified
	kill -HUP "$gw_pid"
	verify "RELOADING=1" await 5 grep -q RELOADING=1 notified
	verify "and READY=1 again" await $((5 * slow)) sh -c '[ "$(grep -c READY=1 notified)" = 2 ]'
	gw_stop
	verify "STOPPING=1" await 5 grep -q STOPPING=1 notified
fi
verify "no word of a sanitizer" sh -c "! grep -E 'runtime error|Sanitizer' gw.log"
finish
