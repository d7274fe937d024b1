#!/bin/bash
# Mail under the offers plugin's policy, at the real daemon: what a submitter under it is answered and
# told, each recipient for itself; and what bounces, complaints and unsubscribing stop, and what not.
# timeout: 120
. tests/lib.sh
. tests/gateway.sh
smtp=$(free_port) sink=$(free_port)
sim smtp --listen "127.0.0.1:$sink" --quiet --record taken --keep kept --control sink.ctl 2>sink.log
cat >gw.conf <<CONF
state = "state";
http = { listen = "127.0.0.1:$http"; tokens = ( { name = "shop"; token = "t-shop"; scopes = [ "members", "messages", "admin" ]; } ); };
mail = { hostname = "gw.shop.example"; secret = "a secret of these tests"; bounce_domain = "bounce.shop.example"; };
listeners = ( { name = "in"; type = "smtp"; listen = "127.0.0.1:$smtp"; greeting_pause = "0s";
	gateways = ( { domain = "sms.gw.example"; from = "Shop"; } );
	accounts = ( { user = "crm"; trust = [ "127.0.0.2" ]; policy = "marketing"; }, { user = "till"; trust = [ "127.0.0.3" ]; } ); } );
channels = ( { name = "sink"; type = "smtp"; host = "127.0.0.1"; port = $sink; }, { name = "n"; type = "null"; } );
routes = ( { media = "email"; via = [ "sink" ]; }, { media = "sms"; via = [ "n" ]; } );
plugins = ( { name = "offers"; } );
CONF
cat >policy.conf <<CONF
policy = { default_clock = "UTC"; consent_default = "none"; unverified = true;
  marketing = { max = [ "2 per day" ]; }; countries = ( { prefix = "49"; quiet = [ "$(date -u -d '1 hour ago' +%H:%M)-$(date -u -d '2 hours' +%H:%M)" ]; } ); };
CONF
gw_start

mail_as() { # ADDRESS TO[,TO...] [OPTION...]: a mail by whom that address is trusted to be
	local from=$1 to=$2
	shift 2
	swaks -s 127.0.0.1 -p "$smtp" --local-interface "$from" -f crm@shop.example -t "$to" --timeout 20 --h-Subject news "$@" >swaks.log 2>&1 ||
		{ cat swaks.log; return 1; }
	sed -n 's/^<-  250 2\.0\.0 accepted as //p' swaks.log >ids
}
crm=127.0.0.2 till=127.0.0.3
so() { await 20 message_has "$1" "$2"; } # ID FILTER
came() { "$OUT/posternsim" control sink.ctl stats >/dev/null; awk -F'\t' -v to="$1" '$4 == to {n++} END {print n + 0}' taken; }
have_come() { [ "$(came "$1")" -ge "$2" ]; }
report() { # N PATTERN...: the Nth to crm@shop.example, which is the last
	local told=$1 word flat
	shift
	await 20 have_come crm@shop.example "$told" || { echo "no report"; return 1; }
	flat=$(tr -d '\r' <"kept/$(awk -F'\t' '$4 == "crm@shop.example" {n = $2} END {print n}' taken).eml")
	for word; do grep -qE -- "$word" <<<"$flat" || { echo "no $word in: $flat"; return 1; }; done
}
no_report() { sleep 0.3; [ "$(came crm@shop.example)" = "$1" ]; } # so many, and no more
bounce_to() { # RECIPIENT: where bounces of the last mail to it go
	"$OUT/posternsim" control sink.ctl stats >/dev/null
	awk -F'\t' -v to="$1" '$4 == to {from = $3} END {print from}' taken
}

