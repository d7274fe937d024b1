#!/bin/bash
# Mail by nodemailer, through the gateway, to smtp-server and mailparser.
# timeout: 240
. tests/lib.sh
verify "npm packages" tests/peers/setup
peers=$PWD/tests/peers
. tests/gateway.sh
openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost \
	-addext subjectAltName=DNS:localhost,IP:127.0.0.1 2>/dev/null
clear=$(free_port) implicit=$(free_port) plain=$(free_port) secure=$(free_port) wrapped=$(free_port) old=$(free_port)
cat >gw.conf <<CONF
state = "state";
http  = { listen = "127.0.0.1:$http"; };
mail  = { hostname = "gw.shop.example"; };
listeners = (
	{ name = "clear"; type = "smtp"; listen = "127.0.0.1:$clear"; tls = { mode = "may"; cert_file = "cert.pem"; key_file = "key.pem"; };
	  accounts = ( { user = "shop"; password = "secret"; allow = [ "127.0.0.1" ]; from = [ "*@shop.example" ]; } ); },
	{ name = "implicit"; type = "smtp"; listen = "127.0.0.1:$implicit"; tls = { mode = "implicit"; cert_file = "cert.pem"; key_file = "key.pem"; };
	  accounts = ( { user = "shop2"; password = "secret"; allow = [ "127.0.0.1" ]; }, { user = "shop3"; password = "x"; } ); } );
channels = (
	{ name = "plain"; type = "smtp"; host = "127.0.0.1"; port = $plain; connections = 3; },
	{ name = "secure"; type = "smtp"; host = "localhost"; port = $secure; tls = { mode = "must"; ca_file = "cert.pem"; }; user = "postern"; password = "far"; auth = "plain"; },
	{ name = "wrapped"; type = "smtp"; host = "localhost"; port = $wrapped; tls = { mode = "implicit"; ca_file = "cert.pem"; }; user = "postern"; password = "far"; },
	{ name = "old"; type = "smtp"; host = "127.0.0.1"; port = $old; } );
routes = (
	{ media = "email"; to = "*@secure.example"; via = [ "secure" ]; },
	{ media = "email"; to = "*@wrapped.example"; via = [ "wrapped" ]; },
	{ media = "email"; to = "*@old.example"; via = [ "old" ]; },
	{ media = "email"; to = "*@plain.example"; via = [ "plain" ]; },
	{ media = "email"; to = "*@shop.example"; via = [ "plain" ]; } );
CONF
gw_start
timeout $((120 * slow)) node "$peers/mailer.js" --clear "$clear" --implicit "$implicit" --plain "$plain" --secure "$secure" --wrapped "$wrapped" \
	--old "$old" --tls . || { failures=$((failures + 1)); grep -E 'error|warn' gw.log | tail -n 20; }
gw_stop
verify "the gateway stops as asked" test $? = 0
finish
