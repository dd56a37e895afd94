// An SMSC on node-smpp 0.5.1 for TestRealNodeSMPP…: takes every bind and
// message, and sends a delivery receipt for each that asks for one.
//
//	node node-smsc.js key.pem cert.pem     (TLS)
//	node node-smsc.js                      (plain)
//
// It listens on a free port of the loopback interface and writes a line of JSON
// to stdout for all that happens: {"event":"listening","port":40123}, then
// "bind", "message", "cancel" and "answer" (to a receipt). It ends when stdin
// does. A cancel_sm is granted once for each message.
'use strict';

const fs = require('fs');
const smpp = require('smpp');

const say = (event) => process.stdout.write(JSON.stringify(event) + '\n');

const [key, cert] = process.argv.slice(2);
const options = key ? { key: fs.readFileSync(key), cert: fs.readFileSync(cert) } : {};

let messages = 0;
const pending = new Set(); // ids that may be cancelled

// Receipts go over the receiver where a client has bound one.
let receiver = null;
const held = []; // receipts that wait for it

function receipt(session, pdu, id) {
	const date = new Date().toISOString().replace(/[-T:]/g, '').slice(2, 12);
	session.deliver_sm({
		source_addr_ton: pdu.dest_addr_ton,
		source_addr_npi: pdu.dest_addr_npi,
		source_addr: pdu.destination_addr,
		dest_addr_ton: pdu.source_addr_ton,
		destination_addr: pdu.source_addr,
		esm_class: smpp.ESM_CLASS.MC_DELIVERY_RECEIPT,
		short_message: `id:${id} sub:001 dlvrd:001 submit date:${date} done date:${date} stat:DELIVRD err:000 text:`,
		receipted_message_id: id,
		message_state: smpp.MESSAGE_STATE.DELIVERED,
	}, (answer) => say({ event: 'answer', id, status: answer.command_status }));
}

function payload(pdu) {
	const value = pdu.message_payload;
	return value ? (value.message || value).toString() : '';
}

const server = smpp.createServer(options, (session) => {
	session.on('error', () => session.destroy());
	for (const bind of ['bind_transceiver', 'bind_transmitter', 'bind_receiver']) {
		session.on(bind, (pdu) => {
			say({ event: 'bind', systemID: pdu.system_id, version: pdu.interface_version });
			session.send(pdu.response({ system_id: 'node-smpp' }));
			session.transmitter = bind === 'bind_transmitter';
			if (bind === 'bind_receiver') {
				receiver = session;
				held.splice(0).forEach((send) => send());
			}
		});
	}
	session.on('submit_sm', (pdu) => {
		const id = `n${++messages}`;
		pending.add(id);
		say({
			event: 'message', id, from: pdu.source_addr, to: pdu.destination_addr,
			text: pdu.short_message.message.toString(), payload: payload(pdu), dataCoding: pdu.data_coding,
			fromTON: pdu.source_addr_ton, toTON: pdu.dest_addr_ton, toNPI: pdu.dest_addr_npi,
			registered: pdu.registered_delivery, validity: String(pdu.validity_period),
			udh: Buffer.concat(pdu.short_message.udh || []).toString('hex'),
		});
		session.send(pdu.response({ message_id: id }));
		if (pdu.registered_delivery & 1) {
			if (session.transmitter && !receiver) {
				held.push(() => receipt(receiver, pdu, id));
			} else {
				receipt(session.transmitter ? receiver : session, pdu, id);
			}
		}
	});
	session.on('cancel_sm', (pdu) => {
		say({
			event: 'cancel', id: pdu.message_id, from: pdu.source_addr, to: pdu.destination_addr,
			fromTON: pdu.source_addr_ton, toTON: pdu.dest_addr_ton, toNPI: pdu.dest_addr_npi,
		});
		const there = pending.delete(pdu.message_id);
		session.send(pdu.response({ command_status: there ? 0 : smpp.ESME_RCANCELFAIL }));
	});
	session.on('enquire_link', (pdu) => session.send(pdu.response()));
	session.on('unbind', (pdu) => {
		say({ event: 'unbind' });
		session.send(pdu.response());
		session.close();
	});
});

server.listen(0, '127.0.0.1', () => say({ event: 'listening', port: server.address().port }));
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
