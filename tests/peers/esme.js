#!/usr/bin/env node
// An application that binds to Postern, by node-smpp: protocol code that we did not write. Plays
// through what applications do, all at once, and looks at the far side (smsc.js) for what came out.
//
//   esme.js --port P --far FILE[,FILE]          FILE: what smsc.js wrote
//
// The accounts and routes that it expects are those of tests/check.d/40-node-smpp.sh. Prints "ok" or
// "FAIL" for each scenario.
'use strict';
const assert = require('assert');
const fs = require('fs');
const net = require('net');
const smpp = require('smpp');

const options = {};
for (let i = 2; i < process.argv.length; i += 2)
	options[process.argv[i].replace(/^--/, '')] = process.argv[i + 1];
const PATIENCE = Number(options.patience || 60000); // for what the gateway may take its time over

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
async function until(what, tell, ms = PATIENCE) {
	const end = Date.now() + ms;
	for (;;) {
		const found = what();
		if (found) return found;
		if (Date.now() > end) throw new Error(`${tell}: not within ${ms / 1000} s`);
		await pause(30);
	}
}

// What the SMSCs took (status 0), for a destination. The last line may be half written.
function taken(to) {
	return options.far.split(',').flatMap((file) =>
		fs.readFileSync(file, 'utf8').split('\n').slice(0, -1).map((line) => JSON.parse(line)))
		.filter((entry) => entry.event === 'submit' && entry.to === to && entry.status === 0);
}

class Esme {
	// Resolves to a bound session, or throws with the status of the refusal.
	static async bind(how, account, password = 'secret', more = {}) {
		const esme = new Esme();
		esme.receipts = [];
		esme.session = smpp.connect({ url: `smpp://127.0.0.1:${options.port}` });
		esme.session.on('error', () => {});
		esme.closed = new Promise((resolve) => esme.session.on('close', resolve));
		esme.session.on('deliver_sm', (pdu) => {
			esme.receipts.push(pdu);
			esme.session.send(pdu.response());
		});
		esme.session.on('enquire_link', (pdu) => esme.session.send(pdu.response()));
		await new Promise((resolve, reject) => {
			esme.session.on('connect', resolve);
			esme.session.on('close', () => reject(new Error('closed before it was connected')));
		});
		esme.bound = await esme.ask('bind_' + how, { system_id: account, password, interface_version: 0x34, ...more });
		if (esme.bound.command_status !== 0) {
			esme.session.destroy();
			throw Object.assign(new Error(`bind refused: ${esme.bound.command_status}`), { status: esme.bound.command_status });
		}
		return esme;
	}
	ask(command, fields = {}) {
		return new Promise((resolve, reject) => {
			const timer = setTimeout(() => reject(new Error(`${command}: no answer`)), PATIENCE);
			this.session[command](fields, (pdu) => {
				clearTimeout(timer);
				resolve(pdu);
			});
		});
	}
	submit(to, text, fields = {}) {
		return this.ask('submit_sm', {
			source_addr_ton: 5, source_addr: 'Shop', dest_addr_ton: 1, dest_addr_npi: 1, destination_addr: to,
			data_coding: 0, registered_delivery: 1, short_message: text, ...fields,
		});
	}
	async accepted(to, text, fields) {
		const answer = await this.submit(to, text, fields);
		assert.strictEqual(answer.command_status, 0, `submit_sm_resp ${answer.command_status}`);
		assert.match(answer.message_id, /^[1-9][0-9]*$/, 'the id is decimal');
		return answer.message_id;
	}
	finals(id) {
		return this.receipts.filter((pdu) => pdu.receipted_message_id === id && (pdu.esm_class & 0x3c) === 4);
	}
	async receipt(id) {
		await until(() => this.finals(id).length > 0, `receipt of ${id}`);
		return this.finals(id)[0];
	}
	async ends(id, word, state) {
		const pdu = await this.receipt(id);
		const text = pdu.short_message.message.toString();
		assert.match(text, new RegExp(`^id:${id} `), text);
		assert.match(text, new RegExp(` stat:${word} `), text);
		assert.strictEqual(pdu.message_state, state);
		return pdu;
	}
	async unbind() {
		const answer = await this.ask('unbind');
		assert.strictEqual(answer.command, 'unbind_resp');
		this.session.close();
	}
}

