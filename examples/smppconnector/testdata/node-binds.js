// Binds with node-smpp 0.5.1 over plain SMPP, one after the other, and submits over
// each bind that is accepted.
//
//	node node-binds.js port '[{"command":"bind_transceiver","system_id":"…","password":"…","submits":1},…]'
//
// Without a command it submits before a bind. In the end it writes one line of JSON to
// stdout: for each bind its status, and then the statuses of its messages.
'use strict';

const smpp = require('smpp');

const [port, text] = process.argv.slice(2);
const results = [];

function next(rest) {
	if (rest.length === 0) {
		process.stdout.write(JSON.stringify(results) + '\n');
		return;
	}
	const want = rest[0];
	const statuses = [];
	const session = smpp.connect({ host: '127.0.0.1', port: Number(port) }, () => {
		if (!want.command) {
			return submit(want.submits);
		}
		session[want.command]({ system_id: want.system_id, password: want.password }, (pdu) => {
			statuses.push(pdu.command_status);
			submit(pdu.command_status === 0 ? want.submits : 0);
		});
	});
	session.on('error', () => {}); // the connector closes after a refused bind
	session.on('close', () => {
		results.push(statuses);
		next(rest.slice(1));
	});
	function submit(n) {
		if (!n) {
			return session.close();
		}
		session.submit_sm({
			source_addr_ton: 5, source_addr: 'MyBank', dest_addr_ton: 1, dest_addr_npi: 1,
			destination_addr: '14155552671', short_message: 'Your code is 482910',
		}, (pdu) => {
			statuses.push(pdu.command_status);
			submit(n - 1);
		});
	}
}

next(JSON.parse(text));
