// Package smsgate sends one-time passwords as SMS through Android phones with the
// SMSGate app (sms-gate.app). The app's cloud, a private server or the phone
// itself serves the API:
//
//	sms, err := smsgate.New(smsgate.Config{
//		URL:         "https://sms.example.com/api/3rdparty/v1", // leave it out for the cloud
//		Username:    "K2V6TX",
//		Password:    os.Getenv("SMSGATE_PASSWORD"),
//		SigningKeys: []string{os.Getenv("SMSGATE_SIGNING_KEY")}, // as the app shows it
//		Receipt:     receipts.For("phone"),
//	})
//	if err != nil {
//		return err // names the field
//	}
//	defer sms.Close()
//	http.Handle("/webhooks/sms", sms.WebhookHandler())
//	if err := sms.RegisterWebhooks(ctx, "https://otp.example.com/webhooks/sms"); err != nil {
//		return err
//	}
//	submission, err := sms.Send(ctx, message)
//
// Send returns once the server has the message. Its state comes to Config.Receipt
// later, by webhook and by polling. A phone has no service level: have a second
// route. Package gateway/gatewaytest has a server and phones for tests.
//
// # Which phone
//
// If the account has several phones, or a phone several SIMs, Send prefers, in
// this order:
//
//   - a phone that the server has seen within the hour
//   - a SIM of the recipient's country
//   - the phone that was given the fewest messages in the last minute
//
// Send goes on to the next phone only if the server refuses the first because its
// queue is full or it was not seen for long. After any other failure the message
// stays bound to its phone, in later calls of Send as well, because the server
// knows a message's id for one phone only: the same message at another phone is a
// second SMS. Before Send gives one of several phones a message that is new to
// this process, it asks the server whether another process has sent it.
//
// # States
//
// A phone that is away takes a message when it is back. Each message has a ttl,
// the rest of the code's life, after which the phone drops it. The phone posts a
// webhook when it has sent a message, when the message was delivered, and when it
// has failed. The phone signs webhooks with a key of its own: give each of several
// phones its SigningKeys in Config.Devices, and no phone can report on a message
// that this process gave to another.
//
// Because webhooks get lost, the Channel also polls the server, from PollInterval
// after the submission on and ever more seldom until the code expires.
// Config.Receipt is called once for each state, in the order Sent, Failed,
// Delivered, and never for an earlier state after a later one. If no state is
// known when the code expires, Receipt gets the server's last word as Sent with
// the Code "Pending" or "Processed": the server took the message, and the phone
// did not report that it has sent it. A later report becomes a receipt as well.
//
// Delivery reports depend on the network: some send none, some send them although
// the message was not read. Let a route await a receipt only where reports were
// seen to come.
//
// # Errors
//
// Every error of [Channel.Send] is an *[channel.Error]. Its text leaves out the
// server's, which may repeat the number. Its class:
//
//   - Temporary: no connection; 408, 425; no phone was seen within ActiveWithin, or
//     the server does not know the phone (400), which the server does not tell
//     apart from a phone that is away. Also, if there are several phones and the
//     message is new to this process, the server does not answer whether it has
//     the message: another process may have sent it
//   - Throttled: 503 "queue limits exceeded" for every phone; 429
//   - InvalidRecipient: no number in E.164; 400 about the number, unless
//     SkipPhoneValidation
//   - Unreachable: 400 about a number that is not of a mobile phone
//   - Misconfigured: 401, 403, certificates and versions of TLS, an http URL, a
//     base URL whose paths do not exist (404), an account without phones, any
//     other 3xx and 4xx, 501, 505; a message without text, or whose id the server
//     would not take
//   - Expired: Message.Expires has passed or is less than 5 seconds away, the
//     least ttl that the server takes
//   - Unknown: the message may have been sent. The request was written, and this
//     try and two more with the same id to the same phone were answered with 500,
//     502, 504, another 5xx, a 503 that is not about a queue, or not at all. Or a
//     later try was refused, or a try while another Send of the message is under
//     way. In each case the server, when asked for the message, does not have it
//     yet or does not answer
//
// 409 is a success: the server accepted an earlier try.
//
// # In production
//
//   - Neither server nor phone speaks TLS itself. Put a reverse proxy before it. If
//     its certificate authority is private, give Config.Client that authority.
//   - Give the phones power, a network and an exception from battery saving. Set
//     Config.ActiveWithin, so that Send leaves out a phone that is gone.
//   - A SIM is good for some 30 messages a minute, and for fewer by its contract.
//   - The server keeps texts and numbers until about a minute after the phone's
//     report. Config.Passphrase hides both from the server.
//   - End with Shutdown.
//
// # Concurrency
//
// A Channel is safe for concurrent use. Its goroutines poll, and end with Close or
// Shutdown, which wait for a Receipt that is running: a Receipt that closes the
// Channel must do so in another goroutine and must not wait for it.
package smsgate
