#!/bin/bash
# Big bodies in the running daemon: in files while their messages live, there after a kill, beside a
# backup and back with it; and unsubscribe links, which lead to the API.
# timeout: 120
. tests/lib.sh
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
verify "no word of a sanitizer" sh -c "! grep -E 'runtime error|Sanitizer' gw.log"
finish
