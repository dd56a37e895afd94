// Package smtp sends one-time passwords by e-mail: a [channel.Channel] that
// submits to a mail relay over github.com/emersion/go-smtp.
//
//	mail, err := smtp.New(smtp.Config{
//		Addr:     "smtp.example.com:587",
//		Username: "codes",
//		Password: os.Getenv("SMTP_PASSWORD"),
//		From:     "MyBank <codes@mybank.example>",
//	})
//	if err != nil {
//		return err // names the field
//	}
//	defer mail.Close()
//	submission, err := mail.Send(ctx, message)
//
// TLS of version 1.2 or later is required: by STARTTLS, or from the first byte
// at port 465 (RFC 8314). A password is never sent without it. Package
// smtp/smtptest has a mailbox for tests.
//
// # Messages
//
// A message is text and HTML as multipart/alternative, or text alone. Its
// Message-ID is made from Message.ID at the domain of Config.From and is the
// same each time a step is tried, so that a mail system may know duplicates.
// The fields Subject, Body and HTML are used as they are, but see
// Config.CodeInSubject. Every mail says that a program has written it
// (Auto-Submitted), and nothing that only bulk mail says. Addresses are
// dot-atom "@" domain; a domain in another script is sent in ASCII (IDNA), a
// local part in another script needs a relay with SMTPUTF8.
//
// # Trust
//
// Receivers ask the DNS whose mail it is. Config.DKIM signs it, unless the relay
// does; package smtp/maildns prints the records to publish, and checks what is
// published.
//
// # Bounces and complaints
//
// What a relay has accepted may still come back. With Config.VERP each mail has
// a return path of its own, which cannot be forged; give the mail that arrives
// there to [ParseFeedback], and what it returns to the handler of receipts:
//
//	feedback, err := smtp.ParseFeedback(mail, verp)
//	if err != nil {
//		return err // neither a report nor a complaint, or not about a mail of ours
//	}
//	return feedback.Deliver(ctx, receipts.For("email"))
//
// A bounce that comes while the route awaits it (channel.Route.Await) sends the
// code by the next route.
//
// # Connections
//
// Up to Config.MaxConns connections to a relay are kept for the next message,
// until they have been idle for Config.IdleTimeout, are 5 minutes old, or have
// carried 1000 messages. An idle one that the relay has closed is replaced
// without an error, because that is noticed before anything was handed over; so
// is one that gives no reply to its first command within 5 seconds, or a third
// of the message's time if that is shorter. What a relay says unasked on an
// idle connection passes for its reply to the next command: harmless if it is
// the 421 that it may say, at most an error if not. A connection is used again
// after a success, and, beginning with RSET, after a refusal of MAIL, RCPT or
// DATA; it is closed after anything else. A message costs two round trips where
// the relay offers PIPELINING, else four.
//
// The context's deadline and cancellation hold at every step, the TLS handshake
// and a stalled body included; so do Config.Timeout and Message.Expires. There
// is no other timeout of a command: a relay may take all of that time for one.
//
// # Logging in
//
// Of the mechanisms that the relay offers the strongest is used: with a
// password SCRAM-SHA-256, which never shows it, PLAIN, LOGIN; with
// Config.Token, an OAuth 2.0 token source, OAUTHBEARER, XOAUTH2.
// Config.Mechanism chooses one, for a relay that offers what it cannot do.
//
// # Several relays
//
// A message goes to the first relay, and to the next of Config.Fallbacks only
// when it is known not to have been sent for a reason that another relay need
// not have: class Temporary, Throttled or Misconfigured, or no SMTPUTF8 for a
// recipient who needs it. A relay after which another may still be tried may
// take at most half of the time that is left until it is ready for the message's
// content. A relay that fails five times in a row, by being down and not by refusing
// messages, is left alone for 5 seconds, and then tried with one message.
// Config.Rate bounds how fast a relay is given messages, and can rise from day
// to day for a sending address that is new; where no other relay takes a
// message, it waits for the first that has room.
//
// # In production
//
//   - Publish SPF, DKIM and DMARC for the domain of Config.From, and let the
//     envelope sender be of that domain: package smtp/maildns prints and checks. The
//     address that mail leaves from needs a PTR record.
//   - Use ports 465 or 587. Give TLSConfig.RootCAs for a private authority; do
//     not switch verification off.
//   - Leave Config.IdleTimeout below the relay's own limit, and MaxConns below
//     what it allows one client.
//   - Set Message.Expires, and a deadline for the context.
//   - After class Unknown send again, if at all, with the same Message.ID and
//     code: the person may then have the mail twice, but not two codes.
//   - Read the bounces: Config.VERP and [ParseFeedback]. Stop mail to whoever
//     complains. Leave Config.DSN on, or bounces carry the code.
//   - Keep the code out of the subject where locked screens and bounces matter:
//     Config.CodeInSubject.
//   - Raise Config.Rate slowly for a new address.
//   - Give Config.Logger. Misconfigured is logged at level Error.
//   - End with Shutdown, which lets messages under way finish.
//
// # Errors
//
// Every error of Send is an *[channel.Error]. Its text leaves out what the
// server said, which often repeats the recipient's address. Its class:
//
//   - Temporary: not connected, a refusal to greet, 421, 4xx, a connection
//     lost before the final dot was written; a relay that is left alone; a
//     token source or a signature that failed
//   - Throttled: 421 4.7.28; Config.Rate is used up for longer than the message
//     may wait
//   - InvalidRecipient: 5.1.1 5.1.2 5.1.3 5.1.6 5.1.10 5.2.1 once the recipient
//     was named; without an enhanced status code 551 and 553 at RCPT; an
//     address that cannot be right in form, or that needs SMTPUTF8 where no
//     relay has it
//   - Unreachable: 4.2.1 4.2.2 5.2.2 and any other permanent refusal of RCPT
//     that is not about us, or may not be: 550 without an enhanced status code
//   - Misconfigured: 530 534 535 538 5.7.8; certificates and versions of TLS,
//     STARTTLS not offered; other permanent refusals: of the sender, of its
//     authentication (5.7.1 5.7.26 5.7.515), of the content; no mechanism to
//     log in by; a message that cannot be written as mail
//   - Expired: Message.Expires has passed, nothing was handed over
//   - Unknown: no reply after the final dot; the mail may have been delivered
//
// # Concurrency
//
// A Channel is safe for concurrent use. Its goroutines are those that close
// idle connections; they end with Close or Shutdown.
package smtp
