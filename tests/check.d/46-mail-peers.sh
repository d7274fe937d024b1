#!/bin/bash
# Mail with parties that we did not write, on either side of the gateway: swaks, libesmtp, raw sockets
# that try to smuggle, and a real Postfix as our smarthost and as one whose smarthost we are.
# timeout: 300
. tests/lib.sh
root=$PWD
. tests/gateway.sh
. "$root/tests/bench/postfix.sh"
listens() { ss -Hltn "sport = :$1" | grep -q .; }
openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost \
	-addext subjectAltName=DNS:localhost,IP:127.0.0.1 2>/dev/null
smtp=$(free_port) must=$(free_port) sink=$(free_port) smarthost=$(free_port) upstream=$(free_port)
# Postfix's user has to get there, which the tree of somebody's home may not let it.
offices=$(mktemp -d /tmp/postern-postfix.XXXXXX) && chmod 755 "$offices" || exit 1
trap 'postfix_stop "$offices/smarthost"; postfix_stop "$offices/upstream"; rm -rf "$offices"; end_all' EXIT
sim smtp --listen "127.0.0.1:$sink" --quiet --record taken --keep kept --control sink.ctl --error-to 'nobody*@*:550 5.1.1 There is nobody of that name' \
	--error-to 'later@*:2:451 4.3.0 Come back' --tls-cert cert.pem --tls-key key.pem 2>sink.log
cat >gw.conf <<CONF
state = "state";
http  = { listen = "127.0.0.1:$http"; };
mail  = { hostname = "gw.shop.example"; secret = "a secret of these tests"; bounce_domain = "bounce.shop.example"; };
listeners = (
	{ name = "submission"; type = "smtp"; listen = "127.0.0.1:$smtp"; tls = { mode = "may"; cert_file = "cert.pem"; key_file = "key.pem"; };
	  size_most = "1MiB"; greeting_pause = "0s"; per_address = 100;
	  accounts = ( { user = "shop"; password = "secret"; allow = [ "127.0.0.1" ]; from = [ "*@shop.example" ]; },
	               { user = "other"; password = "secret"; allow = [ "10.0.0.0/8" ]; } ); },
	{ name = "must"; type = "smtp"; listen = "127.0.0.1:$must"; tls = { mode = "must"; cert_file = "cert.pem"; key_file = "key.pem"; };
	  command_wait = "2s"; accounts = ( { user = "trusted"; trust = [ "127.0.0.2" ]; } ); } );
channels = (
	{ name = "sink"; type = "smtp"; host = "127.0.0.1"; port = $sink; connections = 2; retry_first = "200ms"; retry_most = "400ms"; },
	{ name = "smarthost"; type = "smtp"; host = "127.0.0.1"; port = $smarthost; connections = 2; reconnect_most = "1s"; } );
routes = (
	{ media = "email"; to = "*@postfix.example"; via = [ "smarthost" ]; },
	{ media = "email"; to = "*.example"; via = [ "sink" ]; } );
CONF
gw_start
came() { # PATTERN: how many mails for such an address the sink has
	"$OUT/posternsim" control sink.ctl stats >/dev/null # writes its record out
	awk -F'\t' -v to="^$1\$" '$4 ~ to {n++} END {print n + 0}' taken
}
have_come() { [ "$(came "$1")" -ge "$2" ]; }
has_come() { have_come "$1" 1; }

# ---- swaks: what is answered, code by code
swaks_says() { # NAME PATTERN OPTION...: in the whole conversation
	local name=$1 pattern=$2
	shift 2
	timeout $((30 * slow)) swaks -s 127.0.0.1 -p "$smtp" -f shop@shop.example --timeout 20 "$@" >swaks.log 2>&1
	verify "swaks: $name" sh -c "grep -qE -- '$pattern' swaks.log || { cat swaks.log; false; }"
}
login=(-au shop -ap secret)
for how in PLAIN LOGIN; do
	swaks_says "$how, STARTTLS" '^<~  250 2\.0\.0' -t "$how@users.example" -tls -a $how "${login[@]}"
	verify "it arrives" await 10 has_come "$how@users.example"
