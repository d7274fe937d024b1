#!/usr/bin/env node
// An SMSC by node-smpp, for Postern's SMPP client to bind to: protocol code that we did not write.
//
//   smsc.js --port P --log FILE [--ids decimal|hex|padded] [--receipts both|text|tlv] [--password X]
//
// What it does with a message is in the destination's third and fourth digit (4671… is throttled
// twice); FILE gets a line of JSON for each submit_sm and each bind. Prints "listening" when it is.
'use strict';
const fs = require('fs');
const smpp = require('smpp');

const options = { ids: 'decimal', receipts: 'both', password: 'secret', delay: '30' };
for (let i = 2; i < process.argv.length; i += 2)
	options[process.argv[i].replace(/^--/, '')] = process.argv[i + 1];

const BEHAVIOUR = {
	71: 'throttle', // ESME_RTHROTTLED for the first two attempts
	72: 'busy', // ESME_RSYSERR for the first attempt
	73: 'refuse', // ESME_RINVDSTADR, for good
	74: 'early', // the receipt overtakes the response
	75: 'undeliverable',
	76: 'twice', // the receipt comes twice
	77: 'stages', // an intermediate notification, then the receipt
	78: 'silent', // no receipt, ever
	79: 'drop', // breaks the connection instead of the first answer
};

const log = fs.openSync(options.log, 'a');
const attempts = new Map();
let lastId = options.ids === 'hex' ? 0xa0b1c2d3 : 1000000;

function write(entry) {
	fs.writeSync(log, JSON.stringify(entry) + '\n');
}

function nextId() {
	lastId += 7;
	if (options.ids === 'hex') return { answered: lastId.toString(16).toUpperCase(), receipted: String(lastId) };
	if (options.ids === 'padded') return { answered: String(lastId), receipted: String(lastId).padStart(12, '0') };
	return { answered: String(lastId), receipted: String(lastId) };
}

function minute(date) {
	return date.toISOString().slice(2, 16).replace(/[-T:]/g, '');
}

// The receipt in the words of SMPP 3.4 Appendix B, as TLVs, or both.
function receipt(session, pdu, id, word, state, esmClass) {
	const fields = {
		source_addr_ton: pdu.dest_addr_ton,
		source_addr_npi: pdu.dest_addr_npi,
		source_addr: pdu.destination_addr,
		dest_addr_ton: pdu.source_addr_ton,
		dest_addr_npi: pdu.source_addr_npi,
		destination_addr: pdu.source_addr,
		esm_class: esmClass || 4,
		data_coding: 0,
		short_message: Buffer.alloc(0),
	};
	if (options.receipts !== 'tlv') {
		const now = minute(new Date());
		const good = word === 'DELIVRD';
		fields.short_message = Buffer.from(
			`id:${id} sub:001 dlvrd:${good ? '001' : '000'} submit date:${now} done date:${now} ` +
				`stat:${word} err:${good ? '000' : '005'} text:`,
			'latin1');
	}
	if (options.receipts !== 'text') {
		fields.receipted_message_id = id;
		fields.message_state = state;
	}
	session.deliver_sm(fields);
}

function submitted(session, pdu) {
	const message = pdu.short_message || {};
	const payload = pdu.message_payload || {};
	const text = (message.message && message.message.length ? message : payload).message;
	const udh = message.udh || payload.udh;
	const key = pdu.destination_addr + '/' + pdu.sequence_number;
	const entry = {
		event: 'submit', at: Date.now(), from: pdu.source_addr, to: pdu.destination_addr,
		ton: [pdu.source_addr_ton, pdu.dest_addr_ton], coding: pdu.data_coding, esm_class: pdu.esm_class,
		registered: pdu.registered_delivery, service_type: pdu.service_type,
		udh: udh ? Buffer.concat(udh).toString('hex') : '',
		text: Buffer.isBuffer(text) ? text.toString('hex') : text || '',
		sar: pdu.sar_total_segments ? [pdu.sar_msg_ref_num, pdu.sar_total_segments, pdu.sar_segment_seqnum] : null,
	};
	const what = BEHAVIOUR[pdu.destination_addr.slice(2, 4)];
	const seen = (attempts.get(pdu.destination_addr) || 0) + 1;
	attempts.set(pdu.destination_addr, seen);

	const refuse = (status) => {
		write({ ...entry, status });
		session.send(pdu.response({ command_status: status }));
	};
	if (what === 'throttle' && seen <= 2) return refuse(smpp.ESME_RTHROTTLED);
	if (what === 'busy' && seen <= 1) return refuse(smpp.ESME_RSYSERR);
	if (what === 'refuse') return refuse(smpp.ESME_RINVDSTADR);
	if (what === 'drop' && seen <= 1) {
		write({ ...entry, status: 'dropped' });
		return session.destroy();
	}

	const id = nextId();
	const answer = () => session.send(pdu.response({ message_id: id.answered }));
	const wanted = (pdu.registered_delivery & 3) !== 0;
	const word = what === 'undeliverable' ? ['UNDELIV', 5] : ['DELIVRD', 2];
	write({ ...entry, status: 0, id: id.answered, key });
	if (!wanted || what === 'silent') return answer();
	if (what === 'early') {
		receipt(session, pdu, id.receipted, ...word);
		return setTimeout(answer, 200);
	}
	answer();
	if (what === 'stages') receipt(session, pdu, id.receipted, 'ENROUTE', 1, 0x20);
	setTimeout(() => {
		receipt(session, pdu, id.receipted, ...word);
		if (what === 'twice') setTimeout(() => receipt(session, pdu, id.receipted, ...word), 50);
	}, Number(options.delay));
}

function bind(session, pdu) {
	const good = pdu.password === options.password;
	write({ event: 'bind', command: pdu.command, system_id: pdu.system_id, version: pdu.interface_version, good });
	session.send(pdu.response(good
		? { system_id: 'node-smsc', sc_interface_version: 0x34 }
		: { command_status: smpp.ESME_RBINDFAIL }));
}

const server = smpp.createServer((session) => {
	for (const command of ['bind_transceiver', 'bind_receiver', 'bind_transmitter'])
		session.on(command, (pdu) => bind(session, pdu));
	session.on('submit_sm', (pdu) => submitted(session, pdu));
	session.on('enquire_link', (pdu) => session.send(pdu.response()));
	session.on('unbind', (pdu) => {
		write({ event: 'unbind' });
		session.send(pdu.response(), () => session.close());
	});
	session.on('error', () => session.destroy());
});
server.listen(Number(options.port), '127.0.0.1', () => console.log('listening'));
process.on('SIGTERM', () => process.exit(0));
