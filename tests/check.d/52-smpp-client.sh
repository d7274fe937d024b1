#!/bin/bash
# The SMPP client: channels of the running daemon against SMSCs by posternsim, each with a fault or
# a habit of its own; what is submitted over HTTP must end as it should, and only once.
# timeout: 240
. tests/lib.sh
. tests/gateway.sh

# smsc NAME [OPTION...]: an SMSC; its port is in $SCRATCH/NAME.port, its socket NAME.sock
smsc() {
	local name=$1
	shift
	sim smsc --listen "127.0.0.1:$(cat "$name.port" 2>/dev/null || echo 0)" --port-file "$name.port" \
		--control "$name.sock" --record "$name.rec" --quiet "$@" 2>>"$name.log"
	await 10 test -s "$name.port" || { fail "no SMSC $name"; cat "$name.log"; finish; }
	eval "pid_$name=$sim_pid"
}
stats() { "$OUT/posternsim" control "$1.sock" stats; }
smsc_has() { # NAME JQ-CONDITION
	stats "$1" | jq -se ".[0] | $2" >/dev/null || { stats "$1"; echo "not: $2"; return 1; }
}
soon() { # SECONDS COMMAND...: within that time; shows what the command says last
	await $(($1 * slow)) "${@:2}" || "${@:2}"
}
sms() { printf '{"media":"sms","from":"Shop","to":"%s","text":"%s","channel":"%s"%s}' "$2" "${3:-hej}" "$1" "${4:+,$4}"; }
# load CHANNEL COUNT [OPTION...]: messages to it, all accepted
load() {
	"$OUT/posternsim" http --connect "127.0.0.1:$http" --token "$token" --count "$2" --form array --batch 50 \
		--connections 2 --to '+4670{n:7}' --extra "\"channel\":\"$1\"" --expect-accepted "${@:3}"
}
delivered() { # CHANNEL N: so many of its messages are
	local n
	n=$(ctl --json messages --channel "$1" --state delivered --limit 1000 | jq length)
	[ "$n" = "$2" ] || { ctl channel "$1"; echo "$n delivered"; return 1; }
}
# wrote NAME TO PATTERN [N]: N of what the SMSC was sent to that number read so (UDH, octets, text in hex, tab-separated);
# it writes its record once a second
wrote() { await $((5 * slow)) wrote_now "$@" || { cut -f 4,7,8,11 "$1.rec" | grep "^$2"; return 1; }; }
wrote_now() { [ "$(cut -f 4,7,8,11 "$1.rec" | grep -cP "^$2\\t$3")" = "${4:-1}" ]; }

smsc plain --account plain:secret --codec lib
smsc habits --codec fast
smsc hexdec --codec fast --ids hex-dec
smsc dechex --codec fast --ids dec-hex
smsc padded --codec fast --ids padded
smsc early --codec fast --ids hex-dec --receipt-first
smsc slow --codec fast --throttle 100/s
smsc errors --codec fast --error-to '46701*:0x08:1' --error-to '46702*:0x0b' --error-to '46703*:0x45' \
	--error-to '46704*:0x410' --error-to '46705*:0x411:1' --error-to '46706*:0x04:1'
smsc mute --codec fast --mute-taken 0.2
smsc late --codec fast --latency 1500ms
smsc refuser --codec fast --refuse-bind 0x0e:2
smsc broken --codec fast --drop-after 100
smsc silent --codec fast
smsc subscribers --codec lib
smsc words --codec fast --receipt-style words
smsc tlvs --codec fast --receipt-style tlv-only --receipts delivrd=.5,undeliv=.5

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
	-addext subjectAltName=DNS:localhost -keyout tls.key -out tls.pem 2>/dev/null
smsc tls --codec fast --tls-cert tls.pem --tls-key tls.key

