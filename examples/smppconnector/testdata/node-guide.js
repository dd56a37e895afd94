// An ESME on node-smpp 0.5.1: binds as transceiver over plain SMPP, submits each
// message of the JSON array, and unbinds.
//
//	node node-guide.js port '[{"destination_addr":"…","short_message":"…"},…]'
//
// In the end it writes one line of JSON to stdout: the bind's status, and for each
// message its status and its receipt.
'use strict';

const smpp = require('smpp');

const [port, text] = process.argv.slice(2);
const messages = JSON.parse(text);
const result = { bind: -1, rows: messages.map(() => ({ status: -1, receipt: '' })) };
const rowOf = new Map(); // by message_id
const early = new Map(); // receipts without a message_id yet
let open = messages.length;

const session = smpp.connect({ host: '127.0.0.1', port: Number(port) }, () => {
	session.bind_transceiver({ system_id: 'aggregator', password: 's3cret42' }, (pdu) => {
		result.bind = pdu.command_status;
		messages.forEach(submit);
	});
});
session.on('error', (error) => {
	process.stderr.write(`${error}\n`);
	process.exit(1);
});

function submit(message, i) {
	session.submit_sm(Object.assign({
		source_addr_ton: 5, source_addr: 'MyBank', dest_addr_ton: 1, dest_addr_npi: 1, registered_delivery: 1,
	}, message), (pdu) => {
		result.rows[i].status = pdu.command_status;
		if (pdu.command_status !== 0) {
			return done();
		}
		rowOf.set(pdu.message_id, i);
		if (early.has(pdu.message_id)) {
			receipt(pdu.message_id, early.get(pdu.message_id));
		}
	});
}

session.on('deliver_sm', (pdu) => {
	session.send(pdu.response());
	const stat = / stat:(\w+) /.exec(pdu.short_message.message.toString());
	receipt(pdu.receipted_message_id, stat ? stat[1] : '?');
});

function receipt(id, stat) {
	if (!rowOf.has(id)) {
		early.set(id, stat);
		return;
	}
	result.rows[rowOf.get(id)].receipt = stat;
	done();
}

function done() {
	if (--open === 0) {
		session.unbind(() => {
			process.stdout.write(JSON.stringify(result) + '\n');
			session.close();
		});
	}
}
