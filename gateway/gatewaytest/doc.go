// Package gatewaytest provides an SMS gateway for tests and examples: the
// server of sms-gate.app with its phones, to be used as net/http/httptest's
// Server is. It speaks the app's third-party API, does as it is told, and
// remembers what it received.
//
//	srv := gatewaytest.NewTLSServer(gatewaytest.Config{Username: "user", Password: "secret"})
//	defer srv.Close()
//	phone := srv.AddPhone(gatewaytest.PhoneConfig{ID: "pixel", Client: webhooks.Client()})
//	phone.On("+447911123456", gatewaytest.Plan{Final: gatewaytest.Failed, Reason: "no service"})
//
//	// a client sends to srv.URL through srv.Client() …
//	texts, err := phone.Wait(ctx, 1)
//
// Untold, a [Phone] takes every message at once, sends it, reports Processed,
// Sent and Delivered to the server, and posts signed webhooks to whoever has
// registered them there. A [Plan] makes it do otherwise: late, twice, out of
// order, never. With [PhoneConfig].Manual it does nothing by itself, and the
// test calls Take, Report and Post in the order that it wants to see.
//
// A [Rule] makes the server refuse, stall or hang up.
//
// # What is as in the real one
//
// Paths and scopes; 202 with Location; ids that are unique for each device (409)
// but not between devices; validation, unknown and inactive devices as 400;
// queue limits as 503; errors as {"message":"…"}, of unknown paths as plain
// text; states that only the phone changes, so that a message stays Pending
// while the phone is away, whatever its ttl; contents and numbers that are
// hashed some time after the first report; tokens that expire, and refresh
// tokens that work once. A phone expires what it takes too late, posts
// sms:delivered once for each part of a text, and repeats what is not answered
// with a 2xx.
//
// # Time
//
// All times come from package time, so in a testing/synctest bubble they are
// the bubble's. There use [NewPipeServer], which has no socket, and
// [HandlerClient] for the webhooks.
//
// # Errors and concurrency
//
// The constructors panic if there is no port to listen on, and methods panic at
// what can only be a mistake in the test. All methods are safe for concurrent
// use.
package gatewaytest
