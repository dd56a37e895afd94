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
//		Wording: wording.Config{Brand: "MyBank"},
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
// another. Recipients are in the store too, and where [Policy] has PerIP the
// addresses of who asked, sealed with AES-256-GCM under a key derived likewise.
// Who can write to the store can reset its counters, and so guess longer;
// nothing here helps against that.
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
// receipt reports failure or stays away: that too is Work's.
//
// A process may die while it delivers. What Work delivered then is delivered by
// another Work, after Config.Takeover. What Send or Resend delivered inside the
// call is so only where Config.Queue is set: with a queue that is merely taken
// from Config.Store, to spare each Send a job, nobody takes it over, and
// neither this message nor one by the next route comes. A Send that is repeated
// with the same IdempotencyKey goes on with it either way. Where the process
// died between sending and recording, that is a second message under the same
// Message.ID.
//
// A code that was verified or cancelled is not sent by a further route, and
// those of its messages that may still be on their way are withdrawn where the
// route's channel is a [channel.Canceler]: by Work, or inside the call, which
// then takes two seconds more at most. What comes of it is logged only.
//
// [Challenge.Next] tells what the person can do: wait, ask for a Resend, give
// another address, type the code, or start again. A Resend is offered later
// where the message is only sent than where it was delivered, at most twice
// more once one was delivered, and not to an address that is known to be wrong.
//
// # When the store or the queue is down
//
// Nothing is sent that is not recorded, and nobody is verified: every method
// fails with [ErrUnavailable], which is temporary.
//
//	the store or the limits    Send and Resend send nothing, Verify verifies nobody
//	Finish, for a right code   Verify fails; where only the answer was lost the code is
//	                           used up all the same: never accepted twice, it may be never
//	the queue, with Async      Send and Resend fail and cost no limit, and the message is
//	                           void even if it was queued and only the answer lost;
//	                           or it is sent at once, with Config.DirectWhenQueueFails
//	either, after a message    the call succeeds, and an error is logged; the message may
//	went out                   come twice (not recorded), or its failure go unnoticed
//
// Only where the queue loses its answer and the store fails too can a message
// come after its Send has failed. Its Challenge is returned beside the error:
// its code is as good as any. A Resend that fails so is still one of the
// challenge's sends.
//
// A Send that is repeated with the same IdempotencyKey goes on where the first
// ended, and undoes nothing: if the queue or the store fails it then, what is
// queued comes all the same. Nor does a first that the queue fails late undo
// what its repeat has queued. Only where the store loses the answer to Create, and
// fails the call after it too, is the first taken for one that still sends: a
// repeat within Config.Takeover succeeds then, and sends nothing; a later one
// does.
//
// # Errors
//
// Every error is an *[Error] that says what a caller may tell the person. Show
// a person only what the sentinels distinguish: an [ErrInvalidCode] does not
// tell wrong from expired or unknown, and derives a code for either. An answer
// with the number of attempts left does; leave it out where a challenge's
// existence is a secret.
//
// # Events
//
// Config.Events and Config.Logger are told of every generation, send, receipt
// and verification: the audit trail. No code and no unmasked address is in
// them, nor in any error.
//
// A message that no worker came to in its code's life has no event: the queue
// has its job as a dead letter. Where the queue is a [store.Inspector], as
// those of this module are, its Stats tell how long jobs wait, and its Dead
// which challenges were not served. What is dropped because the code was
// verified or cancelled is none.
//
// # Concurrency
//
// A Service is safe for concurrent use, and any number of them, in any number
// of processes, can share a store and a keyring.
package otp
