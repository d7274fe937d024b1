#!/bin/bash
# Big bodies in the running daemon: in files while their messages live, there after a kill, beside a
# backup and back with it, made into mails as they are sent; and unsubscribe links, which lead to the
# API.
# timeout: 120
. tests/lib.sh
root=$PWD
. tests/gateway.sh
cat >gw.conf <<EOF
state = "state";
shutdown_grace = "1s";
mail = { secret = "0123456789abcdef"; sender = "shop@shop.example"; hostname = "gw.shop.example"; };
http = { listen = "127.0.0.1:$http"; tokens = ( { name = "shop"; token = "t-shop"; scopes = [ "admin" ]; } ); };
channels = ( { name = "any"; type = "null"; } );
routes = ( { media = "email"; via = [ "any" ]; } );
EOF
gw_start
verify "the channel is held" ctl channel hold any
files_are() { [ "$(find state/spool -type f | wc -l)" = "$1" ]; }
mail() { # ID BYTES: with a file of so many
	printf '{"media":"email","to":"anna@example.org","subject":"Hi","text":"Hello","id":"%s","attachments":[{"name":"a.bin","content":"' "$1"
	head -c "$2" /dev/zero | base64 -w0
	printf '"}]}'
}
mail one 3000000 >one.json
expect "a mail with 3 MB" 202 .id POST /v1/messages @one.json
one=$(jq -r .id <<<"$body")
expect "is shown without it" 200 '.attachments == [{"inline":false,"name":"a.bin"}] and .attachments_size > 4000000' \
	GET "/v1/messages/$one"
mail two 10000 >two.json
expect "a small one stays in its row" 202 .id POST /v1/messages @two.json
verify "one file" files_are 1
expect "the same again" 202 '.duplicate' POST /v1/messages @one.json
await $((5 * slow)) files_are 1
verify "leaves no other" files_are 1
mail one 3000003 >other.json
expect "another under its id" 409 true POST /v1/messages @other.json
mail three 3000000 | sed 's/AAAA"}]/AA#A"}]/' >bad.json
expect "what is no base64" 400 '.detail | test("base64")' POST /v1/messages @bad.json
await $((5 * slow)) files_are 1
verify "leave none either" files_are 1

# ---- 25 MiB, and what it costs
peak() { awk '/VmHWM/ { print $2 }' "/proc/$gw_pid/status"; }
before=$(peak)
mail big 26214400 >big.json
expect "25 MiB" 202 .id POST /v1/messages @big.json
big=$(jq -r .id <<<"$body")
more=$(($(peak) - before))
[ "${FLAVOUR:-plain}" != plain ] || verify "in $more KiB of memory" test "$more" -lt 4096

# ---- a kill, a backup
gw_kill
: >state/spool/0123456789abcdef0123456789abcd # as a kill between the file and its message leaves it
: >state/spool/.123456789abcdef0123456789abcde
gw_start
verify "after a kill both are there, and what nobody names is not" files_are 2
verify "the message, too" message_has "$big" '.state == "queued"'
verify "backup" ctl backup backup.db
verify "has the files beside it" sh -c '[ "$(find backup.db.spool -type f | wc -l)" = 2 ]'
verify "one is taken back" ctl cancel "$one"
verify "and the other" ctl cancel "$big"
gw_stop
rm -r state/spool
mv backup.db.spool elsewhere
verify "no restore without its files" sh -c "! '$OUT/posternctl' restore backup.db state"
mv elsewhere backup.db.spool
verify "restore" "$OUT/posternctl" restore backup.db state
gw_start
verify "with them it waits as it did" message_has "$big" '.state == "queued"'
verify "and they are there" files_are 2
verify "the channel goes on" ctl channel resume any
verify "and it is sent" becomes "$big" sent

# ---- links
api GET /u/none
verify "an unsubscribe link that is none" test "$code" = 404
verify "is counted" sh -c "'$OUT/posternctl' metrics | grep -q 'unsubscribe_requests_total.*forged.* 1'"
verify "no file was missing" sh -c "! grep -q 'missing from the spool' gw.log"
gw_stop

