#!/usr/bin/env node
'use strict';
// Mail by parties that we did not write: nodemailer submits to the gateway, smtp-server takes what it
// sends on, mailparser reads it. Prints a line "ok NAME" or "FAIL NAME: why" for each thing tried.
// Usage: node mailer.js --clear P --implicit P --plain P --secure P --wrapped P --old P --tls DIR
//   where it submits: clear (STARTTLS offered), implicit; where it listens, for recipients at
//   plain.example (no TLS), secure.example (STARTTLS, PLAIN), wrapped.example (TLS at once, LOGIN),
//   old.example (without 8BITMIME and SMTPUTF8)
const crypto = require('crypto'), fs = require('fs'), path = require('path');
const nodemailer = require('nodemailer'), { SMTPServer } = require('smtp-server'), { simpleParser } = require('mailparser');
const args = {};
for (let i = 2; i < process.argv.length; i += 2) args[process.argv[i].slice(2)] = process.argv[i + 1];
const key = fs.readFileSync(path.join(args.tls, 'key.pem')), cert = fs.readFileSync(path.join(args.tls, 'cert.pem'));
let failures = 0;

// ---- the far side: every mail that came, by its recipient
const arrived = new Map(), waiting = new Map();
function take(mail) {
	for (const to of mail.to) {
		if (!arrived.has(to)) arrived.set(to, []);
		arrived.get(to).push(mail);
		const w = waiting.get(to);
		if (w) { waiting.delete(to); w(mail); }
	}
}
function sink(name, port, options) {
	const server = new SMTPServer(Object.assign({ key, cert, name: 'sink.example', logger: false,
		disabledCommands: name === 'plain' || name === 'old' ? ['STARTTLS', 'AUTH'] : [], authMethods: ['PLAIN', 'LOGIN'],
		onAuth(auth, session, done) {
			done(auth.username === 'postern' && auth.password === 'far' ? null : new Error('not so'), { user: auth.username });
		},
		onRcptTo(address, session, done) {
			if (/^unknown@/.test(address.address)) {
				const e = new Error('5.1.1 There is nobody of that name');
				e.responseCode = 550;
				return done(e);
			}
			return done();
		},
		onData(stream, session, done) {
			const parts = [];
			stream.on('data', (d) => parts.push(d));
			stream.on('end', () => {
				const mail = { sink: name, from: session.envelope.mailFrom.address || '', args: session.envelope.mailFrom.args || {},
					to: session.envelope.rcptTo.map((r) => r.address), raw: Buffer.concat(parts),
					tls: !!session.secure, user: session.user || '' };
				done(null, '2.0.0 taken'); // which forgets the envelope
				take(mail);
			});
		} }, options));
	server.on('error', () => {});
	return new Promise((resolve) => server.listen(Number(port), '127.0.0.1', () => resolve(server)));
}
function mailFor(to, ms = 10000) {
	const had = arrived.get(to);
	if (had) return Promise.resolve(had[had.length - 1]);
	return new Promise((resolve, reject) => {
		const t = setTimeout(() => reject(new Error(`no mail came for ${to}`)), ms);
		waiting.set(to, (m) => { clearTimeout(t); resolve(m); });
	});
}

// ---- trying
function check(truth, words) { if (!truth) throw new Error(words); }
async function tried(name, body) {
	try {
		await body();
		console.log(`ok    ${name}`);
	} catch (e) {
		failures++;
		console.log(`FAIL  ${name}: ${e.message}`);
	}
}
const auth = { user: 'shop', pass: 'secret' };
const transport = (options) => nodemailer.createTransport(Object.assign({ host: '127.0.0.1', port: Number(args.clear),
	name: 'client.example', auth, tls: { ca: cert, servername: 'localhost' } }, options));
const from = 'shop@shop.example';
// What we put on top of a mail is one Received field; the rest is the submitter's, octet by octet.
function without(raw) {
	const text = raw.toString('latin1');
	check(/^Received: from /.test(text), `no Received on top: ${text.slice(0, 100)}`);
	return Buffer.from(text.replace(/^Received: (?:[^\r]|\r\n[ \t])*\r\n/, ''), 'latin1');
}
function differ(a, b) {
	let i = 0;
	while (i < a.length && a[i] === b[i]) i++;
	return `${a.length} and ${b.length} octets, differ at ${i}: ${JSON.stringify(a.toString('latin1', i - 20, i + 40))} and ${JSON.stringify(b.toString('latin1', i - 20, i + 40))}`;
}

