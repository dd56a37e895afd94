// Package maildns prints and checks the DNS records of a sending domain: SPF,
// DKIM and DMARC. By them receivers decide whether to trust its mail.
//
//	setup := maildns.Setup{
//		From:    "mybank.example",
//		Senders: []string{"include:_spf.relay.example"},
//		DKIM:    signer, // a *smtp.DKIM; nil if the relay signs
//		Reports: "dmarc@mybank.example",
//	}
//	records, err := setup.Records() // print them: each is a line of a zone file
//
//	problems, err := setup.Check(ctx, net.DefaultResolver)
//	for _, p := range problems {
//		fmt.Println(p) // "DMARC at _dmarc.mybank.example: missing"
//	}
//
// Publish the records before the first mail. Run Check in a deployment's tests,
// after each rotation of a DKIM key, and from time to time: other teams change
// a zone, too.
//
// # The records
//
//   - [SPF] names the hosts that may send for the domain of the return path
//     (RFC 7208). A receiver makes at most ten look-ups for it.
//   - [DKIM] is a public key, one record for each selector (RFC 6376).
//   - [DMARC] tells receivers how to treat mail that passes neither SPF nor
//     DKIM for a domain aligned with From (RFC 9989, which replaces RFC 7489).
//     If the domain has no record, receivers find its organization's by a tree
//     walk. A mailbox for reports outside the organization needs a record of
//     its own, FROM._report._dmarc.DOMAIN with "v=DMARC1".
//   - [MX] names the hosts for bounces, at the domain of the return path.
//
// Check reads SPF as receivers do, as a whole and by its grammar: one malformed
// term makes the record an error for all mail.
//
// The sending address also needs a PTR record, which only its operator can
// publish. Check does not look at it.
//
// # Errors and concurrency
//
// An error names the wrong field of the Setup, or wraps the error of a failed
// look-up. A [Problem] is not an error: Check found the record wrong, and its
// [Fault] says why. A Setup is safe for concurrent use.
package maildns
