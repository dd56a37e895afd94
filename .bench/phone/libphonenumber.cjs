// Reads numbers in E.164 form, one a line, and writes what libphonenumber-js
// says of each, as one line of JSON.
const { parsePhoneNumberFromString } = require('libphonenumber-js/max')
const { readFileSync } = require('node:fs')

const lines = readFileSync(0, 'utf8').split('\n').filter(Boolean)
process.stdout.write(lines.map(line => {
	const n = parsePhoneNumberFromString(line)
	if (!n || !n.isValid()) return JSON.stringify({ number: line })
	const national = n.country ? n.formatNational() : ''
	return JSON.stringify({
		number: line, valid: true, e164: n.number, region: n.country, type: n.getType(),
		national, reread: national && parsePhoneNumberFromString(national, n.country)?.number,
	})
}).join('\n') + '\n')
