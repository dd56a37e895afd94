// Package gatewaytest provides an SMS gateway for tests and examples: the
// server of sms-gate.app with its phones, like net/http/httptest's Server. It
// speaks the app's third-party API, follows a script, and records the requests.
//
//	srv := gatewaytest.NewTLSServer(gatewaytest.Config{Username: "user", Password: "secret"})
//	defer srv.Close()
//	phone := srv.AddPhone(gatewaytest.PhoneConfig{ID: "pixel", Client: webhooks.Client()})
//	phone.On("+447911123456", gatewaytest.Plan{Final: gatewaytest.Failed, Reason: "no service"})
//
//	// a client sends to srv.URL through srv.Client() …
//	texts, err := phone.Wait(ctx, 1)
//
// Without a script, a [Phone] accepts every message at once, sends it, and
// reports Processed, Sent and Delivered to the server. It posts signed webhooks
// to every address registered there. A [Plan] changes that: late, twice, out of
// order, or never. With [PhoneConfig].Manual the phone does nothing by itself,
// and the test calls Take, Report and Post in the order that it needs.
//
// A [Rule] makes the server refuse, stall or close the connection.
//
// # Fidelity
//
// The server has the real one's paths and scopes, validation, and errors as
// {"message":"…"}, or as plain text for unknown paths. It also has:
//
//   - 202 with Location;
//   - ids that are unique for each device (409) but not between devices;
//   - unknown and inactive devices as 400, and queue limits as 503;
//   - states that only the phone changes: a message stays Pending while the
//     phone is away, even after its ttl;
//   - contents and numbers that are hashed some time after the first report;
//   - tokens that expire, and refresh tokens that work once.
//
// A phone expires a message that it takes too late. It posts sms:delivered once
// for each part of a text, and repeats a webhook until a 2xx answers it.
//
// # Time
//
// All times come from package time, so a testing/synctest bubble moves them. In
// a bubble use [NewPipeServer], which has no socket, and [HandlerClient] for
// the webhooks.
//
// # Errors and concurrency
//
// The constructors panic if no port is free, and methods panic at mistakes in
// the test. All methods are safe for concurrent use.
package gatewaytest
