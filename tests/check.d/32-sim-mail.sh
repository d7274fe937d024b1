#!/bin/bash
# posternsim's mail server and submitter, against each other and against swaks and smtp-source: what
# stands here is what other tests rely on.
# timeout: 180
. tests/lib.sh
need "$OUT/posternsim"
PATH=$PATH:/usr/sbin
sim=$OUT/posternsim
cd "$SCRATCH" || exit 2
openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost \
	-addext subjectAltName=DNS:localhost,IP:127.0.0.1 2>/dev/null

# sink OPTION...: anew, with a record
sink() {
	rm -rf port kept taken sink.json
	"$sim" smtp --listen 127.0.0.1:0 --port-file port --quiet --record taken --keep kept --stats-file sink.json \
		--tls-cert cert.pem --tls-key key.pem --control ctl "$@" 2>sink.log &
	sink_pid=$!
	await 10 test -s port || { fail "no sink"; cat sink.log; }
	port=$(cat port)
}
sink_end() { kill "$sink_pid"; wait "$sink_pid" || { fail "the sink died"; cat sink.log; }; }
mail() { timeout 60 "$sim" mail --connect "127.0.0.1:$port" --record accepted "$@" >mail.json 2>mail.log; }
# talk NAME "SINK OPTIONS" "MAIL OPTIONS" JQ: of {sink, mail, status}; underscores in options are spaces
talk() {
	local name=$1 status=0 a b
	# shellcheck disable=SC2206
	a=($2) b=($3)
	sink "${a[@]//_/ }"
	mail "${b[@]//_/ }" || status=$?
	sink_end
	jq -n --argjson status "$status" '{status: $status, sink: input, mail: input}' sink.json mail.json >both.json
	if jq -e "$4" both.json >/dev/null; then ok "$name"; else
		fail "$name: not so: $4"
		cat both.json sink.log mail.log
	fi
}
all='.status == 0 and .mail.crashes == 0'
talk "mails over kept connections" "" "--count 500 --sessions 3 --size 3000 --expect-accepted" \
	"$all and .sink.mails == 500 and .sink.octets == 1500000 and .sink.bare == 0 and .sink.connections < 10"
verify "the proof finds each of them once" "$sim" prove --accepted accepted --taken taken --most-repeats 0
head -n -5 taken >fewer
verify "and misses what is not there" sh -c "! $sim prove --accepted accepted --taken fewer"
verify "the record's digest is that of what is kept" sh -c '
	id=$(awk "NR == 7 {print \$2}" taken); [ "$(awk "NR == 7 {print \$6}" taken)" = "$(sha256sum <kept/$id.eml | cut -d" " -f1)" ]'
talk "STARTTLS" "--tls must" "--count 50 --tls must --ca-file cert.pem --expect-accepted" "$all and .sink.tls > 0"
talk "no TLS where it must be" "--tls must" "--count 1" '.status == 1 and .mail.untried == 1 and .sink.mails == 0'
talk "AUTH" "--account shop:secret" "--count 50 --user shop --password secret --expect-accepted" "$all and .sink.auths > 0"
talk "AUTH with another password" "--account shop:secret" "--count 2 --user shop --password x" '.status == 1 and .sink.mails == 0 and .sink.auths_failed > 0'
talk "BDAT" "" "--count 20 --chunking --size 50000 --expect-accepted" "$all and .sink.chunks >= 20 and .sink.mails == 20"
talk "three recipients, one unknown" "--error-to user0000004@*:550_5.1.1_Unknown" "--count 2 --recipients 3" \
	'.mail.accepted == 1 and .mail.partly == 1 and .mail.recipients == 5 and .sink.recipients == 5'
talk "a share is refused" "--error rcpt:20%:550_5.1.1_Unknown" "--count 300 --sessions 2" \
	'.mail.refused > 20 and .mail.refused < 120 and .mail.accepted + .mail.refused == 300'
talk "refused after the content, twice" "--refuse-to *:2:451_4.3.0_Later" "--count 5 --retry --expect-accepted" "$all and .mail.tried_again == 2"
talk "greylisting" "--greylist 300ms" "--count 3 --sessions 1 --retry --expect-accepted" "$all and .sink.greylisted > 2"
talk "421 after so many mails" "--messages 5" "--count 40 --sessions 2 --reconnect --expect-accepted" "$all and .sink.connections > 7"
talk "421 to the connection" "--error connect:1:421_4.3.2_Not_today" "--count 1" '.status == 1 and .mail.untried == 1'
talk "too large" "--size-most 10000" "--count 1 --size 20000" '.mail.refused == 1 and .mail.status."552" == 1'
for stage in ehlo mail rcpt data content dot; do
	talk "a connection dropped: $stage" "--drop $stage:1:2" "--count 20 --sessions 2 --reconnect --resend --expect-accepted" \
		'.status == 0 and .sink.drops == 2 and .sink.mails == 20'
done
talk "dropped when it was taken" "--drop reply:1:1" "--count 10 --sessions 1 --reconnect" \
	'.mail.uncertain == 1 and .mail.accepted == 9 and .sink.mails == 10 and .sink.unanswered == 1'
talk "latency" "--latency 100ms --reply-latency 5ms" "--count 4 --sessions 1 --expect-accepted" "$all and .mail.latency.p50_ms > 100"

sink --account shop:secret
for how in PLAIN LOGIN; do
	verify "swaks, $how under TLS" timeout 30 swaks -s "127.0.0.1:$port" -tls -a "$how" -au shop -ap secret -t anna@example.org -f shop@shop.example --silent 2
done
verify "swaks, pipelined" timeout 30 swaks -s "127.0.0.1:$port" --pipeline -a PLAIN -au shop -ap secret -t anna@example.org -f shop@shop.example --silent 2
verify "swaks without AUTH is refused" sh -c "timeout 30 swaks -s 127.0.0.1:$port -t anna@example.org -f shop@shop.example | grep -q '530 5.7.0'"
sink_end
sink
verify "smtp-source" timeout 60 smtp-source -d -s 5 -m 200 -l 4096 "127.0.0.1:$port"
verify "its mails are all there" sh -c "$sim control ctl stats | jq -e '.mails == 200'"
printf 'EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\nSubject: x\r\n\r\na\n.\nb\n.\r\nc\r\n.\nd\r\n..e\r\n.\r\nQUIT\r\n' >said
exec 3<>"/dev/tcp/127.0.0.1/$port"
cat said >&3
timeout 10 cat <&3 >heard
exec 3>&-
"$sim" control ctl stats >/dev/null # writes the record out
verify "dots behind a bare LF are content, and told" sh -c "grep -q '^221' heard && tail -n 1 taken | grep -q taken-bare && printf 'Subject: x\r\n\r\na\n.\nb\n.\r\nc\r\n\nd\r\n.e\r\n' | cmp - kept/201.eml"
sink_end
finish
