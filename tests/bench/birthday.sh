#!/bin/bash
# RT-9: so many members have their birthday today; how long until the greetings of all are queued?
# Usage: tests/bench/birthday.sh [MEMBERS]      a line of JSON on stdout
#
# The whole gateway: members in five time zones, every greeting a message on disk. They wait for an
# SMSC that is down, as everything does that is sent faster than it can leave. ACCRUE=1: fifty stars
# for each as well.
cd "$(dirname "$0")/../.." || exit 2
. tests/bench/lib.sh
members=${1:-1000000}
postern=$OUT/postern
[ -x "$postern" ] || die "$postern has not been built"
dir=$(realpath -m "${BENCH_DIR:-$OUT/bench.d}")/birthday.$$
mkdir -p "$dir/tasks.d" "$dir/templates.d" || exit 2
trap 'keep_log "$dir"; stop_all; rm -rf "$dir"' EXIT
umask 077
cat >"$dir/postern.conf" <<CONF
state = "$dir/state";
log   = { level = "warn"; };
plugins = ( { name = "offers"; } );
channels = ( { name = "dark"; type = "smpp"; host = "127.0.0.1"; port = $(free_port); system_id = "postern"; password = "bench"; } );
routes = ( { media = "sms"; via = [ "dark" ]; } );
CONF
echo 'policy = { default_clock = "UTC"; consent_default = "all"; service = { max = [ "3 per day" ]; }; };' >"$dir/policy.conf"
cat >"$dir/templates.d/t.conf" <<'CONF'
currencies = { stars = { one = "star"; other = "stars"; decimals = 0; }; };
templates = { happy = { en = { sms = "Happy birthday, ${Member.first_name|friend}!"; }; }; };
CONF
mkdir -p "$dir/state"
store=$dir/state/postern.db
run() {
	start "$postern" -c "$dir/postern.conf" >>"$dir/log" 2>&1
	pid=$!
}
tables() { sqlite3 -readonly "$store" "SELECT 1 FROM of_zone LIMIT 1"; }
run
await 20 tables || { cat "$dir/log" >&2; die "no store"; }
stop "$pid"
today=$(date -u +%-m%d)
sqlite3 "$store" >/dev/null <<SQL || die "the members could not be put into the store"
BEGIN;
WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < $members)
INSERT INTO of_member(ext, state, first_name, birthday, zone, registered, created, updated)
 SELECT 'member-' || i, 2, 'Homer', $today, CASE i % 5 WHEN 0 THEN 'Europe/Riga' WHEN 1 THEN 'Europe/Paris'
 WHEN 2 THEN 'Asia/Tokyo' WHEN 3 THEN 'UTC' ELSE 'America/New_York' END, 1, 1, 1 FROM c;
INSERT INTO of_zone SELECT DISTINCT zone FROM of_member;
INSERT INTO of_contact(member, kind, value, flags, since) SELECT id, 0, '371' || (20000000 + id), 1, 1 FROM of_member;
COMMIT;
SQL
accrue=
[ -z "${ACCRUE:-}" ] || accrue='accrue = { currency = "stars"; amount = "50"; lives = "30 days"; };'
# The next full minute that leaves time to start; the date must still be today's.
at=$(date -u -d '+70 seconds' +%H:%M)
[ "$(date -u -d '+70 seconds' +%-m%d)" = "$today" ] || die "midnight is near: try again in a minute"
echo "tasks = ( { name = \"happy\"; every = \"day at $at\"; look = \"member.birthday\"; clock = \"program\";
 send = \"happy\"; via = [ \"sms\" ]; $accrue } );" >"$dir/tasks.d/t.conf"
run
all_sent() {
	[ "$(sqlite3 -readonly "$store" "SELECT coalesce(sum(sent), 0) FROM of_run WHERE state = 1")" -ge "$members" ]
}
begun() { [ "$(sqlite3 -readonly "$store" "SELECT count(*) FROM of_run WHERE date > 0")" -gt 0 ]; }
await 90 begun || { cat "$dir/log" >&2; die "the task did not begin"; }
cpu=$(cpu_ms "$pid")
end=$((SECONDS + 600))
until all_sent; do
	[ "$SECONDS" -lt "$end" ] || die "not all were greeted in ten minutes"
	sleep 0.5
done
cpu=$(($(cpu_ms "$pid") - cpu))
ms=$(sqlite3 -readonly "$store" "SELECT (max(ended) - min(started)) / 1000000 FROM of_run WHERE date > 0")
peak=$(peak_kib "$pid")
stop "$pid"
jq -cn --argjson n "$members" --argjson ms "$ms" --argjson cpu "$cpu" --argjson peak "$peak" --arg a "${ACCRUE:+ and points}" \
	'{name: "birthday greetings\($a), of the members of one day", messages: $n, rate: ($n * 1000 / $ms | round),
	seconds: ($ms / 100 | round / 10), cpu_us: ($cpu * 1000 / $n | round), peak_mib: ($peak / 1024 | round)}'
