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
// (RFC 8314). A password is never sent without it. The channel logs in by the strongest
// mechanism of the relay, with a password or with Config.Token, an OAuth 2.0 token source.
//
// Package smtp/maildns prints and checks the DNS records that make receivers
// trust the mail. Package smtp/smtptest has a mailbox for tests.
//
// The page smtp/RELAYS.md in the repository has the settings for the relays of well-known
// providers, and a checklist for production.
//
// # Errors
//
// Every error of Send is an *[channel.Error] with a class; [Channel.Send] lists them. Its
// text leaves out the server's words, which often repeat the recipient's address.
//
// After an error of class Unknown, the person may have the mail. If you send again, use
// the same Message.ID and code: the person may then get the mail twice, but not two codes.
//
// # Messages
//
// A message is text and HTML as multipart/alternative, or text alone. Its Message-ID is
// made from Message.ID at the domain of Config.From. It is the same on each try, so that
// a mail system can drop duplicates. Subject, Body and HTML are unchanged, and
// Config.CodeInSubject puts the code before the subject.
//
// An address must be a dot-atom, "@" and a domain. A domain in another script is sent in
// ASCII (IDNA); a local part in another script needs a relay with SMTPUTF8. Config.DKIM
// signs the mail, if the relay does not.
//
// # Bounces and complaints
//
// A relay may accept a mail that later bounces. With Config.VERP each mail has a return
// path of its own, which cannot be forged. Pass the mail that arrives there to
// [ParseFeedback], and its receipts to the Service:
//
//	feedback, err := smtp.ParseFeedback(mail, verp)
//	if err != nil {
//		return err // no bounce or complaint, or not about a mail of ours
//	}
//	return feedback.Deliver(ctx, receipts.For("email"))
//
// If a bounce comes while the route awaits a receipt (channel.Route.Await), the code is
// sent by the next route.
//
// # Connections and time
//
// The channel keeps up to Config.MaxConns connections to a relay for the next messages. If
// the relay allows fewer, the channel learns their number. [Channel] describes when a
// connection is used again.
//
// The context's deadline and cancellation hold at every step, also in the TLS handshake
// and during a stalled body. So do Config.Timeout and Message.Expires. No command has a
// timeout of its own: a relay may take all of that time for one.
//
// # Several relays
//
// A message goes to the first relay. It goes to the next of Config.Fallbacks only if it
// was certainly not sent, and another relay may accept it. The class must be Temporary,
// Throttled or Misconfigured, the refusal may be about us, or the recipient needs
// SMTPUTF8 and the relay lacks it. If another relay is left, a relay must be ready for the
// content within half of the remaining time.
//
// Config.Breaker leaves a relay alone while it is down. Config.Rate bounds the messages
// per second to a relay, and can rise from day to day for a new sending address.
//
// # Concurrency
//
// A Channel is safe for concurrent use. Its goroutines close idle connections; they end
// with Close or Shutdown.
package smtp