channel() { # NAME [SETTINGS [SMSC [SYSTEM_ID]]]
	printf '{ name = "%s"; type = "smpp"; host = "127.0.0.1"; port = %s; system_id = "%s"; password = "secret";
		reconnect_first = "50ms"; reconnect_most = "500ms"; refused_first = "50ms"; refused_most = "200ms";
		retry_first = "100ms"; retry_most = "1s"; attempts_here = 100; %s },\n' "$1" "$(cat "${3:-$1}.port")" "${4:-$1}" "${2-}"
}
esme=$(free_port)
configure() { # [SETTINGS of plain]
	{
		cat <<-EOF
			state = "state";
			shutdown_grace = "5s";
			log = { level = "debug"; };
			http = { listen = "127.0.0.1:$http"; tokens = ( { name = "shop"; token = "t-shop"; scopes = [ "messages", "admin" ]; } ); };
			listeners = ( { name = "esme"; type = "smpp"; listen = "127.0.0.1:$esme";
				accounts = ( { system_id = "shop"; password = "secret"; window = 1000; } ); } );
			channels = (
		EOF
		channel plain "bind = \"transceiver\"; connections = 1; window = 100; rate = 0.0; ${1-}"
		channel sar 'split = "sar"; connections = 3;' habits
		channel payload 'split = "payload";' habits
		channel wide 'split = "udh16"; source_other = { ton = 2; npi = 1; }; priority = { high = 3; };
			service_type = "CMT"; validity = "absolute"; tlv_add = { x1400 = "text:1101"; };' habits
		channel packed 'dcs0 = "gsm-packed"; receipts = "none";' habits
		channel narrow 'window = 1;' habits
		channel out 'bind = "transmitter"; group = "halves";' habits halves
		channel in 'bind = "receiver"; group = "halves";' habits halves
		channel pair 'bind = "both"; connections = 2;' habits
		for name in hexdec dechex padded early words tlvs; do channel $name; done
		channel pinned 'id_form = "hex-dec";' hexdec
		channel slow 'window = 20;'
		channel errors 'status = { x411 = "temporary"; };'
		channel mute 'response_timeout = "500ms"; window = 50;'
		channel late 'response_timeout = "1s"; attempts = 1;'
		channel refuser
		channel broken 'window = 20; connections = 2;'
		channel silent 'enquire_link = "1s"; enquire_timeout = "1s";'
		channel subscribers 'mo_to = "smpp/shop"; connections = 2;'
		channel tls 'tls = { ca_file = "tls.pem"; server_name = "localhost"; };'
		channel tlsbad 'tls = { ca_file = "tls.pem"; server_name = "smsc.example"; };' tls
		channel tlsunknown 'tls = { server_name = "localhost"; };' tls
		channel tlsopen 'tls = { verify = false; };' tls
		channel wrong 'password = "other";' plain | sed 's/password = "secret";//'
		echo '{ name = "none"; type = "null"; } ); routes = ( { media = "sms"; via = [ "plain" ]; } );'
	} >gw.conf
}
configure
gw_start
kill -0 "$gw_pid" || { fail "the gateway ended"; cat gw.log; finish; }

# ---- codings and parts
id=$(submit "$(sms plain +46700000001 'a@€å')")
verify "one message is delivered" becomes "$id" delivered
verify "in GSM 7-bit" wrote plain 46700000001 '-\t5\t61001b650f$'
id=$(submit "$(sms plain +46700000003 'Привет 👍')")
verify "in UCS-2" becomes "$id" delivered
verify "its octets" wrote plain 46700000003 '-\t18\t041f044004380432043504420020d83ddc4d$'
long=$(printf '0123456789%.0s' {1..40})
id=$(submit "$(sms plain +46700000002 "$long")")
verify "three parts with UDH" becomes "$id" delivered
verify "each with its receipt" message_has "$id" '.parts == 3 and ([.part_list[]? | .state] | all(. == "delivered"))'
verify "their headers" wrote plain 46700000002 '050003..030[123]\t' 3
id=$(submit "$(sms sar +46700000004 "$long")")
verify "three parts with SAR" becomes "$id" delivered
verify "without headers" wrote habits 46700000004 '-\t' 3
id=$(submit "$(sms payload +46700000005 "$long")")
verify "one payload" becomes "$id" delivered
verify "of 400 octets" wrote habits 46700000005 '-\t400\t'
id=$(submit "$(sms wide +46700000006 "$long" '"priority":"high"')")
verify "three parts with 16-bit references" becomes "$id" delivered
verify "headers of seven octets" wrote habits 46700000006 '060804....030[123]\t' 3
id=$(submit "$(sms narrow +46700000008 "$long")")
verify "three parts through a window of one" becomes "$id" delivered
id=$(submit "$(sms packed +46700000007 'hello')")
verify "packed, and sent as the last word" becomes "$id" sent
verify "its octets" wrote habits 46700000007 '-\t5\te8329bfd06$'
expect "more parts than the channel takes" 422 '.detail // .errors[0].detail | tostring | test("parts")' POST /v1/messages \
	"$(sms plain +46700000002 "$(printf '0123456789%.0s' {1..200})")"
expect "a sender that cannot be" 400 'tostring | test("sender|/from")' POST /v1/messages \
	'{"media":"sms","from":"A very long name","to":"+46700000002","text":"x","channel":"plain"}'
id=$(submit "$(sms pair +46700000002)")
verify "transmitter and receiver" becomes "$id" delivered
verify "two pairs" channel_has pair '.far_side.bound == 4 and .window == 200'

id=$(submit "$(sms out +46700000002)")
verify "a receipt by another channel of the group" becomes "$id" delivered
verify "which does not send" channel_has in '.window == 0 and .far_side.bound == 1 and .receipts + .receipts_unmatched == 1 and (.why | test("receiver"))'

# ---- ids and receipts
for name in hexdec dechex padded words pinned; do
	verify "$name: 300 messages" load $name 300
	verify "$name: all delivered" soon 15 delivered $name 300
done
verify "the form is learned: hex-dec" channel_has hexdec '.far_side.id_form == "hex-dec (learned)"'
verify "the form is learned: dec-hex" channel_has dechex '.far_side.id_form == "dec-hex (learned)"'
verify "the form is learned: zeros" channel_has padded '.far_side.id_form == "strip (learned)"'
verify "a form that is set" channel_has pinned '.far_side.id_form == "hex-dec"'
verify "receipts that overtake their responses, in another base" load early 300
verify "all delivered" soon 15 delivered early 300
verify "receipts by TLVs alone" load tlvs 300
verify "half of them" soon 15 channel_has tlvs '.receipts == 300 and .delivered > 90 and .delivered < 210'

# ---- refusals
id=$(submit "$(sms errors +46701000001)")
verify "temporary: sent again" becomes "$id" delivered
verify "on the second attempt" message_has "$id" '.attempts >= 2'
id=$(submit "$(sms errors +46702000001)")
verify "bad destination: rejected" becomes "$id" rejected
verify "with the far side's word" message_has "$id" '.reason == "far_destination" and (.words | test("ESME_RINVDSTADR"))'
id=$(submit "$(sms errors +46703000001)")
verify "submit failed: three tries, then rejected" becomes "$id" rejected
id=$(submit "$(sms errors +46704000001)")
verify "a vendor's status: rejected" becomes "$id" rejected
verify "and an alarm" grep -q 'unmapped status.*0x410' gw.log
id=$(submit "$(sms errors +46705000001)")
verify "a mapped one: sent again" becomes "$id" delivered
id=$(submit "$(sms errors +46706000001)")
verify "wrong bind state: binds again, and delivers" becomes "$id" delivered
verify "with a second connection" soon 5 channel_has errors '.far_side.connects >= 2'
verify "throttled: 300 messages" load slow 300
verify "all delivered" soon 30 delivered slow 300
verify "throttled on the way, each taken once" smsc_has slow '.throttled > 0 and .accepted == 300'

# ---- answers that do not come, or late
verify "a fifth of answers missing" load mute 200
verify "all delivered" soon 30 delivered mute 200
verify "known as uncertain" channel_has mute '.uncertain > 10 and .far_side.timeouts > 10'
id=$(submit "$(sms late +46700000007)")
verify "answered too late: its receipt counts" becomes "$id" delivered
verify "the late answer is counted" channel_has late '.far_side.late_answers >= 1'

# ---- connections
verify "refused twice, then bound" soon 10 channel_has refuser '.far_side.binds_refused == 2 and .far_side.bound == 1'
verify "in the log" grep -q 'smsc connection down channel=refuser.*ESME_RINVPASWD' gw.log
verify "a wrong password keeps trying" soon 10 channel_has wrong '.health == "down" and .far_side.binds_refused >= 3
	and (.why | test("bind refused: ESME_R.*check"))'
verify "dropped again and again" load broken 500
verify "all delivered" soon 60 delivered broken 500
verify "repeats in bounds" smsc_has broken '.accepted >= 500 and .accepted <= 500 + .drops * 20'
"$OUT/posternsim" control silent.sock set enquire-mute true >/dev/null || "$OUT/posternsim" control silent.sock set enquire-mute
verify "no answer to enquire_link: connects again" soon 15 channel_has silent '.far_side.connects >= 2'
verify "counted" test "$(metric 'postern_smpp_links_silent_total{channel="silent"}')" -ge 1
kill "$pid_plain"
wait "$pid_plain"
verify "the SMSC is gone" soon 10 channel_has plain '.health == "down" and (.why | test("refused"))'
id=$(submit "$(sms plain +46700000009)")
cut=$(submit "$(sms plain +46700000010 "$long")")
verify "a long one waits in three parts" message_has "$cut" '.parts == 3'
configure 'split = "payload";'
ctl reload >/dev/null
smsc plain --account plain:secret --codec lib
verify "and back: what waited is delivered" becomes "$id" delivered
verify "the long one, too, by settings of today" becomes "$cut" delivered
verify "which make one part of it" message_has "$cut" '.parts == 1'
verify "with one credit for it" channel_has plain '.in_flight == 0'

# ---- TLS
id=$(submit "$(sms tls +46700000001)")
verify "over TLS" becomes "$id" delivered
verify "of a good version" channel_has tls '.far_side.sessions[0].tls | test("TLSv1.[23]")'
verify "another name is not trusted" soon 5 channel_has tlsbad '.health == "down" and (.why | test("certificate|name"; "i"))'
verify "nor an unknown authority" soon 5 channel_has tlsunknown '.health == "down" and (.why | test("certificate|self"; "i"))'
verify "unless told so" soon 5 channel_has tlsopen '.health == "up"'
verify "with a warning" grep -q 'certificates are not checked channel=tlsopen' gw.log

# ---- subscribers
sim esme --connect "127.0.0.1:$esme" --system-id shop --password secret --count 0 --linger 60s \
	--record-mo mo.rec --codec fast 2>esme.log >esme.json
pid_esme=$sim_pid
verify "the account is bound" await 10 sh -c "curl -sS $base/metrics | grep -q 'postern_account_sessions{account=\"smpp/shop\"} 1'"
mo() { "$OUT/posternsim" control subscribers.sock mo "$1"; }
verify "five short ones" mo "from=46700000001,to=12345,text=hello,count=5"
verify "are heard" soon 10 channel_has subscribers '.mo == 5'
verify "ten in three parts, in UCS-2" mo "from=4670{n:7},to=12345,text=$(printf 'ж👍%.0s' {1..60}),count=10,parts=3,ucs2"
verify "are put together" soon 10 channel_has subscribers '.mo == 15'
verify "each was answered once" smsc_has subscribers '.mo_acked == 35 and .mo_sent == 35'
verify "the account has taken them" soon 10 sh -c "curl -sS $base/metrics | grep -q 'postern_account_notes_total{account=\"smpp/shop\"} 15'"
sim_end "$pid_esme"
verify "the short ones as they came" test "$(grep -c '68656c6c6f$' mo.rec)" = 5
verify "the long ones in parts again" test "$(wc -l <mo.rec)" = 35

# ---- reload
connects=$(ctl --json channel plain | jq .far_side.connects)
configure 'split = "sar"; response_timeout = "30s";'
ctl reload >/dev/null
id=$(submit "$(sms plain +46700000002 "$long")")
verify "a long text goes in parts again" becomes "$id" delivered
verify "in three" message_has "$id" '.parts == 3'
verify "over the old connection" channel_has plain ".far_side.connects == $connects"
configure 'system_type = "VMA";'
ctl reload >/dev/null
id=$(submit "$(sms plain +46700000002)")
verify "another system_type" becomes "$id" delivered
verify "is another connection" soon 5 smsc_has plain '.binds >= 2 and .unbinds >= 1'

# ---- the end
gw_stop && ok "stops" || fail "stops with status $?"
for name in plain habits hexdec subscribers tls; do
	verify "$name: all unbound" smsc_has $name '.bound == 0 and .bad_pdus == 0 and .unbinds >= 1'
done
verify "nothing was broken on the way" sh -c "! grep -E 'bug:|PDU not understood|unreadable' gw.log"
finish