done
swaks_says "pipelined" '^<-  250 2\.0\.0' -t pipelined@users.example --pipeline -a PLAIN "${login[@]}"
swaks_says "refused for now: it comes again" '^<-  250 2\.0\.0' -t later@users.example -a PLAIN "${login[@]}"
swaks_says "a wrong password" '^<\*\* 535 5\.7\.8' -t a@users.example -a PLAIN -au shop -ap wrong
swaks_says "an account that may not come from here" '^<\*\* 535 5\.7\.' -t a@users.example -a PLAIN -au other -ap secret
swaks_says "no login" '^<\*\* 5[35]0 5\.7\.' -t a@users.example
swaks_says "no TLS where it must be" '^<\*\* 530 5\.7\.0' -t a@users.example -p "$must"
swaks_says "TLS where it must be, and trust" '^<~  250 2\.0\.0' -t trusted@users.example -tls -p "$must" --local-interface 127.0.0.2
swaks_says "another's sender" '^<\*\* 553 5\.7\.1' -t a@users.example -f ceo@bank.example -a PLAIN "${login[@]}"
swaks_says "a recipient without a route" '^<\*\* 550 5\.1\.' -t a@nowhere.invalid -a PLAIN "${login[@]}"
swaks_says "an address that is none" '^<\*\* 501 5\.1\.3' -t 'a..b@@users.example' -a PLAIN "${login[@]}"
head -c 1200000 /dev/zero | tr '\0' x | fold -w 76 >big
swaks_says "a mail that is too large" '^<\*\* 552 5\.3\.4' -t a@users.example -a PLAIN "${login[@]}" --body @big
verify "what was refused for now arrives" await 15 has_come later@users.example

# ---- raw sockets
raw() { # PORT TEXT (as printf's %b takes it), in one piece behind an EHLO; all that is answered
	local answer
	exec 3<>"/dev/tcp/127.0.0.1/$1" || return 1
	if [ "${2:0:1}" != ! ]; then
		printf 'EHLO x.example\r\n' >&3
		while read -r -t 10 -u 3 answer && [ "${answer:0:4}" != '250 ' ]; do :; done
	fi
	set -- "$1" "${2#!}"
	printf '%b' "$2" >said # bash itself writes line by line
	cat said >&3
	timeout $((10 * slow)) cat <&3 >heard
	exec 3>&-
}
answered() { # NAME PATTERN TEXT [PORT]
	raw "${4:-$smtp}" "$3"
	verify "$1" sh -c "grep -qE '$2' heard || { cat heard; false; }"
}
answered "an unknown command" '^500 5\.5\.[12]' 'MAKE tea\r\nQUIT\r\n'
answered "a line without an end in sight" '^500 5\.5\.2' "NOOP $(head -c 5000 /dev/zero | tr '\0' x)\r\nQUIT\r\n"
answered "a bare LF in a command" '^521 5\.5\.2' 'NOOP\nNOOP\r\nQUIT\r\n'
answered "a NUL in a command" '^521 5\.5\.2' 'NOOP \0000x\r\nQUIT\r\n'
answered "a browser" '^521 5\.5\.1' '!GET / HTTP/1.1\r\nHost: x\r\n\r\n'
answered "MAIL before EHLO" '^503 5\.5\.1' '!MAIL FROM:<shop@shop.example>\r\nQUIT\r\n'
answered "commands behind STARTTLS, in clear" '^521 5\.5\.0' 'STARTTLS\r\nEHLO x\r\nMAIL FROM:<shop@shop.example>\r\n'
answered "a client that trickles" '^421 4\.4\.2' 'NOO' "$must"

# A mail whose content has END in its midst and a second mail behind it.
plain=$(printf '\0shop\0secret' | base64)
smuggle() { # TO END
	local line answer
	exec 3<>"/dev/tcp/127.0.0.1/$smtp" || return 1
	for line in '' 'EHLO evil.example' "AUTH PLAIN $plain" 'MAIL FROM:<shop@shop.example>' "RCPT TO:<$1>" 'DATA'; do
		[ -z "$line" ] || printf '%s\r\n' "$line" >&3
		while read -r -t 10 -u 3 answer && [ "${answer:3:1}" = - ]; do :; done
	done
	[ "${answer:0:3}" = 354 ] || { echo "no 354: $answer"; exec 3>&-; return 1; }
	printf 'From: <shop@shop.example>\r\nSubject: first\r\n\r\nbody%bMAIL FROM:<admin@shop.example>\r\nRCPT TO:<smuggled@users.example>\r\nDATA\r\nFrom: <admin@shop.example>\r\nSubject: smuggled\r\n\r\nevil\r\n.\r\nQUIT\r\n' "$2" >said
	cat said >&3 2>/dev/null
	timeout $((10 * slow)) cat <&3 >heard 2>/dev/null
	exec 3>&-
	grep -qE '^(250|5[0-9][0-9]) ' heard || { echo "no answer"; return 1; }
	! grep -q '^250 2.0.0' heard || await 10 has_come "$1" || { echo "250, and nothing came"; return 1; }
	[ "$(came "$1")" -le 1 ] || { echo "it came $(came "$1") times"; return 1; }
	[ "$(came smuggled@users.example)" = 0 ] || { echo "a mail was smuggled"; cat heard; return 1; }
}
n=0
for end in '\n.\n' '\r\n.\n' '\n.\r\n' '\r.\r' '\r\n.\r' '\r.\r\n' '\n.\r' '\r.\n' '\r\r\n.\r\r\n' '\0000\r\n.\n' '\r\n\0000.\r\n' '\r\n.\0000\r\n' \
	'\r\n.\r\r\n' '\n\n.\r\n' '\r\n.\r\n.\r\n'; do
	n=$((n + 1))
	verify "smuggling by $end: one mail or a refusal, never two" smuggle "smuggle$n@users.example" "$end"
