// Package smpptest provides an SMSC for tests and examples. Like
// net/http/httptest's Server, it listens on a free port of the loopback
// interface. It speaks SMPP 3.4, follows a script, and records the messages that
// it receives.
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
// receipt with stat:DELIVRD if the message asks for it. Until the receipt is
// sent, cancel_sm withdraws the message, and its receipt is stat:DELETED. A
// [Reply], with its [Receipt], changes the answer for a destination, for the next
// messages, or by a [Handler]. [OTPBlue] is a Handler that behaves as in OTP
// Blue's integration guide.
//
// # Virtual time
//
// In a testing/synctest bubble use [NewPipeServer], which has no listener, and
// pass its Dial to the client.
//
// # Errors and concurrency
//
// The constructors panic if no port is free, as httptest's do. All methods are
// safe for concurrent use.
package smpptest
