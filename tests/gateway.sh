# For scripts that drive the real daemon from outside; source it after tests/lib.sh.
#
# A script works in SCRATCH, writes gw.conf (HTTP on $http, state in "state"), and calls gw_start.
# `slow` is by how much waits are longer under a sanitizer.
cd "$SCRATCH" || exit 1
need "$OUT/postern" "$OUT/posternctl" "$OUT/posternsim"
slow=$([ "${FLAVOUR:-plain}" = plain ] && echo 1 || echo 4)
http=$(free_port)
base=http://127.0.0.1:$http
token=t-shop # of requests that name none
gw_pid=
sim_pids=()
export POSTERN_SOCKET=$SCRATCH/state/control.sock

# ---- the daemon
gw_launch() { # [ARGUMENT...]: starts it, does not wait
	chmod 600 gw.conf
	"$OUT/postern" -c gw.conf "$@" 2>>gw.log &
	gw_pid=$!
}
gw_start() { # starts it and waits until it is ready
	local before
	before=$(grep -c ' ready ' gw.log 2>/dev/null)
	gw_launch
	if ! await $((10 * slow)) gw_readier "${before:-0}"; then
		fail "the gateway did not get ready"
		tail -n 20 gw.log
		finish
	fi
}
gw_readier() {
	kill -0 "$gw_pid" || return 0 # ended: the caller's next word finds out
	[ "$(grep -cE ' ready |"event":"ready"|"msg":"ready"' gw.log)" -gt "$1" ]
}
gw_stop() { # SIGTERM; the status that it ended with
	local status
	[ -n "$gw_pid" ] || return 0
	kill -TERM "$gw_pid"
	wait "$gw_pid"
	status=$?
	gw_pid=
	return "$status"
}
gw_kill() { # kill -9
	kill -KILL "$gw_pid"
	wait "$gw_pid" 2>/dev/null
	gw_pid=
}
ctl() { timeout $((20 * slow)) "$OUT/posternctl" "$@"; }

# ---- stand-ins
sim() { # ARGUMENT...: a posternsim in the background; its pid is in $sim_pid
	"$OUT/posternsim" "$@" &
	sim_pid=$!
	sim_pids+=("$sim_pid")
}
sim_end() { # [PID]: ends it, by default the last one, and waits for it
	kill "${1:-$sim_pid}" 2>/dev/null
	wait "${1:-$sim_pid}"
}
end_all() {
	local pid
	for pid in $gw_pid "${sim_pids[@]}"; do
		kill "$pid" 2>/dev/null
	done
	wait
}
trap end_all EXIT

# ---- the API: sets `code` and `body`
api() { # METHOD PATH [BODY [CURL-OPTION...]]
	local method=$1 path=$2 data=${3-}
	shift 2
	[ $# = 0 ] || shift
	body=$(curl -sS -m $((30 * slow)) -X "$method" -H "Authorization: Bearer $token" ${data:+--data-binary "$data"} \
		-w '\n%{http_code}' "$@" "$base$path" 2>&1)
	code=${body##*$'\n'} body=${body%$'\n'*}
}
as() { # TOKEN COMMAND...
	local token=$1
	shift
	"$@"
}
# answers STATUS [JQ-CONDITION]: about the last api call
answers() {
	[ "$code" = "$1" ] || { echo "$code instead of $1: $body"; return 1; }
	[ $# -lt 2 ] || jq -e "$2" <<<"$body" >/dev/null || { echo "not: $2"; echo "$body"; return 1; }
}
# expect NAME STATUS CONDITION METHOD PATH [BODY...]: one thing tried
expect() {
	local name=$1 status=$2 condition=$3
	shift 3
	api "$@"
	verify "$name" answers "$status" "${condition:-true}"
}
# submit BODY: its id
submit() {
	api POST /v1/messages "$1"
	jq -er .id <<<"$body" || { echo "not accepted: $code $body" >&2; return 1; }
}
state_of() { ctl --json message "$1" | jq -r .state; }
is_state() { [ "$(state_of "$1")" = "$2" ]; }
# becomes ID STATE [SECONDS]
becomes() { await $((${3:-10} * slow)) is_state "$1" "$2" || { ctl message "$1"; return 1; }; }
# (jq -s: without it jq takes no input at all for a yes)
message_has() { # ID JQ-CONDITION
	ctl --json message "$1" | jq -se ".[0] | $2" >/dev/null || { ctl message "$1"; echo "not: $2"; return 1; }
}
channel_has() { # NAME JQ-CONDITION
	ctl --json channel "$1" | jq -se ".[0] | $2" >/dev/null || { ctl channel "$1"; echo "not: $2"; return 1; }
}
metric() { curl -sS "$base/metrics" | awk -v want="$1" '$1 == want { print $2 }'; }
