// Package otp makes one-time passwords, has them delivered, and verifies the
// codes that people type.
//
// A [Service] joins a channel that carries messages and a store that keeps
// challenges:
//
//	svc, err := otp.New(otp.Config{
//		Channel: routes,                               // a failover.Channel
//		Store:   memstore.New(memstore.Config{}),
//		Keys:    keyring,                              // otp.ParseKeyring(os.Getenv("OTP_KEYS"))
//		Wording: wording.Config{Brand: "MyBank"},
//	})
//	c, err := svc.Send(ctx, otp.Request{Subject: userID, Purpose: "login",
//		To: channel.Recipient{Phone: "+447912345678", Email: "ann@example.com"}})
//	…
//	c, err = svc.Verify(ctx, otp.Verification{ID: c.ID, Subject: userID, Purpose: "login", Code: typed})
//
// Every error is an *[Error]; [Reason] has a table of what each means, and what
// to show the person. The project's .github/ARCHITECTURE.md is the page to start
// from for readers of the code.
//
// # Codes are not stored
//
// A code is derived when it is sent, and again when it is compared:
//
//	Seed.Key = HMAC-SHA256(key, application ‖ salt ‖ challenge ‖ subject and tenant ‖
//	                            life and limits ‖ purpose ‖ SHA-256(binding) ‖ number of the code)
//
// with each field behind its length. The key comes from the [Keyring], the
// salt is in the store: neither alone gives a code. A code for one purpose,
// subject, tenant or binding is another code than for the next, so none passes
// for another. Recipients are in the store, too, and with Policy.PerIP the
// addresses of those who asked, sealed with AES-256-GCM under a key derived
// likewise.
//
// Anyone with write access to the store can reset its counters and keep
// guessing. The life of a code, its limits and the number of codes are part of
// its derivation, or signed: no write to the store makes a code live longer or
// more codes valid.
//
// # Limits
//
// [Policy] bounds a code's life, the guesses at it, its sends, the messages to
// a recipient, the requests from an IP address, and the failures in a row of a
// subject, those that outlive locks included. The numbers of the defaults are
// within NIST SP 800-63B-4 §3.1.3.2 and §3.2.2, and PCI DSS 8.3.4; PSD2 (RTS
// 2018/389 Art. 4) asks for a MaxFailures of 5. [Config.Profiles] holds a Service
// to a standard, and names each clause that its Config breaks. An attempt is
// charged before the code is compared, so parallel guesses gain nothing, and of
// parallel right answers one wins.
//
// People who verify do not count for the limit of their network: an office
// behind one address is served. A [Guard], such as package otp/guard, replaces
// that limit, and keeps messages to blocks of numbers, to countries, and of a day
// within bounds. Strangers who use up the limit of a number, or lock a subject,
// do not lock out the owner's device if its requests are marked as Known.
//
// A message counts against the limits of the address that its route uses: the
// messages of a failover count, and an address that no message went to does not.
// A message that surely was not sent is refunded. If no route could reach the
// person, the limit of the network that asked is kept, so that nobody probes
// numbers for free.
//
// # The path of a code
//
//	Send ─► validate ─► compose ─► repeated? ─► charge ─► create ─► attempt ─► finish
//	        request.go  send.go    send.go      limits.go send.go   attempt.go dispatch.go
//	Work ─► look ─► claim ─► attempt ─► finish          work.go, dispatch.go
//	HandleReceipt ─► receive ─► wake                    receipt.go
//	Verify ─► locate ─► Attempt ─► matches ─► Finish    verify.go, opened.go
//
// How far a challenge's messages have come is one value in its record, changed
// by named events through one writer, swap in dispatch.go:
//
//	      Claim            Finish: taken, or perhaps
//	Due ─────────► Sending ──────────────────────────► Sent
//	 ▲  ◄───────────  │ │                               │ receipt failed, or none
//	 │   Finish: not  │ └─► Refused ─► Due (Repeat)     │ came: the next step
//	 │   sent, retry  └─► Failed  no route is left      │
//	 └──────────────────────────────────────────────────┘
//	any phase ── a message arrived ──► Delivered
//	any phase ── Resend, once no lease is live ──► Sending of the next step
//
// A job in the queue is a wake-up, "look at challenge C at time T". It carries
// no step and no cause. The worker reads the record, and the machine says what
// is due. A job that comes twice, late or without need does no harm.
//
// # Delivery
//
// Send delivers inside the call, by the first route that takes the message.
// With Config.Async it stores the challenge and enqueues a job instead, and
// [Service.Work] delivers. If a route has an Await, and its receipt reports
// failure or stays away, the next route follows with the same code: that too is
// Work's.
//
// A sender has a lease on its message, and records the outcome before the lease
// ends. If it does not, its process counts as dead. Work takes over then, once,
// what another Work was sending, and with Config.Takeover what a call was
// sending. Without Takeover, only a Send that is repeated with the same
// IdempotencyKey goes on with it. If the process died between sending and
// recording, the takeover is a second message under the same Message.ID.
//
// If the time was over before each route was tried, the others follow at once.
// A call may then last longer than one lease; the caller's context bounds it.
//
// Once a code is verified or cancelled nothing more is sent, and those of its
// messages that may still be on their way are withdrawn if the route's channel
// is a [channel.Canceler]: by Work, or inside the call, which then takes two
// seconds more at most. The result is only logged.
//
// [Challenge.Next] tells the best that the person can do: wait, ask for a
// Resend, give another address, type the code, or start again. A Resend is
// offered later if the message is only sent than if it was delivered, at most
// twice more once one was delivered, and not to an address that is known to be
// wrong. It goes by a route that was not tried before, unless the latest message
// was reported delivered, or Policy.Resend is [SameRoute].
//
// # When the store or the queue is down
//
// Nothing is sent that is not recorded, and nobody is verified: every method
// fails with [ErrUnavailable], which is temporary. A single call that fails, or
// whose answer is lost, is repeated, and changes nothing twice.
//
//	before the challenge     Send fails without a Challenge: nothing is sent, and it costs nothing
//	is stored
//	the store does not say   Send returns the Challenge with the error: the message may still come, and
//	if it stored, or the     counts; the same request with its IdempotencyKey goes on with it
//	queue of Async fails
//	after the message went   the call succeeds. The outcome is recorded again and again for 5 s; if that
//	out                      fails, the message may come twice (with Takeover), or its failure go unnoticed
//	Finish, for a right      Verify fails. The code is consumed if only the answer was lost: it is never
//	code                     accepted twice, and perhaps not at all, unless the call is repeated with its
//	                         IdempotencyKey
//
// A repeated Send with the same key continues the first. It never cancels what
// the first queued.
//
// # Several brands
//
// A [Tenant] has a name, and texts, routes and policies of its own. The name is
// part of the derivation and sealing of codes, of IDs, limits, idempotency and
// receipt tracking, and is in every Message and Event. One pool of workers and
// one connection to the store serve all. [Service.SetTenant] adds tenants while
// the program runs.
//
// Two applications that share a store by mistake have different names,
// Config.Application: each leaves the records of the other alone, logs that
// there are some, and neither sends nor verifies them.
//
// # For embedders
//
//   - Send to a stored address, not to one that the browser passes: a form that
//     sends a code to any number is a way to pump messages.
//   - A login with an unknown name must look like any other. Call Send with
//     Decoy for the unknown, with Config.Async: the answer, its time, and all
//     counters are those of a user.
//   - A locked subject is a way to shut people out. Mark requests from a device
//     of the person as Known: they have allowances of their own. Keep other ways
//     to log in for a person on a new device.
//   - A challenge ID is no secret, but keep it with the session that asked: a
//     page that verifies any ID with any subject invites guessing. An ID of
//     another subject is not found, and costs that subject nothing.
//   - After a change of number or password call [Service.CancelAll]: older codes
//     must not pass.
//   - A forwarded mailbox, or a number that was given to somebody else, receives
//     the codes: let people confirm an address now and then, and treat a proven
//     address as proof of control of the address, not of identity.
//
// # What is kept, and for how long
//
// All keys are hashes keyed by Keyring.Index, and end by themselves:
//
//	challenge   sealed request, delivery    the life of the code
//	subject     run of failures, lock       Policy.Lock, and Policy.RunLife (30 days)
//	subject     mark of CancelAll           a day
//	phone/…, email/…, push/…, chat/…        Rate.Per of Policy.PerRecipient (a day)
//	ip/…                                    Rate.Per of Policy.PerIP (an hour)
//	receipt     provider's id               the life of the code
//	job         challenge                   the life of the code
//	guard/…                                 a day; see otp/guard
//
// [Service.Erase] removes the runs of a subject and the counts of addresses at
// once, and makes open codes worthless; the profile Privacy bounds all of them.
// A change of Index forgets everything.
//
// # Starting and stopping
//
// Start the channels, then New, then Work in a goroutine, then the HTTP server.
// Stop in the opposite order: the HTTP server's Shutdown, so that no Send
// begins; then end the context of Work, and wait for it; then the Shutdown of
// the channels, which deliver their last receipts; then close the store.
//
// # Events
//
// Config.Events and Config.Logger get every generation, send, receipt and
// verification: the audit trail. No code and no unmasked address is in them, nor
// in any error.
//
// A message that no worker picked up before the code expired causes no event;
// its job is a dead letter of the queue. If the queue is a [store.Inspector], as
// those of this module are, its Stats tell how long jobs wait. Jobs dropped
// after verification or cancellation are not dead letters.
//
// # Concurrency
//
// A Service is safe for concurrent use, and any number of them, in any number
// of processes, can share a store and a keyring.
package otp
