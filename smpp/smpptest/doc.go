// Package smpptest provides an SMSC for tests and examples, to be used as
// net/http/httptest's Server is: it listens on a free port of the loopback
// interface, speaks SMPP 3.4, does as it is told, and remembers what it
// received.
//
//	smsc := smpptest.NewTLSServer(smpptest.Config{})
//	defer smsc.Close()
//	smsc.On("+447911123456", smpptest.Reply{Status: smpp.StatusSubmitFailed})
//
//	client, err := smpp.New(smpp.Config{Addr: smsc.Addr, TLS: smsc.ClientTLS()})
//	…
//	messages, err := smsc.Wait(ctx, 1)
//
// Untold, it accepts every bind and every message, and sends a delivery
// receipt with stat:DELIVRD for each message that asks for one. Until that has
// gone, cancel_sm withdraws the message: its receipt is stat:DELETED then.
// [Reply] and [Receipt] say otherwise for a destination, for the next messages,
// or for what a [Handler] decides. [OTPBlue] is a Handler that behaves as OTP Blue's
// integration guide says.
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