async function raws() {
	const head = `From: <${from}>\r\nTo: <x@plain.example>\r\nDate: Sun, 22 Nov 2026 08:00:00 +0000\r\nMessage-ID: <raw.ID@shop.example>\r\nSubject: `;
	const cases = {
		'dots': 'dots\r\n\r\n.\r\n..\r\n...a\r\n.b\r\n\r\n.\r\n',
		'a long line': `long\r\n\r\n${'x'.repeat(998)}\r\n.${'y'.repeat(997)}\r\n`,
		'8 bits': 'eight\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nДобрый день — 📦\r\n',
		'Latin-1 in a header': Buffer.from('caf\xe9\r\nX-Odd : value\r\nX-Folded: a\r\n\tb\r\n  c\r\n\r\nbody\r\n', 'latin1'),
		'a broken MIME body': 'broken\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="never"\r\n\r\nno boundary\r\n--nev\r\n\r\n=ZZ\r\n',
		'no body at all': 'empty\r\n\r\n',
		'trailing blank lines and spaces': 'blank\r\n\r\na \t\r\n \r\n\r\n\r\n',
		'300 KiB': `big\r\n\r\n${(crypto.randomBytes(48).toString('base64') + '\r\n').repeat(4600)}`,
	};
	let n = 0;
	for (const [name, rest] of Object.entries(cases)) {
		const to = `raw${++n}@plain.example`, raw = Buffer.concat([Buffer.from(head.replace('raw.ID', `raw.${n}`)), Buffer.from(rest)]);
		await tried(`octet by octet: ${name}`, async () => {
			await transport().sendMail({ envelope: { from, to, use8BitMime: /8 bits|Latin/.test(name) }, raw });
			const got = without((await mailFor(to)).raw);
			check(got.equals(raw), differ(raw, got));
		});
	}
}

async function composed() {
	const pdf = crypto.randomBytes(200000), png = crypto.randomBytes(3000);
	const send = async (to, options) => {
		await transport(options).sendMail({ from: `"Магазин Ü" <${from}>`, to: `"Anna Ö" <${to}>`, subject: 'Ваш заказ №4711 — 📦',
			text: 'Спасибо!\n.\nДо встречи.', html: '<p>Спасибо! <img src="cid:logo@shop"></p>',
			attachments: [{ filename: 'квитанция.pdf', content: pdf, contentType: 'application/pdf' },
				{ filename: 'logo.png', content: png, cid: 'logo@shop', contentType: 'image/png' }] });
		const mail = await mailFor(to), m = await simpleParser(mail.raw);
		check(m.subject === 'Ваш заказ №4711 — 📦', `subject ${m.subject}`);
		check(m.from.value[0].name === 'Магазин Ü' && m.from.value[0].address === from, `from ${m.from.text}`);
		check(m.text.trim() === 'Спасибо!\n.\nДо встречи.', `text ${JSON.stringify(m.text)}`);
		check(m.attachments.length === 2, `${m.attachments.length} attachments`);
		const a = m.attachments.find((x) => x.filename === 'квитанция.pdf'), b = m.attachments.find((x) => x.cid === 'logo@shop');
		check(a && a.content.equals(pdf), 'the PDF is another');
		check(b && b.content.equals(png), 'the image is another');
		return mail;
	};
	await tried('attachments, an inline image, names beyond ASCII', async () => {
		const mail = await send('attached@plain.example');
		check(mail.sink === 'plain' && !mail.tls, `by ${mail.sink}`);
	});
	await tried('submitted over STARTTLS, sent on over STARTTLS with PLAIN', async () => {
		const mail = await send('starttls@secure.example', { requireTLS: true });
		check(mail.sink === 'secure' && mail.tls && mail.user === 'postern', `by ${mail.sink}, TLS ${mail.tls}, as ${mail.user}`);
	});
	await tried('submitted over TLS from the first octet, sent on likewise', async () => {
		const mail = await send('wrapped@wrapped.example', { port: Number(args.implicit), secure: true });
		check(mail.sink === 'wrapped' && mail.tls && mail.user === 'postern', `by ${mail.sink}, TLS ${mail.tls}, as ${mail.user}`);
	});
	await tried('8 bits reach a server without 8BITMIME in 7', async () => {
		const to = 'eight@old.example';
		await transport().sendMail({ envelope: { from, to, use8BitMime: true }, raw: `From: <${from}>\r\nTo: <${to}>\r\nSubject: x\r\n` +
			'Date: Sun, 22 Nov 2026 08:00:00 +0000\r\nMessage-ID: <old@shop.example>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n' +
			'Content-Transfer-Encoding: 8bit\r\n\r\nДобрый день — 📦\r\n' });
		const mail = await mailFor(to);
		check(mail.raw.every((c) => c < 128), 'there are octets beyond ASCII');
		check((await simpleParser(mail.raw)).text.trim() === 'Добрый день — 📦', 'the text is another');
	});
	await tried('an address beyond ASCII, by SMTPUTF8', async () => {
		const to = 'jörg@plain.example';
		await transport().sendMail({ from, to, subject: 'x', text: 'y' });
		check((await mailFor(to)).from === from, 'another sender');
	});
}

