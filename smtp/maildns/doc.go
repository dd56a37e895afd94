// Package maildns prints and checks the DNS records by which receivers decide
// whether to trust the mail of a domain: SPF, DKIM and DMARC.
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
// Publish the records before the first mail, and run Check in a deployment's
// tests, after each rotation of a DKIM key, and from time to time: other teams
// change a zone, too.
//
// # The records
//
//   - [SPF] names the hosts that may send for the domain of the return path
//     (RFC 7208). It costs a receiver at most ten look-ups.
//   - [DKIM] holds a public key, one record for each selector (RFC 6376).
//   - [DMARC] tells receivers what to do with mail that passes neither SPF nor
//     DKIM for a domain aligned with From (RFC 9989, which replaces RFC 7489). If
//     the domain has no record, that of its organization counts, which receivers
//     find by a tree walk. A mailbox for reports outside the organization needs a
//     record of its own, FROM._report._dmarc.DOMAIN with "v=DMARC1".
//   - [MX] names the hosts that take bounces, at the domain of the return path.
//
// Check reads SPF as receivers do, as a whole and by its grammar: one malformed
// term makes the record an error for all mail.
//
// The address that mail leaves from also needs a PTR record, which only its
// operator can publish. Check does not look at it.
//
// # Errors and concurrency
//
// An error names the field of the Setup that is wrong, or wraps the error of a
// failed look-up. A [Problem] is not an error: the record was found wanting, and
// its [Fault] says in which way. A Setup may be used by several goroutines.
package maildns
