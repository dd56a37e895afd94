// Package smtptest provides a mail relay for tests, like net/http/httptest's
// Server. It listens on a free port of the loopback interface, speaks SMTP over
// real TLS, keeps the mails it receives, and misbehaves by script.
//
//	srv := smtptest.NewServer(smtptest.Config{Username: "codes", Password: "secret"})
//	defer srv.Close()
//	mail, err := smtp.New(smtp.Config{
//		Addr:      srv.Addr(),
//		TLSConfig: srv.ClientTLS(),
//		Username:  "codes",
//		Password:  "secret",
//		From:      "MyBank <codes@mybank.example>",
//	})
//	// … send …
//	got := srv.Mails()[0].Text
//
// A [Rule] makes it refuse, stall or hang up:
//
//	srv.Script(smtptest.Rule{
//		Phase:     smtptest.AtRcpt,
//		Recipient: "nobody@example.com",
//		Reply:     smtptest.Reply{Code: 550, Enhanced: "5.1.1", Text: "no such user"},
//	})
//
// # Errors
//
// A mistake in the test, such as a rule for the wrong phase, panics.
//
// # Concurrency
//
// A Server is safe for concurrent use.
package smtptest
