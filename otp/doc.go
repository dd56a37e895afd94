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
// The calls of a Service return errors of type *[Error]. The table of [Reason] has the
// meaning of each, and the text to show the person.
//
// Three pages in this package's folder say more: DELIVERY.md about the path of a
// code, and about processes, stores and queues that fail; PRODUCTION.md is a checklist
// for production; BRANDS.md is about several brands in one Service.
//
// # Codes are not stored
//
// A code is derived from a key of the [Keyring] and a salt in the store, when it is
// sent and again when it is compared. Neither the key nor the salt alone gives a
// code. The subject, tenant, purpose and binding are part of the derivation, so a
// code passes for no others. The store has the recipients, and with Policy.PerIP
// the addresses that requests came from, sealed with AES-256-GCM.
//
// Anyone with write access to the store can reset its counters and keep guessing.
// No write makes a code live longer, or makes more codes valid: life, limits and the
// number of codes are derived with the code, or signed.
//
// # Limits
//
// [Policy] bounds a code's life, the guesses at it, its sends, the messages to an
// address, the requests from a network, and a subject's failures in a row. The
// defaults are within NIST SP 800-63B-4 §3.1.3.2 and §3.2.2, and PCI DSS 8.3.4;
// PSD2 (RTS 2018/389 Art. 4) asks for a MaxFailures of 5. [Config.Profiles] holds a
// Service to a standard.
//
// An attempt is charged before the code is compared, so parallel guesses gain
// nothing. If several calls have the right code, one of them verifies.
//
// A message counts against the address that its route uses. A message that surely
// was not sent is refunded. If no route can reach the person, the limit of the
// network stays charged, so probing numbers is not free. If a challenge is
// verified, its requests are given back to the network: an office behind one
// address is not locked out. A [Guard], such as package otp/guard, replaces the
// limit of the network.
//
// # Before production
//
// PRODUCTION.md is a checklist. Four of its lines are security: send to an address
// from the account, not to one that the browser passes; keep a challenge ID with the
// session that asked; call [Service.CancelAll] after a change of number or password;
// and mark requests from a device of the person as Request.Known, so that strangers
// who type wrong codes do not lock the person out.
//
// # Starting and stopping
//
// Start the channels, then New, then Work in a goroutine, then the HTTP server. Stop in
// the opposite order: shut down the HTTP server, so that no Send begins; end the context
// of Work and wait for it; shut down the channels, which hand over their last receipts;
// close the store. PRODUCTION.md has the code.
//
// # Events
//
// Config.Events and Config.Logger get every generation, send, receipt and
// verification: the audit trail. Events and errors hold no code and no unmasked
// address. DELIVERY.md lists what happens without an event.
//
// # Concurrency
//
// A Service is safe for concurrent use. Any number of Services, in any number of
// processes, may share a store and a keyring.
package otp
