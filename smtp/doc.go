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
// TLS 1.2 or later is required: by STARTTLS, or from the first byte at port 465
// (RFC 8314). A password is never sent without it.
//
// Package smtp/maildns prints and checks the DNS records that make receivers
// trust the mail. Package smtp/smtptest has a mailbox for tests.
//
// # Errors
//
// Every error of Send is an *[channel.Error]. Its text leaves out the server's
// words, which often repeat the recipient's address. Its class:
//
//   - Temporary: no connection, a refusal to greet, 421, 4xx; the connection was
//     lost before the final dot was written; the relay is left alone for a
//     moment; a token source or a signature failed
//   - Throttled: 421 4.7.28, 454 Throttling failure, 432 4.3.2, 550 5.4.5, or
//     Config.Rate has no room in the message's time
//   - InvalidRecipient: 5.1.1 5.1.2 5.1.3 5.1.6 5.1.10 5.2.1 after RCPT, unless the
//     words speak of a limit, a full mailbox or a policy; a malformed address, or one
//     that needs SMTPUTF8 where no relay has it
//   - Unreachable: 4.1.1 4.1.2 4.2.1 4.2.2 5.2.2, and every other permanent refusal after RCPT,
//     which may be about the recipient: 504 5.5.2, 550, 554 5.7.1
//   - Misconfigured: 530 534 535 538 5.7.8 before RCPT, TLS, STARTTLS not offered,
//     no mechanism to log in by; every other permanent refusal of MAIL; the same
//     permanent refusal of several people's messages while none is taken; a message
//     that cannot be written as mail
//   - Expired: Message.Expires has passed; nothing was handed over
//   - Unknown: no reply after the final dot; the mail may have been delivered
//
// A Temporary refusal after RCPT has Error.AboutRecipient, so that greylisting
// opens no breaker. It lacks it if it is 421, or about the mail system or the
// network (4.3.x and 4.4.x after DATA).
//
// After Unknown, send again, if at all, with the same Message.ID and code: the
// person may then get the mail twice, but not two codes.
//
// # Messages
//
// A message is text and HTML as multipart/alternative, or text alone. Its
// Message-ID is made from Message.ID at the domain of Config.From: it is the same
// on each try, so that a mail system can drop duplicates. Subject, Body and HTML
// are used as they are; Config.CodeInSubject can put the code before the subject.
// Every mail carries Auto-Submitted, and no header of bulk mail.
//
// An address must be a dot-atom, "@" and a domain. A domain in another script is
// sent in ASCII (IDNA); a local part in another script needs a relay with
// SMTPUTF8. Config.DKIM signs the mail, for a relay that does not.
//
// # Bounces and complaints
//
// A relay may accept a mail that later bounces. With Config.VERP each mail has a
// return path of its own, which cannot be forged. Give the mail that arrives
// there to [ParseFeedback], and its receipts to the Service:
//
//	feedback, err := smtp.ParseFeedback(mail, verp)
//	if err != nil {
//		return err // no bounce or complaint, or not about a mail of ours
//	}
//	return feedback.Deliver(ctx, receipts.For("email"))
//
// If a bounce comes while the route awaits a receipt (channel.Route.Await), the
// code goes out by the next route.
//
// # Logging in
//
// The channel uses the strongest mechanism that the relay offers. With a password
// these are SCRAM-SHA-256, which does not show it, PLAIN and LOGIN. With
// Config.Token, an OAuth 2.0 token source, they are OAUTHBEARER and XOAUTH2. If a
// relay offers a mechanism that does not work, Config.Mechanism chooses another.
//
// # Connections
//
// Up to Config.MaxConns connections to a relay are kept for the next message,
// until they have been idle for Config.IdleTimeout, are 5 minutes old, or have
// carried Config.MaxMessages. If the relay refuses a connection while others work,
// or a mail for having too many connections (432 4.3.2), the number of the others is
// the limit: the message waits for one of them, and another is tried after a second,
// or later if the relay refuses it again. A message costs two round trips if the
// relay offers PIPELINING, and four otherwise.
//
// If the relay has closed an idle connection, the channel replaces it without an
// error, because it notices before anything was handed over. It does the same if
// an idle connection gives no reply to its first command within 5 seconds, or a
// third of the message's time if that is shorter. Unsolicited data on an idle
// connection is read as the reply to the next command: a 421 is harmless, other
// data causes an error at most.
//
// After a success a connection is used again; after a refusal of MAIL, RCPT or
// DATA, too, beginning with RSET. After three refusals in a row it is left, because
// relays slow down a connection with many. After anything else it is closed.
//
// The context's deadline and cancellation hold at every step, the TLS handshake
// and a stalled body included. So do Config.Timeout and Message.Expires. No
// command has a timeout of its own: a relay may take all of that time for one.
//
// # Several relays
//
// A message goes to the first relay. It goes to the next of Config.Fallbacks only
// if it was certainly not sent, and for a reason that another relay need not
// have: class Temporary, Throttled or Misconfigured, a refusal that may be about
// us, or no SMTPUTF8 for a recipient who needs it. If another relay may still be tried, a relay must be
// ready for the message's content within half of the time that is left.
//
// If a relay fails five times in a row, by being down and not by refusing
// messages, it is left alone for a quarter of a second, and then tried with one
// message; after each further failure for twice as long, up to 5 seconds:
// Config.Breaker.
//
// Config.Rate bounds how fast a relay is given messages, and can rise from day to
// day for a new sending address. If no other relay takes a message, it waits for
// the first that has room.
//
// # Relays of providers
//
// Use port 587, or 465 for TLS from the first byte. Limits are the providers'
// defaults, and may be others for an account.
//
//	               host                              login            limits                   signature
//	Amazon SES     email-smtp.REGION.amazonaws.com   credentials      Rate: 14 a second        its own, or ours
//	SendGrid       smtp.sendgrid.net                 apikey, API key  MaxMessages: 100         its own
//	Mailgun        smtp.mailgun.org                  credentials      MaxMessages: 100         its own
//	Postmark       smtp.postmarkapp.com              token, token     none known               its own
//	Brevo          smtp-relay.brevo.com              login, SMTP key  those of the plan        its own
//	Resend         smtp.resend.com                   resend, API key  Rate: 2 a second         its own
//	Google         smtp-relay.gmail.com              login or Token   10,000 a day             its own, or ours
//	Microsoft 365  smtp.office365.com                LOGIN or Token   MaxConns: 3, Rate: 0.5   its own
//
// A provider that signs with "its own" does so for your domain, once its records
// are published: leave Config.DKIM out, or set Relay.NoDKIM. Amazon SES refuses a
// mail with two signatures, and replaces Message-ID and Date. The signature of
// Config.DKIM suits it, unless Config.AllDKIMKeys or SignMessageID is set. Headers that a provider reads, such as
// X-SES-CONFIGURATION-SET, X-PM-Message-Stream and X-Mailgun-Tag, go in
// Config.Headers. Google and Microsoft have their own addresses for bounces, so
// Config.VERP needs their relay service (smtp-relay.gmail.com, a connector).
//
// # In production
//
//   - Publish SPF, DKIM and DMARC for the domain of Config.From, and let the
//     envelope sender be of that domain: see package smtp/maildns. The address
//     that mail leaves from needs a PTR record.
//   - Use ports 465 or 587. Set TLSConfig.RootCAs for a private authority; do not
//     switch verification off.
//   - Keep Config.IdleTimeout below the relay's own limit, and MaxConns below the
//     number that it allows one client.
//   - Set Message.Expires, and a deadline for the context.
//   - Read the bounces: Config.VERP and [ParseFeedback]. Stop mail to people who
//     complain. Leave Config.DSN on, or bounces carry the code.
//   - Keep the code out of the subject if locked screens and bounces matter:
//     Config.CodeInSubject.
//   - Raise Config.Rate slowly for a new address.
//   - Set Config.Logger. Misconfigured is logged at level Error.
//   - End with Shutdown, which lets messages under way finish.
//
// # Concurrency
//
// A Channel is safe for concurrent use. Its goroutines close idle connections;
// they end with Close or Shutdown.
package smtp