done

# ---- libesmtp: a client that is not ours
submit_esmtp() { timeout $((60 * slow)) "$OUT/posternsim" mail --connect "127.0.0.1:$smtp" --user shop --password secret --record accepted "$@" >mail.json 2>mail.log || { cat mail.json mail.log; return 1; }; }
proved() { "$OUT/posternsim" control sink.ctl stats >/dev/null; "$OUT/posternsim" prove --accepted accepted --taken taken --most-repeats 0; }
verify "libesmtp: 300 mails over STARTTLS" submit_esmtp --tls must --ca-file cert.pem --sessions 3 --count 300 --first 1000 --size 5000 --expect-accepted
verify "each arrives once" await 20 proved
verify "libesmtp: by BDAT, in 8 bits, 40 KiB" submit_esmtp --chunking --8bit --count 20 --first 2000 --size 40000 --expect-accepted
verify "each arrives once" await 20 proved
verify "libesmtp: ten recipients" submit_esmtp --recipients 10 --count 5 --first 300 --to 'many{n}@users.example' --subject many --expect-accepted
verify "each has it" await 20 have_come 'many.*@users.example' 50
verify "libesmtp: to nobody, failure wanted" submit_esmtp --to nobody@users.example --from report@shop.example --notify failure --ret hdrs --envid 'order-{n}' --expect-accepted
verify "a report comes" await 20 has_come report@shop.example
report_says() { flat=$(tr -d '\r' <"kept/$(awk -F'\t' -v to="$1" '$4 == to {n = $2} END {print n}' taken).eml"); grep -qE "$2" <<<"$flat" || { echo "$flat"; return 1; }; }
verify "with the envelope's id" report_says report@shop.example '^Original-Envelope-Id: order-1$'
verify "and the status" report_says report@shop.example '^Status: 5\.1\.1$'

# ---- Postfix
if postfix_possible; then
	verify "a Postfix of ours starts" postfix_start "$offices/smarthost" "$smarthost" "$sink" "transport_maps = inline:{ bounce.shop.example=smtp:[127.0.0.1]:$smtp }"
	verify "100 mails for Postfix as our smarthost" submit_esmtp --sessions 3 --count 100 --first 4000 --to 'p{n}@postfix.example' --expect-accepted
	verify "each arrives behind it" await 30 have_come 'p.*@postfix.example' 100
	verify "once" proved
	verify "one for nobody, who is known behind Postfix only" submit_esmtp --count 1 --first 4444 --to nobody2@postfix.example --from report2@shop.example --expect-accepted
	id=$(ctl --json messages --to nobody2@postfix.example --limit 1 | jq -r '.[0].id')
	verify "Postfix's bounce finds its message" becomes "$id" undeliverable 20
	verify "and is told on to who sent it" await 20 has_come report2@shop.example
	verify "with Postfix's status" report_says report2@shop.example '^Status: 5\.1\.1$'
	postfix_stop "$offices/smarthost"
	verify "Postfix, whose smarthost we are, starts" postfix_start "$offices/upstream" "$upstream" "$must" "smtp_tls_security_level = encrypt" "smtp_bind_address = 127.0.0.2" "relayhost = [127.0.0.1]:$must"
	verify "smtp-source gives it 200 mails" timeout 60 smtp-source -d -s 5 -m 200 -l 4096 -f shop@shop.example -t up@users.example "127.0.0.1:$upstream"
	verify "they arrive through us" await 60 have_come up@users.example 200
	sleep 1
	verify "once each" test "$(came up@users.example)" = 200
	postfix_stop "$offices/upstream"
else
	echo "Postfix is not here, or not for us (it needs root): not tried"
fi
verify "no CR or LF alone ever left us" sh -c '! grep -q taken.*-bare taken'
gw_stop
verify "the gateway stops as asked" test $? = 0
finish
