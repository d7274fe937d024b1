#!/bin/bash
# posternsim against itself: its two codecs as each other's peer, every form of id and receipt,
# every fault it can be asked for. What stands here is what other tests rely on.
# timeout: 240
. tests/lib.sh
need "$OUT/posternsim"
sim=$OUT/posternsim
cd "$SCRATCH" || exit 2

# talk NAME "SMSC OPTIONS" "ESME OPTIONS" JQ: runs both to the end; JQ must hold of {smsc, esme}.
# Options are words: no spaces inside one.
talk() {
	local name=$1 pid status=0
	rm -f port smsc.json
	# shellcheck disable=SC2086
	"$sim" smsc --listen 127.0.0.1:0 --port-file port --stats-file smsc.json --quiet \
		--record taken $2 2>smsc.log &
	pid=$!
	await 10 test -s port || { fail "$name: no SMSC"; cat smsc.log; return; }
	# shellcheck disable=SC2086
	timeout 60 "$sim" esme --connect "127.0.0.1:$(cat port)" --record accepted $3 >esme.json 2>esme.log || status=$?
	kill "$pid" && wait "$pid" || { fail "$name: the SMSC died"; cat smsc.log; return; }
	jq -n --argjson status "$status" '{status: $status, smsc: input, esme: input}' smsc.json esme.json >both.json
	if jq -e "$4" both.json >/dev/null; then ok "$name"; else
		fail "$name: not so: $4"
		cat both.json smsc.log esme.log
	fi
}
clean='.status == 0 and .esme.missing == 0 and .esme.duplicates == 0 and .esme.unknown == 0 and .esme.mismatched == 0'
strict='--expect-receipts --expect-accepted'

verify "the quick codec and libsmpp34 write and read alike" "$sim" codecs --count 20000 --seed 7

talk "ESME by libsmpp34, SMSC quick" "--codec fast" "--codec lib --count 2000 --window 50 $strict" \
	"$clean and .esme.lib.left == 0 and .esme.lib.disagreed == 0"
talk "ESME quick, SMSC by libsmpp34" "--codec lib" "--codec fast --count 2000 --window 50 --binds 3 $strict" \
	"$clean and .smsc.lib.left == 0 and .smsc.lib.disagreed == 0"
mix=text=.2,long=.1,ucs2=.1,udh=.1,sar=.1,payload=.1,data=.1,binary=.1,flash=.05,multi=.05
talk "every kind of message" "--codec lib" "--codec lib --count 1000 --window 20 --mix $mix $strict" \
	"$clean and .smsc.accepted == .esme.wanted and .smsc.lib.disagreed == 0"
verify "the proof finds each of them once" "$sim" prove --accepted accepted --taken taken --most-repeats 0
head -n -5 taken >fewer
verify "and misses what is not there" sh -c "! $sim prove --accepted accepted --taken fewer"

for ids in dec hex hex-dec dec-hex upper lower padded unpadded hex-padded hex-unpadded space uuid long; do
	case $ids in
	dec | hex | uuid | long) want="$clean" ;;
	*) want='.status == 1 and .esme.missing == 50 and .esme.unknown == 50' ;; # as one who compares strings sees it
	esac
	talk "ids $ids" "--codec fast --ids $ids" "--codec fast --count 50 --drain 300ms --expect-receipts" "$want"
done
for style in std text short tlv-only payload; do
	talk "receipts $style" "--codec lib --receipt-style $style" "--codec lib --count 50 $strict" "$clean and .esme.finals == 50"
done
talk "receipts utf16" "--codec fast --receipt-style utf16" "--codec fast --count 5 --drain 300ms" '.smsc.receipts_acked == 5'
talk "receipts that look like MO" "--receipt-style plain" "--count 5 --drain 300ms" '.esme.mo == 5'

talk "shares of states" "--codec fast --receipts delivrd=.5,undeliv=.2,expired=.1,none=.2" \
	"--codec fast --count 2000 --drain 200ms --window 100" \
	'.esme.missing == .smsc.receipts.none and .esme.receipts.DELIVRD > 900 and .esme.receipts.UNDELIV > 300 and .esme.receipts.EXPIRED > 130'
talk "a state for a destination" "--receipt-to 46700000003:undeliv" "--count 5 $strict" '.esme.receipts.UNDELIV == 1'
talk "receipt before its response" "--codec fast --receipt-first" "--codec fast --count 200 --window 20 $strict" "$clean and .esme.early == 200"
talk "receipts twice" "--codec fast --receipt-twice 1" "--codec fast --count 100 --window 10 --linger 200ms" '.esme.duplicates == 100'
talk "receipts later, over other binds" "--codec fast --receipt-delay 50ms..150ms" "--codec fast --count 500 --binds 2 --bind tx+rx --window 50 $strict" \
	"$clean and .esme.receipt_latency.p50_ms > 40 and .esme.receipt_latency.max_ms < 2000"