async function sessions() {
	await tried('LOGIN', async () => {
		await transport({ authMethod: 'LOGIN' }).sendMail({ from, to: 'login@plain.example', subject: 'x', text: 'y' });
		await mailFor('login@plain.example');
	});
	await tried('a wrong password: 535 5.7.8', async () => {
		const e = await transport({ auth: { user: 'shop', pass: 'no' } }).sendMail({ from, to: 'a@plain.example', subject: 'x', text: 'y' })
			.then(() => null, (x) => x);
		check(e && e.responseCode === 535 && /5\.7\.8/.test(e.response), String(e && e.response));
	});
	await tried('no login: 530, and nothing is relayed', async () => {
		const e = await transport({ auth: undefined }).sendMail({ from, to: 'a@plain.example', subject: 'x', text: 'y' }).then(() => null, (x) => x);
		check(e && /^5\d\d 5\.7\./.test(e.response), String(e && e.response));
	});
	await tried('another sender than the account may have: 553', async () => {
		const e = await transport().sendMail({ from: 'ceo@bank.example', to: 'a@plain.example', subject: 'x', text: 'y' }).then(() => null, (x) => x);
		check(e && /^55\d 5\.7\.1/.test(e.response), String(e && e.response));
	});
	await tried('one recipient of three has no route', async () => {
		const info = await transport().sendMail({ envelope: { from, to: ['one@plain.example', 'x@nowhere.invalid', 'two@plain.example'] },
			raw: `From: <${from}>\r\nTo: undisclosed-recipients:;\r\nSubject: x\r\n\r\ny\r\n` });
		check(info.accepted.length === 2 && info.rejected.length === 1, JSON.stringify(info.rejected));
		await mailFor('one@plain.example');
		await mailFor('two@plain.example');
	});
	await tried('200 mails over 5 kept connections, each arrives once', async () => {
		const pool = transport({ pool: true, maxConnections: 5, maxMessages: 1000 }), all = [];
		for (let i = 0; i < 200; i++) all.push(pool.sendMail({ from, to: `pool${i}@plain.example`, subject: `Message ${i}`, text: `number ${i}` }));
		await Promise.all(all);
		pool.close();
		for (let i = 0; i < 200; i++) await mailFor(`pool${i}@plain.example`);
		await new Promise((r) => setTimeout(r, 300));
		for (let i = 0; i < 200; i++) check(arrived.get(`pool${i}@plain.example`).length === 1, `number ${i} came ${arrived.get(`pool${i}@plain.example`).length} times`);
	});
}

async function reports() {
	const report = async (to, dsn, sender) => {
		await transport().sendMail({ envelope: { from: sender, to, dsn }, raw: `From: <${from}>\r\nTo: <${to}>\r\nSubject: the original\r\nMessage-ID: <${to}>\r\n\r\nits body\r\n` });
		const mail = await mailFor(sender), m = await simpleParser(mail.raw);
		check(mail.from === '', `the report is from <${mail.from}>`);
		check(/^multipart\/report; *report-type="?delivery-status/i.test(String(m.headerLines.find((h) => h.key === 'content-type').line).replace(/^[^:]*: */, '').replace(/\s+/g, ' ')), 'no multipart/report');
		return mail.raw.toString('latin1').replace(/\r\n[ \t]+/g, ' ');
	};
	await tried('a failure is told to the sender by DSN, with its id and the far side\'s code', async () => {
		const text = await report('unknown@plain.example', { id: 'order-4711', return: 'headers', notify: 'failure', recipient: 'unknown@plain.example' }, 'bounce1@shop.example');
		check(/Action: failed/i.test(text) && /Status: 5\.1\.1/i.test(text), 'no Action: failed with 5.1.1');
		check(/Original-Envelope-Id: order-4711/i.test(text), 'no envelope id');
		check(/Final-Recipient: rfc822; *unknown@plain\.example/i.test(text), 'no Final-Recipient');
		check(/Subject: the original/.test(text) && !/its body/.test(text), 'headers were asked for');
	});
	await tried('a failure is told when nothing was asked', async () => {
		const text = await report('unknown@secure.example', undefined, 'bounce2@shop.example');
		check(/Action: failed/i.test(text), 'no Action: failed');
	});
	await tried('success is told as relayed, where the next server knows no DSN', async () => {
		const text = await report('fine@plain.example', { id: 'e2', return: 'headers', notify: ['success'], recipient: 'fine@plain.example' }, 'bounce3@shop.example');
		check(/Action: relayed/i.test(text), 'no Action: relayed');
	});
	await tried('nothing is told where nothing is wanted', async () => {
		await transport().sendMail({ envelope: { from: 'bounce4@shop.example', to: 'unknown@plain.example', dsn: { notify: 'never', return: 'headers' } },
			raw: `From: <${from}>\r\nSubject: x\r\n\r\ny\r\n` });
		await new Promise((r) => setTimeout(r, 1500));
		check(!arrived.has('bounce4@shop.example'), 'a report came');
	});
}

(async () => {
	const servers = await Promise.all([sink('plain', args.plain, {}), sink('secure', args.secure, {}),
		sink('wrapped', args.wrapped, { secure: true, authMethods: ['LOGIN'] }),
		sink('old', args.old, { hide8BITMIME: true, hideSMTPUTF8: true })]);
	await raws();
	await composed();
	await sessions();
	await reports();
	for (const s of servers) s.close();
	process.exit(failures ? 1 : 0);
})();
