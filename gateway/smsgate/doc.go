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
// later, by webhook and by polling. Package gateway/gatewaytest has a server and phones
// for tests.
//
// The page OPERATING.md in this package's folder is about phones in production: which
// phone Send prefers, which states become receipts and when, the class of each error, and
// the limits of a SIM. A phone has no service level: have a second route.
//
// # States
//
// Config.Receipt is called once for each state, in the order Sent, Failed, Delivered, and
// never for an earlier state after a later one. If no state is known when the code expires,
// Receipt gets Sent with the Code "Pending" or "Processed": the server took the message, and
// the phone did not report that it has sent it. Some networks send no delivery reports. Let
// a route await a receipt only where you have seen reports come.
//
// # Errors
//
// Every error of [Channel.Send] is an *[channel.Error]. Its text leaves out the server's
// text, which may repeat the number. After class Unknown the message may have been sent;
// after any other class it was not.
//
// # Concurrency
//
// A Channel is safe for concurrent use. Its goroutines poll, and end with Close or
// Shutdown. Both wait for a running call of Config.Receipt. So a Receipt must not close
// the Channel and wait for that; it may start a goroutine that does.
package smsgate