talk "intermediate notifications" "--intermediate" "--count 20 $strict" "$clean and .esme.intermediates == 20"
talk "none asked, none sent" "" "--count 20 --registered 0 --linger 200ms" '.esme.finals == 0'
talk "only failures asked" "--receipts delivrd=.5,undeliv=.5" "--count 100 --registered 2 --linger 200ms" '.esme.receipts.DELIVRD == null and .esme.receipts.UNDELIV > 20'

talk "throttling" "--codec fast --throttle 500" "--codec fast --count 400 --window 50 --retry --retry-delay 50ms $strict" \
	"$clean and .smsc.throttled > 0 and .esme.seconds > 0.5"
talk "errors by share" "--codec fast --error 0x08:0.2 --error 0x45:10%" "--codec fast --count 2000 --window 100 --drain 200ms" \
	'(.esme.status["0x08"] > 250) and (.esme.status["0x45"] > 100) and .esme.missing == 0'
talk "errors by destination, twice" "--error-to 46700000004:0x14:2" "--count 10 --retry --retry-delay 10ms $strict" '.esme.status["0x14"] == 2'
talk "refusals with a body" "--error 0x45:1 --error-body" "--codec lib --count 5" '.esme.status["0x45"] == 5'
talk "latency" "--latency 30ms..60ms" "--count 20 $strict" "$clean and .esme.latency.p50_ms > 25"
talk "no answer" "--mute 1" "--count 3 --response-timeout 1s" '.status == 1 and .esme.lost_in_flight == 3 and .smsc.accepted == 0'
talk "dropped and resent" "--codec fast --drop-after 100" "--codec fast --count 1000 --window 10 --reconnect --resend --drain 500ms $strict" \
	'.status == 0 and .smsc.drops > 5 and .esme.lost_in_flight > 0'
talk "a slow receiver gets its receipts again" "" "--codec fast --count 100 --window 10 --deliver-again 0.3 --drain 5s $strict" \
	"$clean and .smsc.receipts_again > 10"
talk "bind refused at first" "--refuse-bind 0x0d:2" "--count 5 --reconnect $strict" "$clean and .esme.bind_refused == 2"
talk "wrong password" "--account shop:other" "--count 1" '.status == 1 and .smsc.bind_refused == 1'
talk "too many binds" "--max-binds 1" "--binds 2 --count 1" '.status == 1 and .esme.bind_refused == 1'
talk "a set rate" "" "--codec fast --count 200 --rate 400 --window 50 $strict" "$clean and .esme.seconds > 0.4 and .esme.seconds < 5"
talk "subscribers write, in parts and beyond Latin" "--mo from=46701,to=777,count=10,rate=100 --mo from=46702,to=777,count=5,parts=3,ucs2,text=Привет-{n}" \
	"--count 0 --run-for 2s --record-mo mo" '.esme.mo == 25 and .smsc.mo_acked == 25'
verify "and say what they were told to" grep -q "	46702	777	8	64	050003000301041f0440" mo
talk "enquire_link from the ESME" "--latency 3s" "--count 1 --enquire 500ms $strict" "$clean and .smsc.enquires > 0"
talk "enquire_link from the SMSC" "--latency 3s --enquire 500ms" "--count 1 $strict" "$clean and .esme.enquires > 0"
talk "an SMSC that does not answer it" "--latency 9s --enquire-mute" "--count 1 --enquire 500ms --response-timeout 1s" ".status == 1 and .esme.lost_in_flight == 1"

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=127.0.0.1 \
	-addext subjectAltName=IP:127.0.0.1,DNS:127.0.0.1 -keyout key.pem -out cert.pem 2>/dev/null
talk "TLS" "--tls-cert cert.pem --tls-key key.pem" "--tls --ca-file cert.pem --count 2000 --window 100 --codec fast $strict" "$clean"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=other -keyout k2.pem -out c2.pem 2>/dev/null
talk "TLS from one who is not trusted" "--tls-cert cert.pem --tls-key key.pem" "--tls --ca-file c2.pem --count 1" '.status == 1 and .esme.binds == 0'

