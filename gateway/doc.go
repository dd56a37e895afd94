// Package gateway sends one-time passwords as SMS through Android phones with a
// SIM of one's own. Its [channel.Channel]s speak the HTTP APIs of the apps that
// turn a phone into a gateway: [SMSGate] that of sms-gate.app; [Channel] any that a
// [Profile] describes, other providers' included; [Pull] is polled by phones
// that cannot be called.
//
// # SMSGate
//
// [SMSGate] is the channel for the SMSGate app (sms-gate.app), whether its
// cloud, a private server or the phone itself serves the API:
//
//	sms, err := gateway.NewSMSGate(gateway.SMSGateConfig{
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
// Package gateway/gatewaytest has a server and phones for tests.
//
// # Which phone
//
// Where the account has several phones, or a phone several SIMs, a message goes
// to one that the server has heard of within the hour; of those, to one whose
// SIM is of the recipient's country; of those, to the one that was given the
// fewest messages in the last minute. A phone that the server refuses, because
// its queue is full or it was not seen for long, makes room for the next. Nothing
// else does: the server knows a message's id for one phone only, so the same
// message at another phone is a second SMS. Until a message is known to be
// refused it stays bound to its phone, in later calls of Send, too; and a message
// that is new to this process is asked for before one of several phones is given
// it, in case another process has sent it.
//
// # What becomes of a message
//
// Send returns once the server has the message. A phone that is away takes it
// later, or never: each has a ttl, the rest of the code's life, after which the
// phone drops it. The phone posts webhooks when it has sent a message, when it was
// delivered and when it has failed, signed with a key of its own: give each of
// several phones its SigningKeys in SMSGateConfig.Devices, and none can report on
// what this process gave to another. Because webhooks get lost, the server is
// asked as well, from PollInterval after the submission on and ever more seldom
// until the code expires. Either way SMSGateConfig.Receipt hears of a state once,
// and of none that is behind one before: Sent, Failed, Delivered. If it has heard
// of none by the time the code expires, it is told the last that the server knew,
// as Sent with the Code "Pending" or "Processed": the server took the message,
// and the phone did not say that it has sent it. What is reported later is told
// as well.
//
// Delivery reports are the network's affair: some send none, some send them when
// nobody has read a thing. Let a route await one only where they were seen to
// come.
//
// # Errors
//
// Every error of [SMSGate.Send] is an *[channel.Error]. Its text leaves out what
// the server said, which may repeat the number. Its class:
//
//   - Temporary: not connected; 408, 425; no phone was seen within ActiveWithin,
//     or the server does not know the phone (400): it may come back, and the
//     server does not tell the two apart. Also where there are several phones, the
//     message is new to this process, and the server does not say whether it has
//     it: this process has not sent it, one that was ended meanwhile may have
//   - Throttled: 503 "queue limits exceeded" of every phone; 429
//   - InvalidRecipient: an address that is no number in E.164; 400 about the
//     number, which SkipPhoneValidation leaves unjudged
//   - Unreachable: 400 about a number that is not of a mobile phone
//   - Misconfigured: 401, 403, certificates and versions of TLS, an http URL, a
//     base URL whose paths are not there (404), an account without phones, any
//     other 3xx and 4xx, 501, 505; a message without text, or whose id the server
//     would not take
//   - Expired: Message.Expires has passed or is less than 5 seconds away, the
//     least ttl that the server takes
//   - Unknown: the request was written, but neither it nor two more with the
//     same id to the same phone were answered with anything but 500, 502, 503 that
//     is not about a queue, 504 or another 5xx; or a later one was refused, or one
//     while another Send of the message is under way, which says nothing of the
//     others, and the server, which is asked then, does not have the message yet,
//     or does not answer
//
// 409 is a success: an earlier try was accepted.
//
// # In production
//
//   - Neither server nor phone speaks TLS itself. Put a reverse proxy before it,
//     and give SMSGateConfig.Client the authority if that is one's own.
//   - Give the phones power, a network and an exception from battery saving, and
//     SMSGateConfig.ActiveWithin, so that one that is gone is noticed.
//   - A SIM is good for some 30 messages a minute, and for fewer by its contract.
//   - The server keeps texts and numbers until about a minute after the phone's
//     report; SMSGateConfig.Passphrase keeps them from it altogether.
//   - Have a second route: a phone has no service level.
//   - End with Shutdown.
//
// # Concurrency
//
// A channel is safe for concurrent use. Its goroutines poll, and end with Close
// or Shutdown, which wait for a Receipt that is running: one that closes the
// channel does so with another goroutine, which it does not wait for.
package gateway
