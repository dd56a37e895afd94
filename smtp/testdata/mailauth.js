// Verifies the DKIM signatures of mails with mailauth 4, offline:
//
//	node mailauth.js records.json mail...
//
// records.json holds the TXT records by name. For each mail it writes a line of
// JSON to stdout: [{"algorithm": "rsa-sha256", "result": "pass"}, ...].
'use strict';

const fs = require('fs');
const { dkimVerify } = require('mailauth/lib/dkim/verify');

const [recordsFile, ...mails] = process.argv.slice(2);
const records = JSON.parse(fs.readFileSync(recordsFile));

async function resolver(name, type) {
	if (type !== 'TXT' || !records[name]) {
		throw Object.assign(new Error('no such record'), { code: 'ENOTFOUND' });
	}
	return [[records[name]]];
}

(async () => {
	for (const mail of mails) {
		const { results } = await dkimVerify(fs.readFileSync(mail), { resolver });
		const found = results.map((r) => ({ algorithm: r.algo, result: r.status.result }));
		process.stdout.write(JSON.stringify(found) + '\n');
	}
})();