// A destination that no other scenario uses; `code` says how the SMSC takes it.
let subscriber = 100;
const number = (code, country = '46') => `${country}${code}${String(++subscriber).padStart(7, '0')}`;

let failures = 0;
async function scenario(name, play) {
	try {
		await play();
		console.log(`ok    esme: ${name}`);
	} catch (error) {
		failures++;
		console.log(`FAIL  esme: ${name}: ${error.message.replace(/\s+/g, ' ')}`);
	}
}

// Bytes as they are, for what no library would send. Resolves to all that came back, until a close
// or `ms` of silence.
function raw(bytes, ms = 1500) {
	return new Promise((resolve) => {
		const got = [];
		const socket = net.connect(Number(options.port), '127.0.0.1', () => socket.write(bytes));
		const done = (closed) => {
			socket.destroy();
			resolve({ closed, bytes: Buffer.concat(got) });
		};
		socket.setTimeout(ms, () => done(false));
		socket.on('data', (chunk) => got.push(chunk));
		socket.on('error', () => done(true));
		socket.on('close', () => done(true));
	});
}
function header(length, id, sequence) {
	const pdu = Buffer.alloc(16);
	[length, id, 0, sequence].forEach((value, i) => pdu.writeUInt32BE(value, 4 * i));
	return pdu;
}

