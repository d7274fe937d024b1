#!/bin/bash
# Every configuration that we ship is one that we accept. The files that the examples name (keys,
# passwords) are made up beside copies of them.
. tests/lib.sh
need "$OUT/postern"
cp -r conf "$SCRATCH/conf"
mkdir -p "$SCRATCH/demo" "$SCRATCH/conf/examples/secrets" "$SCRATCH/conf/examples/tls"
cp -R tests/demo/*.conf tests/demo/offers/. "$SCRATCH/demo"
(
	cd "$SCRATCH/conf/examples" || exit 1
	grep -ohE '_file = "secrets/[^"]+' ./*.conf | sed 's/.*"//' | sort -u | while read -r file; do
		printf '%.8s' "pw${file##*/}xxxxxx" >"$file" # an SMPP password has 8 octets at most
		[ "${file##*/}" != mail ] || printf 'sixteen octets or more' >"$file"
	done
	printf '0123456789abcdef0123' >secrets/mail
	openssl genrsa -out secrets/dkim.key 2048 2>/dev/null
	cp secrets/dkim.key "$SCRATCH/demo/"
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=gateway.example \
		-keyout tls/gateway.key -out tls/gateway.pem 2>/dev/null
	cp tls/gateway.pem tls/operator-ca.pem
)
for file in "$SCRATCH"/conf/*.conf "$SCRATCH"/conf/examples/*.conf "$SCRATCH"/demo/postern.conf; do
	verify "postern -t ${file#"$SCRATCH/"}" "$OUT/postern" -t -c "$file"
done
finish
