// Package otp makes one-time passwords, has them delivered, and verifies what
// people type.
//
// A [Service] joins a channel that carries messages and a store that keeps
// challenges:
//
//	svc, err := otp.New(otp.Config{
//		Channel: routes,                               // a failover.Channel, say
//		Store:   memstore.New(memstore.Config{}),
//		Keys:    keyring,                              // from where secrets are kept
//		Wording: template.Config{Brand: "MyBank"},
//	})
//	c, err := svc.Send(ctx, otp.Request{Subject: userID, Purpose: "login",
//		To: channel.Recipient{Phone: "+447912345678", Email: "ann@example.com"}})
//	…
//	err = svc.Verify(ctx, otp.Verification{ID: c.ID, Subject: userID, Purpose: "login", Code: typed})
//
// # Codes are not stored
//
// A code is derived when it is sent and again when it is compared:
//
//	Seed.Key = HMAC-SHA256(key, salt ‖ challenge id ‖ purpose ‖ subject ‖ SHA-256(binding) ‖ number of the code)
//
// with each field behind its length. The key comes from the [Keyring], the
// salt is in the store: neither alone gives a code. A code for one purpose,
// subject or binding is another code than for the next, so none passes for
// another. Recipients are in the store too, sealed with AES-256-GCM under a
// key derived likewise. Who can write to the store can reset its counters, and
// so guess longer; nothing here helps against that.
//
// # Limits
//
// [Policy] bounds a code's life, the guesses at it, its sends, the messages to
// a recipient, the requests from an IP address, and the failures in a row of a
// subject. The defaults fit NIST SP 800-63B-4 and PCI DSS 8.3.4; PSD2 (RTS
// 2018/389 Art. 4) asks for a MaxFailures of 5. An attempt is charged before the code
// is compared, so parallel guesses gain nothing, and of parallel right answers
// one wins. Note that NIST counts SMS as a restricted authenticator and e-mail
// as none: an embedder under that profile offers no failover to e-mail.
//
// # Delivery
//
// Send delivers inside the call, by the first route that takes the message.
// With Config.Async it queues the message instead, and [Service.Work] delivers
// it. Routes with an Await pass to the next one, with the same code, when their
// receipt reports failure or stays away: that too is Work's. When a process
// dies between sending and recording, another may send the message a second
// time, under the same Message.ID; see Config.Takeover.
//
// # Errors
//
// Every error is an *[Error] that says what a caller may tell the person. When
// the store fails, so do Send and Verify, with [ErrUnavailable]: nothing is
// sent that is not recorded, and nobody is verified. Show a person only what
// the sentinels distinguish: an [ErrInvalidCode] does not tell wrong from
// expired or unknown, and derives a code for either. An answer with the number
// of attempts left does; leave it out where a challenge's existence is a
// secret.
//
// # Events
//
// Config.Events and Config.Logger are told of every generation, send, receipt
// and verification: the audit trail. No code and no unmasked address is in
// them, nor in any error.
//
// # Concurrency
//
// A Service is safe for concurrent use, and any number of them, in any number
// of processes, can share a store and a keyring.
package otp