# ---- each recipient for itself
expect "one who agrees" 201 '' POST /v1/members '{"id":"yes","email":"yes@users.example"}'
expect "to advertising" 200 '' PUT /v1/members/yes/consent '{"consent":{"Advertisement":{"email":true}}}'
expect "one who was never asked" 201 '' POST /v1/members '{"id":"no","email":"no@users.example"}'
expect "an address that wants nothing" 200 '.created == 1' PUT /v1/suppressions '{"address":"off@users.example","media":"email"}'
verify "three recipients, one answer" mail_as $crm yes@users.example,no@users.example,off@users.example
read -r yes no off <ids
verify "who agrees gets it" so "$yes" '.state == "sent"'
verify "who does not, not" so "$no" '.state == "suppressed" and .reason == "consent"'
verify "nor the suppressed" so "$off" '.state == "suppressed" and .reason == "suppression"'
verify "both are reported" await 20 have_come crm@shop.example 2
verify "as refused by policy" report 2 '^Action: failed$' '^Status: 5\.7\.1$' '^Final-Recipient: rfc822; (no|off)@users.example$' '^Diagnostic-Code: x-postern;'
verify "again" mail_as $crm yes@users.example
verify "that was the second today: a third" mail_as $crm yes@users.example
verify "is over the cap" so "$(<ids)" '.state == "suppressed" and .reason == "cap"'
verify "and reported so" report 3 '^Final-Recipient: rfc822; yes@users.example$' '^Status: 5\.7\.1$'
verify "from nobody: 250" mail_as $crm off@users.example -f "<>"
verify "and nobody is told" no_report 3
verify "quiet hours hold a gateway's text" mail_as $crm 4970000001@sms.gw.example --body hello
verify "until they are over" so "$(<ids)" '.state == "queued" and .reason == "quiet_hours"'
verify "nobody is told of that" no_report 3
verify "who is under no policy goes on" mail_as $till no@users.example,off@users.example
read -r no off <ids
verify "to all" so "$no" '.state == "sent"'
verify "of them" so "$off" '.state == "sent"'

# ---- what comes back
report_of() { # KIND-OF-REPORT RECIPIENT PART: sent by anybody to the bounce address of the last mail to it
	printf 'From: <mta@far.example>\nTo: <x@bounce.shop.example>\nSubject: report\nMIME-Version: 1.0\nContent-Type: multipart/report; report-type=%s; boundary=b\n\n--b\n\nwords\n--b\nContent-Type: message/%s\n\n%b\n--b--\n' "$1" "$1" "$3" >report.eml
	swaks -s 127.0.0.1 -p "$smtp" --local-interface 127.0.0.9 -f '<>' -t "$(bounce_to "$2")" --timeout 20 --data @report.eml >swaks.log 2>&1 || { cat swaks.log; return 1; }
}
for who in spam dead soft; do
	expect "a member" 201 '' POST /v1/members "{\"id\":\"$who\",\"email\":\"$who@users.example\"}"
	expect "who agrees" 200 '' PUT /v1/members/$who/consent '{"consent":{"Advertisement":{"email":true},"CommunicationOffer":{"email":true}}}'
	verify "gets a mail" mail_as $crm $who@users.example
	verify "there it is" await 20 have_come $who@users.example 1
done
verify "a complaint comes" report_of feedback-report spam@users.example 'Feedback-Type: abuse\nUser-Agent: x/1\nVersion: 1\nOriginal-Rcpt-To: <spam@users.example>\n'
expect "it blocks advertising, and no more" 200 '[.suppressions[] | select(.address == "spam@users.example") | [.row, .reason]] == [["CommunicationOffer","complaint"],["Advertisement","complaint"]]' \
	GET '/v1/suppressions?address=spam@users.example'
expect "of the member, too" 200 '[.consent.Advertisement.email, .consent.CommunicationOffer.email, .consent.System.email] | map(.granted)[0:2] == [false, false]' GET /v1/members/spam/consent
verify "no advertising any more" mail_as $crm spam@users.example
verify "not sent" so "$(<ids)" '.state == "suppressed"'
verify "and reported" report 4 '^Final-Recipient: rfc822; spam@users.example$'
verify "what is no advertising goes on" mail_as $till spam@users.example
verify "it arrives" await 20 have_come spam@users.example 2
verify "a soft bounce comes" report_of delivery-status soft@users.example 'Reporting-MTA: dns; far.example\n\nFinal-Recipient: rfc822; soft@users.example\nAction: delayed\nStatus: 4.2.2\n'
verify "a hard bounce comes" report_of delivery-status dead@users.example 'Reporting-MTA: dns; far.example\n\nFinal-Recipient: rfc822; dead@users.example\nAction: failed\nStatus: 5.1.1\nRemote-MTA: dns; mx.last.example\nDiagnostic-Code: smtp; 550 5.1.1 no such user\n'
verify "it is told on, with who said it" report 5 '^Remote-MTA: dns; mx\.last\.example$' '^Diagnostic-Code: smtp; 550 5\.1\.1 no such user$'
expect "the dead address is blocked whole" 200 '[.suppressions[] | [.row, .reason]] == [["*","bounce"]]' GET '/v1/suppressions?address=dead@users.example'
expect "the full one is not" 200 '.suppressions == []' GET '/v1/suppressions?address=soft@users.example'
gw_stop
verify "the gateway stops as asked" test $? = 0
finish