# ---- out over SMTP: made as it is sent, signed, and read by others
sink=$(free_port)
sim smtp --listen "127.0.0.1:$sink" --quiet --keep kept 2>sink.log
mkdir -p kept
openssl genrsa -out rsa.pem 2048 2>/dev/null
openssl genpkey -algorithm ed25519 -out ed.pem 2>/dev/null
printf 'v=DKIM1; k=rsa; p=%s' "$(openssl rsa -in rsa.pem -pubout -outform DER 2>/dev/null | base64 -w0)" >kept/r._domainkey.shop.example
printf 'v=DKIM1; k=ed25519; p=%s' "$(openssl pkey -in ed.pem -pubout -outform DER | tail -c 32 | base64 -w0)" >kept/e._domainkey.shop.example
sed -i "s|^mail = .*|mail = { secret = \"0123456789abcdef\"; sender = \"shop@shop.example\"; hostname = \"gw.shop.example\"; unsubscribe_url = \"https://shop.example/u/\"; };|
	s|^channels = .*|channels = ( { name = \"any\"; type = \"smtp\"; host = \"127.0.0.1\"; port = $sink; connections = 4;|
	/^channels/a dkim = ( { domain = \"shop.example\"; selector = \"r\"; key_file = \"rsa.pem\"; }, { domain = \"shop.example\"; selector = \"e\"; key_file = \"ed.pem\"; } ); } );" gw.conf
gw_start
head -c 600000 /dev/urandom >content.bin
printf 'Subject: old\nFrom: a@b\n\ncaf\xc3\xa9\n' >old.eml
{
	printf '{"media":"email","to":"anna@example.org","subject":"Grüße","text":"Hello","html":"<p>Hi <img src=\\"cid:pic\\">","unsubscribe":true,"attachments":[{"name":"räkning 1.bin","content":"'
	base64 -w0 content.bin
	printf '"},{"type":"image/png","cid":"pic","content":"iVBORw0KGgo="},{"name":"old.eml","type":"message/rfc822","content":"%s"}]}' "$(base64 -w0 old.eml)"
} >signed.json
expect "a mail with all of it" 202 .id POST /v1/messages @signed.json
signed=$(jq -r .id <<<"$body")
verify "is sent" becomes "$signed" sent
mv kept/*.eml kept/dkim-1.eml
if /usr/bin/python3 -c 'import dkim' 2>/dev/null; then
	verify "dkimpy takes both signatures, and no change" /usr/bin/python3 "$root/tests/peers/dkim_verify.py" kept
fi
verify "Python reads what was given" /usr/bin/python3 - <<'PY'
import email, email.policy
m = email.message_from_bytes(open("kept/dkim-1.eml", "rb").read(), policy=email.policy.SMTP)
shape = [p.get_content_type() for p in m.walk()]
assert shape == ["multipart/mixed", "multipart/alternative", "text/plain", "multipart/related", "text/html", "image/png",
                 "application/octet-stream", "message/rfc822", "text/plain"], shape
assert m["Subject"] == "Grüße", m["Subject"]
parts = list(m.walk())
assert parts[6].get_filename() == "räkning 1.bin", parts[6].get_filename()
assert parts[6].get_payload(decode=True) == open("content.bin", "rb").read()
assert parts[5]["Content-ID"] == "<pic>"
assert parts[7]["Content-Transfer-Encoding"] == "8bit" == m["Content-Transfer-Encoding"]
assert "caf\u00e9" in parts[8].get_payload(decode=True).decode()
assert m["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click" and m["List-Unsubscribe"].startswith("<https://shop.example/u/")
for s in m.get_all("DKIM-Signature"):
    h = [x.split("=", 1)[1] for x in "".join(s.split()).split(";") if x.startswith("h=")][0].lower().split(":")
    assert "list-unsubscribe" in h and "list-unsubscribe-post" in h and "from" in h, h
PY
before=$(peak)
sed 's/"id":"big"/"id":"big2"/' big.json >big2.json
expect "25 MiB, signed" 202 .id POST /v1/messages @big2.json
verify "are sent" becomes "$(jq -r .id <<<"$body")" sent
more=$(($(peak) - before))
[ "${FLAVOUR:-plain}" != plain ] || verify "in $more KiB of memory" test "$more" -lt 8192
gw_stop
verify "no word of a sanitizer" sh -c "! grep -E 'runtime error|Sanitizer' gw.log"
finish