# ---- a running SMSC takes commands
rm -f port
"$sim" smsc --listen 127.0.0.1:0 --port-file port --control ctl --quiet 2>smsc.log &
pid=$!
await 10 test -s port
verify "control: stats" sh -c "$sim control ctl stats | jq -e '.submits == 0'"
verify "control: set" "$sim" control ctl set error-to '*:0x14'
verify "control: the setting holds" sh -c "$sim esme --connect 127.0.0.1:$(cat port) | jq -e '.status[\"0x14\"] == 1'"
verify "control: a wrong setting is refused" sh -c "! $sim control ctl set throttle fast"
"$sim" control ctl quit >/dev/null
if wait "$pid"; then ok "control: quit"; else fail "control: quit"; cat smsc.log; fi

# ---- HTTP: the client against the receiver of webhooks, which can be made to say 202
rm -f port
"$sim" webhook --listen 127.0.0.1:0 --port-file port --fail 1 --fail-status 202 &
pid=$!
await 10 test -s port
verify "http: 5,000 by 8 connections" sh -c "$sim http --connect 127.0.0.1:$(cat port) --token t --count 5000 --connections 8 --expect-accepted | jq -e '.connects == 8'"
verify "http: GET" sh -c "! $sim http --connect 127.0.0.1:$(cat port) --get '/cgi-bin/sendsms?to={to}&text={text}' --expect-accepted" # 405: POST only
kill "$pid" && wait "$pid"
rm -f port
"$sim" webhook --listen 127.0.0.1:0 --port-file port --secret s3cret --stats-json >hook.json &
pid=$!
await 10 test -s port
url=http://127.0.0.1:$(cat port)/hook now=$(date +%s) body='{"id":"1","state":"delivered"}'
sign() { printf '%s' "$1.$2" | openssl dgst -sha256 -hmac "$3" -r | cut -d' ' -f1; }
post() { [ "$(curl -s -o /dev/null -w '%{http_code}' -d "$body" "${@:2}" "$url")" = "$1" ]; }
verify "webhook: signed" post 200 -H "Postern-Signature: t=$now,v1=$(sign "$now" "$body" s3cret)"
verify "webhook: again, chunked" post 200 -H "Postern-Signature: t=$now,v1=$(sign "$now" "$body" s3cret)" -H "Transfer-Encoding: chunked"
verify "webhook: forged" post 401 -H "Postern-Signature: t=$now,v1=$(sign "$now" "$body" other)"
verify "webhook: old" post 401 -H "Postern-Signature: t=1000,v1=$(sign 1000 "$body" s3cret)"
verify "webhook: not signed" post 401
kill "$pid" && wait "$pid"
verify "webhook: counts" jq -e '.good == 2 and .repeats == 1 and .forged == 1 and .stale == 1 and .unsigned == 1 and .states.delivered == 2' hook.json

# ---- what nobody should have to guess
for command in smsc esme http webhook ceiling prove control codecs; do
	verify "$command --help" sh -c "$sim $command --help | grep -q 'usage: posternsim $command'"
done
said() { "${@:2}" 2>&1 | grep -q -- "$1"; }
verify "an unknown option is told, with a guess" said "did you mean --latency" "$sim" smsc --latenzy 3ms
verify "a wrong value is told" said "duration" "$sim" smsc --receipt-delay 50
verify "a missing value is told" said "wants a value" "$sim" esme --count
verify "a taken port is told" said "listen on" "$sim" smsc --listen 203.0.113.1:1

# ---- hostile bytes: the guards in front of libsmpp34 hold
rm -f port
"$sim" smsc --listen 127.0.0.1:0 --port-file port --codec lib --quiet --stats-file smsc.json 2>smsc.log &
pid=$!
await 10 test -s port
# In a shell of its own, as the SMSC may well close first.
hex() { (printf '%b' "$(sed 's/../\\x&/g' <<<"$1")" >"/dev/tcp/127.0.0.1/$(cat port)") || true; }
tlvs=$(printf '14%02x0000' {0..39})
hex "$(printf '%08x' $((16 + 17 + 160)))000000040000000000000001$(printf '00%.0s' {1..17})$tlvs" # 40 TLVs, before a bind
hex 474554202f20485454502f312e310d0a0d0a0d0a                                                  # GET / HTTP/1.1
hex 0000000f00000004000000000000000100                                                        # too short
hex 000000100000dead0000000000000001                                                          # no such command
(head -c 20000 /dev/urandom >"/dev/tcp/127.0.0.1/$(cat port)") 2>/dev/null || true
verify "it still serves after hostile bytes" "$sim" esme --connect "127.0.0.1:$(cat port)" --codec lib --count 20 --expect-receipts --expect-accepted
kill "$pid" && wait "$pid"
verify "and has counted them" jq -e '.bad_pdus >= 3 and .nacks >= 3' smsc.json
finish
