#!/usr/bin/env node
// A far side over TLS that asks for certificates, by Node's own library: an SMSC that takes binds, or a
// mail server that does nothing beyond EHLO.
//
//   tls.js smpp|smtp --port P --log FILE --key FILE --cert FILE --ca FILE
//
// FILE gets a line with the serial number of the client's certificate for each connection. SIGUSR1
// ends all connections. Prints "listening" when it is.
'use strict';
const fs = require('fs');
const tls = require('tls');

const kind = process.argv[2];
const options = {};
for (let i = 3; i < process.argv.length; i += 2)
	options[process.argv[i].replace(/^--/, '')] = process.argv[i + 1];
const log = fs.openSync(options.log, 'a');
const open = new Set();

// Answers each request with its response; the one to a bind has an empty name.
function smpp(socket) {
	let bytes = Buffer.alloc(0);
	socket.on('data', (more) => {
		bytes = Buffer.concat([bytes, more]);
		while (bytes.length >= 16 && bytes.length >= bytes.readUInt32BE(0)) {
			const pdu = bytes.subarray(0, bytes.readUInt32BE(0));
			bytes = bytes.subarray(pdu.length);
			if (pdu.readUInt32BE(4) & 0x80000000) continue;
			const answer = Buffer.alloc(pdu.readUInt32BE(4) === 0x15 ? 16 : 17);
			answer.writeUInt32BE(answer.length, 0);
			answer.writeUInt32BE((pdu.readUInt32BE(4) | 0x80000000) >>> 0, 4);
			pdu.copy(answer, 12, 12, 16);
			socket.write(answer);
		}
	});
}
function smtp(socket) {
	socket.write('220 tls.js ESMTP\r\n');
	socket.on('data', (line) => socket.write(/^quit/i.test(line) ? '221 bye\r\n' : '250 tls.js\r\n'));
}

const server = tls.createServer({
	key: fs.readFileSync(options.key), cert: fs.readFileSync(options.cert), ca: fs.readFileSync(options.ca),
	requestCert: true, rejectUnauthorized: true,
}, (socket) => {
	fs.writeSync(log, socket.getPeerCertificate().serialNumber + '\n');
	open.add(socket);
	socket.on('close', () => open.delete(socket));
	socket.on('error', () => socket.destroy());
	(kind === 'smpp' ? smpp : smtp)(socket);
});
server.on('tlsClientError', () => {});
server.listen(Number(options.port), '127.0.0.1', () => console.log('listening'));
process.on('SIGUSR1', () => open.forEach((socket) => socket.destroy()));
process.on('SIGTERM', () => process.exit(0));
