// Package smpptest provides an SMSC for tests and examples. It is used like
// net/http/httptest's Server: it listens on a free port of the loopback interface,
// speaks SMPP 3.4, follows a script, and records the messages that it receives.
//
//	smsc := smpptest.NewTLSServer(smpptest.Config{})
//	defer smsc.Close()
//	smsc.On("+447911123456", smpptest.Reply{Status: smpp.StatusSubmitFailed})
//
//	client, err := smpp.New(smpp.Config{Addr: smsc.Addr, TLS: smsc.ClientTLS()})
//	…
//	messages, err := smsc.Wait(ctx, 1)
//
// Without a script it accepts every bind and every message, and sends a delivery
// receipt with stat:DELIVRD for each message that asks for one. Until the receipt
// has gone, cancel_sm withdraws the message, and its receipt is stat:DELETED. A
// [Reply], with its [Receipt], changes that for a destination, for the next
// messages, or as a [Handler] decides. [OTPBlue] is a Handler that behaves as OTP
// Blue's integration guide says.
//
// # Virtual time
//
// In a testing/synctest bubble use [NewPipeServer], which has no listener, and
// give its Dial to the client.
//
// # Errors and concurrency
//
// Like httptest, the constructors panic if there is no port to listen on. All
// methods are safe for concurrent use.
package smpptest
