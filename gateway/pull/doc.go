// Package pull sends one-time passwords as SMS through Android phones that poll:
// phones behind a firewall, which no server can call. A [Channel] is the web
// server of CHT Gateway (formerly medic-gateway) and of multiOTP's SMSGatewayApp,
// which is made from it. CHT Gateway's README specifies the protocol.
//
//	phones, err := pull.New(pull.Config{
//		Phones:  []pull.Phone{{ID: "pixel", Password: secret}},
//		Receipt: receipts.For("phones"),
//	})
//	if err != nil {
//		return err // names the field
//	}
//	defer phones.Close()
//	mux.Handle("/sms", phones) // the phone's URL: https://pixel:secret@otp.example.com/sms
//	submission, err := phones.Send(ctx, message)
//
// Send takes as long as the phones' interval, 30 to 60 seconds: use such a route
// as the last, or send asynchronously. If a phone breaks down with a message, no
// report comes: give the route an Await.
//
// # Send
//
// Send returns when a phone has fetched the message. Until then Send can
// withdraw it, and does so if no phone polls within Config.Wait, if ctx ends, or
// if the code expires. The error's class is then Temporary, or Expired: the
// message was certainly not sent, so the next route may send it without a second
// SMS.
//
// A message is never handed out after Expires, nor with less than five seconds
// left. The phone knows no expiry: without service it tries up to 20 times with
// growing pauses, and the code that arrives then no longer works.
//
// The state of the Submission is Sent, and its provider id is Message.ID. Calls
// of Send with the same Message.ID are about one message, as long as it is among
// the last 10,000 handed out.
//
// # Receipts
//
// The phone's UNSENT and PENDING only end the lease. SENT, DELIVERED and FAILED
// become receipts, FAILED with class Unreachable and the phone's reason as the code.
// A report that repeats a state, as of a further part of a long message, or goes back
// to an earlier one, is dropped. A report on a message that this Channel does not
// know becomes a receipt as well, once for each state, because another process may
// have handed the message out. SMS that the phone has received are acknowledged and
// dropped unread.
//
// # Requests
//
// A request needs TLS and valid credentials. After ten failures within a minute
// by one remote address, or with the hash of one ID, all requests of that address
// or ID are answered with 429 until the minute is over. A body has at most 256
// KiB and takes at most 10 seconds. If Config.Receipt refuses a receipt, the answer is 503, and the phone
// reports again.
//
// # Errors
//
// Every error of [Channel.Send] is an *[channel.Error]. Its class:
//
//   - Temporary: no phone polls, no phone has fetched the message in time, ctx has
//     ended, the message was cancelled, or the Channel is closed
//   - Throttled: Config.MaxQueue messages wait
//   - Expired: less than five seconds of the code's life are left
//   - InvalidRecipient: no number in E.164
//   - Misconfigured: a message without text, or with another form of id
//   - Unknown: the answer that holds the message may not have arrived
//
// # Concurrency
//
// A Channel is safe for concurrent use and has no goroutines of its own. Receipt
// runs once at a time for each message. The messages are in the memory of this
// process: the phones must poll the process that sends.
package pull