// A receipt goes to any receiver that its account has bound: so nothing else here binds as "node".
async function main() {
	const esme = await Esme.bind('transceiver', 'node');
	const unicode = 'Привет, мир \u{1f600}';
	const long = 'A long story: ' + '0123456789 abcdefghij [{€}] '.repeat(15);

	const all = [
		scenario('bind in all three ways', async () => {
			for (const how of ['transceiver', 'transmitter', 'receiver']) {
				const bound = await Esme.bind(how, 'brief');
				assert.strictEqual(bound.bound.sc_interface_version, 0x34);
				await bound.unbind();
			}
		}),
		scenario('a 3.3 client', async () => {
			const old = await Esme.bind('transceiver', 'brief', 'secret', { interface_version: 0x33 });
			assert.strictEqual(old.bound.sc_interface_version, undefined);
			await old.unbind();
		}),
		scenario('a message and its receipt', async () => {
			const to = number(70);
			const id = await esme.accepted(to, 'Hello');
			const pdu = await esme.ends(id, 'DELIVRD', 2);
			assert.strictEqual(pdu.source_addr, to);
			assert.strictEqual(pdu.destination_addr, 'Shop');
			const out = taken(to);
			assert.strictEqual(out.length, 1);
			assert.strictEqual(out[0].text, 'Hello');
			assert.strictEqual(out[0].from, 'Shop');
		}),
		scenario('GSM text with the extension table', async () => {
			const to = number(70), text = 'Hej @_€[]{}~\\^| åäö ÄÖÜ';
			await esme.ends(await esme.accepted(to, text), 'DELIVRD', 2);
			assert.strictEqual(taken(to)[0].text, text);
		}),
		scenario('UCS-2 text', async () => {
			const to = number(70);
			await esme.ends(await esme.accepted(to, unicode, { data_coding: 8 }), 'DELIVRD', 2);
			assert.strictEqual(taken(to)[0].text, unicode);
			assert.strictEqual(taken(to)[0].coding, 8);
		}),
		scenario('octets stay octets', async () => {
			const to = number(70);
			await esme.ends(await esme.accepted(to, Buffer.from('00ff80', 'hex'), { data_coding: 4 }), 'DELIVRD', 2);
			assert.strictEqual(taken(to)[0].coding, 4);
			assert.strictEqual(taken(to)[0].text, '00ff80');
		}),
		scenario('a long text in message_payload is cut, and has one receipt', async () => {
			const to = number(70);
			const id = await esme.accepted(to, '', { message_payload: long });
			await esme.ends(id, 'DELIVRD', 2);
			const parts = taken(to);
			assert.ok(parts.length >= 3, `${parts.length} parts`);
			const order = (part) => (part.sar ? part.sar[2] : parseInt(part.udh.slice(-2), 16));
			parts.sort((a, b) => order(a) - order(b));
			assert.strictEqual(parts.map((part) => part.text).join(''), long);
			await pause(1000);
			assert.strictEqual(esme.finals(id).length, 1);
		}),
		scenario('parts with a header of their own pass untouched', async () => {
			const to = number(70);
			const parts = ['first half, ', 'second half'];
			const ids = await Promise.all(parts.map((message, i) => esme.accepted(to,
				{ udh: Buffer.from([5, 0, 3, 0x77, 2, i + 1]), message }, { esm_class: 0x40 })));
			for (const id of ids) await esme.ends(id, 'DELIVRD', 2);
			const out = taken(to);
			assert.deepStrictEqual(out.map((part) => part.udh).sort(), ['0003770201', '0003770202']);
			assert.deepStrictEqual(out.map((part) => part.text).sort(), [...parts].sort());
		}),
		scenario('data_sm', async () => {
			const to = number(70);
			const answer = await esme.ask('data_sm', {
				source_addr_ton: 5, source_addr: 'Shop', dest_addr_ton: 1, dest_addr_npi: 1, destination_addr: to,
				data_coding: 0, registered_delivery: 1, message_payload: Buffer.from('by data'),
			});
			assert.strictEqual(answer.command_status, 0);
			await esme.ends(answer.message_id, 'DELIVRD', 2);
			assert.strictEqual(taken(to)[0].text, 'by data');
		}),
		scenario('submit_multi', async () => {
			const to = [number(70), number(70)];
			const answer = await esme.ask('submit_multi', {
				source_addr_ton: 5, source_addr: 'Shop', data_coding: 0, short_message: 'to both',
				dest_address: to.map((destination_addr) => ({ dest_addr_ton: 1, dest_addr_npi: 1, destination_addr })),
			});
			assert.strictEqual(answer.command_status, 0);
			assert.deepStrictEqual(answer.unsuccess_sme, []);
			for (const one of to) await until(() => taken(one).length === 1, `a message for ${one}`);
		}),
		scenario('query_sm', async () => {
			const id = await esme.accepted(number(70), 'and?');
			await esme.receipt(id);
			const answer = await esme.ask('query_sm', { message_id: id, source_addr_ton: 5, source_addr: 'Shop' });
			assert.strictEqual(answer.command_status, 0);
			assert.strictEqual(answer.message_id, id);
			assert.strictEqual(answer.message_state, 2);
			const unknown = await esme.ask('query_sm', { message_id: '4611686018427387904', source_addr_ton: 5, source_addr: 'Shop' });
			assert.ok([smpp.ESME_RQUERYFAIL, smpp.ESME_RINVMSGID].includes(unknown.command_status), `${unknown.command_status}`);
		}),
		scenario('nobody asks about the messages of another', async () => {
			const id = await esme.accepted(number(70), 'mine');
			const other = await Esme.bind('transceiver', 'other');
			for (const command of ['query_sm', 'cancel_sm']) {
				const answer = await other.ask(command, { message_id: id, source_addr_ton: 5, source_addr: 'Shop' });
				assert.notStrictEqual(answer.command_status, 0, command);
			}
			await other.unbind();
		}),
		scenario('cancel_sm', async () => {
			const to = number(70);
			const id = await esme.accepted(to, 'never', { schedule_delivery_time: '000000010000000R' });
			const fields = { message_id: id, source_addr_ton: 5, source_addr: 'Shop' };
			assert.strictEqual((await esme.ask('cancel_sm', fields)).command_status, 0);
			await esme.ends(id, 'DELETED', 4);
			assert.strictEqual((await esme.ask('query_sm', fields)).message_state, 4);
			assert.strictEqual((await esme.ask('cancel_sm', fields)).command_status, smpp.ESME_RCANCELFAIL);
			assert.strictEqual(taken(to).length, 0);
		}),
		scenario('replace_sm, and a time to send at', async () => {
			const to = number(70), start = Date.now();
			const id = await esme.accepted(to, 'old words', { schedule_delivery_time: '000000000003000R' });
			const answer = await esme.ask('replace_sm', {
				message_id: id, source_addr_ton: 5, source_addr: 'Shop', registered_delivery: 1,
				short_message: Buffer.from('new words'),
			});
			assert.strictEqual(answer.command_status, 0);
			await esme.ends(id, 'DELIVRD', 2);
			assert.deepStrictEqual(taken(to).map((part) => part.text), ['new words']);
			assert.ok(Date.now() - start >= 2500, `after ${Date.now() - start} ms`);
		}),
		scenario('no route', async () => {
			assert.strictEqual((await esme.submit('99123456789', 'nowhere')).command_status, smpp.ESME_RINVDSTADR);
		}),
		scenario('a throttling SMSC', async () => {
			const to = number(71);
			await esme.ends(await esme.accepted(to, 'slowly'), 'DELIVRD', 2);
			assert.strictEqual(taken(to).length, 1);
		}),
		scenario('a passing fault', async () => {
			const to = number(72);
			await esme.ends(await esme.accepted(to, 'once more'), 'DELIVRD', 2);
			assert.strictEqual(taken(to).length, 1);
		}),
		scenario('a refusal for good', async () => {
			const pdu = await esme.receipt(await esme.accepted(number(73), 'no'));
			assert.ok([5, 8].includes(pdu.message_state), `state ${pdu.message_state}`);
		}),
		scenario('a receipt that overtakes its response', async () => {
			await esme.ends(await esme.accepted(number(74), 'early'), 'DELIVRD', 2);
		}),
		scenario('undeliverable', async () => {
			await esme.ends(await esme.accepted(number(75), 'off'), 'UNDELIV', 5);
		}),
		scenario('a receipt that comes twice is told once', async () => {
			const id = await esme.accepted(number(76), 'twice');
			await esme.ends(id, 'DELIVRD', 2);
			await pause(1000);
			assert.strictEqual(esme.finals(id).length, 1);
		}),
		scenario('stages are told only when asked for', async () => {
			const plain = await esme.accepted(number(77), 'plain');
			const staged = await esme.accepted(number(77), 'staged', { registered_delivery: 0x11 });
			await esme.ends(plain, 'DELIVRD', 2);
			await esme.ends(staged, 'DELIVRD', 2);
			const stages = (id) => esme.receipts.filter((pdu) =>
				pdu.receipted_message_id === id && (pdu.esm_class & 0x3c) === 0x20).length;
			assert.strictEqual(stages(plain), 0);
			assert.ok(stages(staged) >= 1);
		}),
		scenario('no receipt where none is asked for', async () => {
			const none = number(70), failure = number(70);
			const ids = [
				await esme.accepted(none, 'none', { registered_delivery: 0 }),
				await esme.accepted(failure, 'only failure', { registered_delivery: 2 }),
			];
			await until(() => taken(none).length && taken(failure).length, 'both out');
			await pause(1500);
			for (const id of ids) assert.strictEqual(esme.finals(id).length, 0);
		}),
		scenario('an SMSC that breaks the connection', async () => {
			const to = number(79, '48');
			await esme.ends(await esme.accepted(to, 'again'), 'DELIVRD', 2);
		}),
		scenario('forty ids in hex, receipts in decimal', async () => {
			const ids = await Promise.all(Array.from({ length: 40 }, (_, i) => esme.accepted(number(70, '47'), `hex ${i}`)));
			for (const id of ids) await esme.ends(id, 'DELIVRD', 2);
		}),
		scenario('receipts wait for a receiver', async () => {
			const sender = await Esme.bind('transmitter', 'away');
			const to = number(70);
			const id = await sender.accepted(to, 'later');
			await until(() => taken(to).length === 1, 'out');
			await pause(500);
			assert.strictEqual(sender.receipts.length, 0);
			const receiver = await Esme.bind('receiver', 'away');
			await receiver.ends(id, 'DELIVRD', 2);
			await sender.unbind();
			await receiver.unbind();
		}),
		scenario('receipts go to any receiver of the account, and to another when one leaves', async () => {
			const sessions = await Promise.all(['transceiver', 'transceiver', 'receiver'].map((how) => Esme.bind(how, 'spread')));
			const [sender, leaver] = sessions;
			const at = (id) => sessions.filter((one) => one.finals(id).length > 0);
			const ids = await Promise.all(Array.from({ length: 40 }, () => sender.accepted(number(70), 'to any')));
			await until(() => leaver.receipts.length > 0, 'a receipt for the one that leaves');
			await leaver.unbind();
			ids.push(...await Promise.all(Array.from({ length: 20 }, () => sender.accepted(number(70), 'to the others'))));
			for (const id of ids) await until(() => at(id).length > 0, `receipt of ${id}, anywhere`);
			assert.ok(sessions[2].receipts.length > 0, 'the other receiver has its share');
			for (const id of ids.slice(40)) assert.ok(!at(id).includes(leaver), `receipt of ${id} to one that left`);
			await sender.unbind();
			await sessions[2].unbind();
		}),
		scenario('a receiver submits nothing', async () => {
			const receiver = await Esme.bind('receiver', 'other');
			assert.strictEqual((await receiver.submit(number(70), 'no')).command_status, smpp.ESME_RINVBNDSTS);
			await receiver.unbind();
		}),
		scenario('no more binds than allowed', async () => {
			const first = await Esme.bind('transceiver', 'single');
			await assert.rejects(Esme.bind('transceiver', 'single'), (error) => error.status === smpp.ESME_RBINDFAIL);
			await first.unbind();
		}),
		scenario('no faster than allowed', async () => {
			const slow = await Esme.bind('transceiver', 'slow');
			const answers = await Promise.all(Array.from({ length: 30 }, () => slow.submit(number(70), 'quick')));
			const over = answers.filter((pdu) => pdu.command_status === smpp.ESME_RTHROTTLED).length;
			const within = answers.filter((pdu) => pdu.command_status === 0).length;
			assert.ok(over >= 10 && within >= 1 && over + within === 30, `${within} taken, ${over} throttled`);
			await slow.unbind();
		}),
		scenario('enquire_link', async () => {
			assert.strictEqual((await esme.ask('enquire_link')).command_status, 0);
		}),
		scenario('an unknown command: generic_nack, and the session lives', async () => {
			const { bytes } = await raw(Buffer.concat([header(16, 0x00010203, 7), header(16, 0x15, 8)]));
			assert.ok(bytes.length >= 16, 'an answer');
			assert.deepStrictEqual([bytes.readUInt32BE(4), bytes.readUInt32BE(8), bytes.readUInt32BE(12)], [0x80000000, 3, 7]);
		}),
		scenario('a length that cannot be: generic_nack and a close', async () => {
			for (const length of [8, 0x7fffffff]) {
				const { bytes, closed } = await raw(header(length, 4, 9), 5000);
				assert.ok(closed, 'closed');
				assert.deepStrictEqual([bytes.readUInt32BE(4), bytes.readUInt32BE(8)], [0x80000000, 2]);
			}
		}),
		scenario('a submit before any bind', async () => {
			const { bytes } = await raw(new smpp.PDU('submit_sm', {
				sequence_number: 5, destination_addr: number(70), data_coding: 0, short_message: 'early' }).toBuffer());
			assert.deepStrictEqual([bytes.readUInt32BE(4), bytes.readUInt32BE(8)], [0x80000004, 4]);
		}),
	];
	await Promise.all(all);
	// Last, because the gateway answers an address that guesses ever more slowly.
	await scenario('wrong passwords and unknown accounts', async () => {
		for (const [account, password] of [['node', 'wrong'], ['nobody', 'secret']])
			await assert.rejects(Esme.bind('transceiver', account, password),
				(error) => [smpp.ESME_RBINDFAIL, smpp.ESME_RINVPASWD, smpp.ESME_RINVSYSID].includes(error.status));
	});
	await scenario('unbind', () => esme.unbind());
	process.exit(failures ? 1 : 0);
}
main().catch((error) => {
	console.log(`FAIL  esme: ${error.message}`);
	process.exit(1);
});
