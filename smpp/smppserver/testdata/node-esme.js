// An ESME on node-smpp 0.5.1 for TestRealNodeSMPPAsClient: binds as transceiver,
// submits messages with a window of 50, awaits a delivery receipt for each, and
// unbinds.
//
//	node node-esme.js port count [cert.pem]     (with a certificate: TLS)
//
// In the end it writes one line of JSON to stdout: {"accepted":1000, …}.
'use strict';

const fs = require('fs');
const smpp = require('smpp');

const [port, count, cert] = process.argv.slice(2);
const result = { bind: -1, accepted: 0, refused: 0, receipts: 0, unmatched: 0, unbind: -1 };
const waiting = new Set(); // message_ids without a receipt
const early = new Set(); // receipts without a message_id yet

const options = { host: '127.0.0.1', port: Number(port), tls: Boolean(cert) };
if (cert) {
	options.ca = fs.readFileSync(cert);
}

const fail = (error) => {
	process.stderr.write(`${error}\n`);
	process.exit(1);
};

let submitted = 0;
const session = smpp.connect(options, () => {
	session.bind_transceiver({ system_id: 'bank', password: 'secret' }, (pdu) => {
		result.bind = pdu.command_status;
		if (pdu.command_status !== 0) {
			return finish();
		}
		for (let i = 0; i < 50; i++) {
			submit();
		}
	});
});
session.on('error', fail);

function submit() {
	if (submitted >= Number(count)) {
		return;
	}
	const i = String(submitted++).padStart(5, '0');
	session.submit_sm({
		source_addr_ton: 5, source_addr: 'MyBank', dest_addr_ton: 1, dest_addr_npi: 1,
		destination_addr: `4479111${i}`, registered_delivery: 1, short_message: `${i} is your code {€}`,
	}, (pdu) => {
		if (pdu.command_status === 0) {
			result.accepted++;
			if (!early.delete(pdu.message_id)) {
				waiting.add(pdu.message_id);
			}
		} else {
			result.refused++;
		}
		submit();
		check();
	});
}

session.on('deliver_sm', (pdu) => {
	session.send(pdu.response());
	const id = pdu.receipted_message_id;
	const text = pdu.short_message.message.toString();
	if (pdu.message_state !== smpp.MESSAGE_STATE.DELIVERED || !text.startsWith(`id:${id} `) || !text.includes(' stat:DELIVRD ')) {
		result.unmatched++;
	}
	result.receipts++;
	if (!waiting.delete(id)) {
		early.add(id);
	}
	check();
});

function check() {
	if (result.accepted + result.refused === Number(count) && waiting.size === 0) {
		result.unmatched += early.size;
		session.unbind((pdu) => {
			result.unbind = pdu.command_status;
			finish();
		});
	}
}

function finish() {
	process.stdout.write(JSON.stringify(result) + '\n');
	session.close();
}
