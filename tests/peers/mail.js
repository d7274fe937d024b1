// Reads mails that the gateway built, by mailparser, and compares what it finds with what went in.
// Usage: node mail.js FOLDER      FOLDER has NAME.eml and NAME.json (gateway/mail/mail_build_test.c)
'use strict';
const fs = require('fs');
const path = require('path');
const { isDeepStrictEqual } = require('util');
const { domainToASCII } = require('url');
const libmime = require('libmime');
const { simpleParser } = require('mailparser');

const folder = process.argv[2];
let failures = 0;

// The domain in ASCII, whatever the reader made of it.
function address(text) {
	const at = text.lastIndexOf('@');
	const local = text.slice(0, at).replace(/^"(.*)"$/, '$1');
	return local + '@' + domainToASCII(text.slice(at + 1));
}
// One end of line, none at the end.
const lines = (text) => (text || '').replace(/\r\n?/g, '\n').replace(/\n+$/, '');

function compare(name, what, found, wanted) {
	if (isDeepStrictEqual(found, wanted)) return;
	failures++;
	console.log(`FAIL  ${name}: ${what} is ${JSON.stringify(found)}, not ${JSON.stringify(wanted)}`);
}

function compareAttachments(name, mail, given) {
	const wanted = given.filter((a) => a.content !== undefined);
	compare(name, 'number of attachments', mail.attachments.length, wanted.length);
	for (const a of wanted) {
		const octets = Buffer.from(a.content, 'base64');
		const found = mail.attachments.find((f) => (a.cid ? f.cid === a.cid : f.filename === a.name));
		if (!found) {
			compare(name, 'attachment', undefined, a.name || a.cid);
			continue;
		}
		compare(name, 'content', found.content.toString('hex'), octets.toString('hex'));
		if (a.name) compare(name, 'file name', found.filename, a.name);
		if (a.cid) compare(name, 'related', found.related, true);
		if (a.type && !a.type.startsWith('message/'))
			compare(name, 'type', found.contentType, a.type.split(';')[0]);
	}
}

function compareHeaders(name, mail, given) {
	for (const [key, value] of Object.entries(given)) {
		const found = mail.headers.get(key.toLowerCase());
		if (key === 'Reply-To') {
			compare(name, key, found.value.map((a) => a.name), ['Käse', '']);
			compare(name, key, found.value.map((a) => address(a.address)), ['kaese@shop.example', 'b@xn--rst-sna.example']);
		} else if (key === 'References') {
			compare(name, key, [].concat(found).join(' '), value);
		} else {
			const words = [].concat(found).map((w) => libmime.decodeWords(w));
			compare(name, key, words, [].concat(value));
		}
	}
}

async function check(name) {
	const mail = await simpleParser(fs.readFileSync(path.join(folder, name + '.eml')), { keepCidLinks: true });
	const given = JSON.parse(fs.readFileSync(path.join(folder, name + '.json'), 'utf8'));
	compare(name, 'sender', address(mail.from.value[0].address), address(given.from));
	compare(name, "sender's name", mail.from.value[0].name, given.name || '');
	compare(name, 'recipient', address(mail.to.value[0].address), address(given.to));
	if (given.subject) compare(name, 'subject', mail.subject, given.subject);
	if (given.text) compare(name, 'text', lines(mail.text), lines(given.text) + links(given));
	if (given.html && !given.attachments) compare(name, 'html', lines(mail.html), lines(given.html));
	if (given.html && given.parts.includes('text/plain') && !lines(mail.text)) compare(name, 'made text', '', 'some');
	compareAttachments(name, mail, given.attachments || []);
	compareHeaders(name, mail, given.headers || {});
	if (given.unsubscribe) {
		const list = mail.headers.get('list');
		compare(name, 'unsubscribe', list.unsubscribe.url.startsWith('https://shop.example/u/'), true);
	}
	compare(name, 'date', mail.date.toISOString(), '2026-11-18T11:06:40.000Z');
	compare(name, 'message id', mail.messageId, '<42@mail.shop.example>');
}

// What stands at a URL, and is not shown, is named below the text.
function links(given) {
	return (given.attachments || []).filter((a) => a.url && !a.cid)
		.map((a) => `\n${a.name}: ${a.url}`).join('');
}

(async () => {
	const names = fs.readdirSync(folder).filter((f) => /^built-.*\.eml$/.test(f)).map((f) => f.slice(0, -4)).sort();
	for (const name of names) await check(name);
	console.log(`${names.length} mails read, ${failures} failures`);
	process.exit(failures || !names.length ? 1 : 0);
})();
