'use strict';
// An HTTP server that we did not write, for the tests of our client: Node's own, with the manners a
// far side may have, by path. Prints its port. Usage: node http.js [DIR with cert.pem and key.pem]
//   /echo            what came, as JSON          /status/N   answers N, with Retry-After when asked
//   /big?n=N         N bytes                     /slow       never answers
//   /cut             closes without an answer    /half       closes in the middle of the body
//   /redirect        to /echo                    /count      how many requests and connections came
//   /gate?ms=N       answers after N ms, with the most that were open at once
//   /die-second      the second request on one connection is read whole, and the connection closed
const http = require('http'), https = require('https'), fs = require('fs'), path = require('path');
const dir = process.argv[2];
const counts = { requests: 0, connections: 0, bodies: 0, deaths: 0 };
let open = 0, most = 0;

function serve(req, res) {
	const parts = [];
	counts.requests++;
	req.socket.asked = (req.socket.asked || 0) + 1;
	req.on('error', () => {});
	req.on('data', (d) => parts.push(d));
	req.on('end', () => answer(req, res, new URL(req.url, 'http://x'), Buffer.concat(parts)));
}

function answer(req, res, url, body) {
	const json = (v) => { res.setHeader('Content-Type', 'application/json'); res.end(JSON.stringify(v)); };
	if (body.length) counts.bodies++;
	switch (url.pathname.split('/')[1]) {
	case 'echo':
		return json({ method: req.method, url: req.url, headers: req.headers, body: body.toString(),
			asked: req.socket.asked,
			peer: req.socket.getPeerCertificate ? (req.socket.getPeerCertificate().subject || {}).CN || '' : '' });
	case 'status':
		res.statusCode = Number(url.pathname.split('/')[2]);
		if (url.searchParams.has('after')) res.setHeader('Retry-After', url.searchParams.get('after'));
		return res.end('so be it');
	case 'big': return res.end(Buffer.alloc(Number(url.searchParams.get('n')), 'x'));
	case 'slow': return undefined;
	case 'cut': return req.socket.destroy();
	case 'half':
		res.writeHead(200, { 'Content-Length': 100 });
		res.write('half of it');
		return setTimeout(() => req.socket.destroy(), 20);
	case 'redirect':
		res.writeHead(302, { Location: '/echo' });
		return res.end();
	case 'count': return json(counts);
	case 'gate':
		most = Math.max(most, ++open);
		return setTimeout(() => { open--; json({ most }); }, Number(url.searchParams.get('ms')));
	case 'die-second':
		if (req.socket.asked >= 2) { counts.deaths++; return req.socket.destroy(); }
		return res.end('alive');
	default:
		// As a proxy is asked: the whole URL.
		if (/^http:/.test(req.url)) return json({ proxied: req.url });
		res.statusCode = 404;
		return res.end();
	}
}

const server = dir
	? https.createServer({ cert: fs.readFileSync(path.join(dir, 'cert.pem')), key: fs.readFileSync(path.join(dir, 'key.pem')),
		requestCert: true, rejectUnauthorized: false }, serve)
	: http.createServer(serve);
server.keepAliveTimeout = 30000;
server.on(dir ? 'secureConnection' : 'connection', () => counts.connections++);
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
process.stdin.on('end', () => process.exit(0)).resume();
