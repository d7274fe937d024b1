#!/usr/bin/env node
// A receiver of webhooks over TLS, by Node's own HTTPS server: checks the signature of each and writes
// it to a file.
//
//   hook.js --port P --log FILE --key FILE --cert FILE --secret WORD
//
// FILE gets a line of JSON for each request. Prints "listening" when it is.
'use strict';
const crypto = require('crypto');
const fs = require('fs');
const https = require('https');

const options = {};
for (let i = 2; i < process.argv.length; i += 2)
	options[process.argv[i].replace(/^--/, '')] = process.argv[i + 1];
const log = fs.openSync(options.log, 'a');

// Postern-Signature: t=UNIX,v1=HEX, the HMAC-SHA256 of `t.body`
function isSigned(header, body) {
	const parts = Object.fromEntries(String(header).split(',').map((part) => part.split('=')));
	const hmac = crypto.createHmac('sha256', options.secret).update(`${parts.t}.`).update(body).digest('hex');
	return parts.v1 === hmac;
}

const server = https.createServer({ key: fs.readFileSync(options.key), cert: fs.readFileSync(options.cert) },
	(request, response) => {
		const chunks = [];
		request.on('data', (chunk) => chunks.push(chunk));
		request.on('end', () => {
			const body = Buffer.concat(chunks);
			const entry = {
				path: request.url, method: request.method, tls: request.socket.getProtocol(),
				signed: isSigned(request.headers['postern-signature'], body), body: JSON.parse(body),
			};
			fs.writeSync(log, JSON.stringify(entry) + '\n');
			response.end();
		});
	});
server.listen(Number(options.port), '127.0.0.1', () => console.log('listening'));
process.on('SIGTERM', () => process.exit(0));
