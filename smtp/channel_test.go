package smtp_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/channeltest"
	"github.com/otpcourier/otpcourier/smtp"
	"github.com/otpcourier/otpcourier/smtp/smtptest"
)

const username, password = "codes", "correct horse"

// start returns a server and a channel to it, both closed with the test.
func start(t testing.TB, sc smtptest.Config, change ...func(*smtp.Config)) (*smtptest.Server, *smtp.Channel) {
	t.Helper()
	srv := smtptest.NewServer(sc)
	t.Cleanup(srv.Close)
	c := smtp.Config{
		Addr:      srv.Addr(),
		TLSConfig: srv.ClientTLS(),
		Username:  sc.Username,
		Password:  sc.Password,
		From:      "MyBank <codes@mybank.example>",
	}
	switch sc.TLS {
	case smtptest.ImplicitTLS:
		c.TLS = smtp.ImplicitTLS
	case smtptest.Plaintext:
		c.DangerouslyPlaintext = true
	}
	for _, f := range change {
		f(&c)
	}
	ch, err := smtp.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := ch.Close(); err != nil {
			t.Error(err)
		}
	})
	return srv, ch
}

func message(id string) *channel.Message { return channeltest.Message(channel.Email, id) }

func TestConformance(t *testing.T) {
	modes := map[string]smtptest.TLSMode{"StartTLS": smtptest.StartTLS, "ImplicitTLS": smtptest.ImplicitTLS}
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			channeltest.Run(t, channeltest.Harness{
				Address:     channel.Email,
				ProviderIDs: true,
				New:         func(t testing.TB) channeltest.Subject { return subject(t, mode) },
			})
		})
	}
}

func subject(t testing.TB, mode smtptest.TLSMode) channeltest.Subject {
	srv, ch := start(t, smtptest.Config{TLS: mode, Username: username, Password: password})
	refusals := map[channel.Class]smtptest.Rule{
		channel.Unknown: {Phase: smtptest.AtDot, Action: smtptest.Disconnect},
		channel.Temporary: {Phase: smtptest.AtRcpt,
			Reply: smtptest.Reply{Code: 451, Enhanced: "4.7.1", Text: "greylisted <ann.recipient@example.com>"}},
		channel.Throttled: {Phase: smtptest.AtMail,
			Reply: smtptest.Reply{Code: 421, Enhanced: "4.7.28", Text: "slow down"}},
		channel.Unreachable: {Phase: smtptest.AtRcpt,
			Reply: smtptest.Reply{Code: 552, Enhanced: "5.2.2", Text: "<ann.recipient@example.com> is full"}},
		channel.InvalidRecipient: {Phase: smtptest.AtRcpt,
			Reply: smtptest.Reply{Code: 550, Enhanced: "5.1.1", Text: "<ann.recipient@example.com> unknown"}},
		channel.Misconfigured: {Phase: smtptest.AtAuth,
			Reply: smtptest.Reply{Code: 535, Enhanced: "5.7.8", Text: "no"}},
	}
	return channeltest.Subject{
		Channel:  ch,
		Accepted: srv.Received, // no Rule but for Unknown lets a mail come to its dot
		Refuse: func(class channel.Class) bool {
			rule, ok := refusals[class]
			if ok {
				srv.Script(rule)
			}
			return ok
		},
		Codes: map[channel.Class]string{channel.Temporary: "4.7.1", channel.Throttled: "4.7.28",
			channel.Unreachable: "5.2.2", channel.InvalidRecipient: "5.1.1", channel.Misconfigured: "5.7.8"},
		Secrets: []string{password},
		Stall: func() func() {
			srv.Script(smtptest.Rule{Phase: smtptest.AtDot, Action: smtptest.Stall})
			return srv.ClearScript
		},
	}
}

func TestSend(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		server smtptest.Config
	}{
		{"STARTTLS, AUTH PLAIN", smtptest.Config{Username: username, Password: password}},
		{"STARTTLS, AUTH LOGIN only",
			smtptest.Config{Username: username, Password: password, Mechanisms: []string{"LOGIN"}}},
		{"implicit TLS", smtptest.Config{TLS: smtptest.ImplicitTLS, Username: username, Password: password}},
		{"no login", smtptest.Config{}},
		{"plaintext", smtptest.Config{TLS: smtptest.Plaintext}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			srv, ch := start(t, tt.server)
			m := message("c4n7.1")
			got, err := ch.Send(t.Context(), m)
			if err != nil {
				t.Fatal(err)
			}
			mails := srv.Mails()
			if len(mails) != 1 {
				t.Fatalf("%d mails, want 1", len(mails))
			}
			mail := mails[0]
			submission := channel.Submission{ProviderIDs: []string{mail.ID}, State: channel.Sent}
			if diff := cmp.Diff(submission, got); diff != "" {
				t.Errorf("submission (-want +got):\n%s", diff)
			}
			want := smtptest.Mail{
				From: "codes@mybank.example", To: []string{m.To.Email},
				Subject: m.Subject, Text: m.Body, HTML: m.HTML + "\n",
			}
			mail.ID, mail.Mechanism, mail.Header, mail.Raw = "", "", nil, nil
			if diff := cmp.Diff(want, mail); diff != "" {
				t.Errorf("mail (-want +got):\n%s", diff)
			}
		})
	}
}

func TestConnectionIsReused(t *testing.T) {
	t.Parallel()
	srv, ch := start(t, smtptest.Config{})
	for i := range 5 {
		if _, err := ch.Send(t.Context(), message(fmt.Sprint("reuse.", i))); err != nil {
			t.Fatal(err)
		}
	}
	if n := srv.Connections(); n != 1 {
		t.Errorf("%d connections for 5 messages, want 1", n)
	}
}

// Of eight goroutines, none waits for ever, and no more connections are open
// than allowed.
func TestConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	srv, ch := start(t, smtptest.Config{}, func(c *smtp.Config) { c.MaxConns = 3 })
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 25 {
				if _, err := ch.Send(t.Context(), message(fmt.Sprintf("many-%d.%d", g, i))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := len(srv.Mails()); n != 200 {
		t.Errorf("%d mails, want 200", n)
	}
	if n := srv.Connections(); n > 3 {
		t.Errorf("%d connections, want at most 3", n)
	}
	seen := map[string]bool{}
	for _, mail := range srv.Mails() {
		if id := mail.Header.Get("Message-Id"); seen[id] {
			t.Errorf("%s came twice", id)
		} else {
			seen[id] = true
		}
	}
}

// A relay that hangs up between two messages costs no error and no duplicate.
func TestStaleConnectionIsReplaced(t *testing.T) {
	t.Parallel()
	t.Run("closed while idle", func(t *testing.T) {
		t.Parallel()
		srv, ch := start(t, smtptest.Config{})
		for i := range 3 {
			if _, err := ch.Send(t.Context(), message(fmt.Sprint("idle.", i))); err != nil {
				t.Fatal(err)
			}
			srv.CloseClientConnections()
		}
		if got := [2]int{len(srv.Mails()), srv.Connections()}; got != [2]int{3, 3} {
			t.Errorf("%d mails over %d connections, want 3 over 3", got[0], got[1])
		}
	})
	for _, tt := range []struct {
		name string
		rule smtptest.Rule
	}{
		{"closed at MAIL", smtptest.Rule{Phase: smtptest.AtMail, Action: smtptest.Disconnect, Times: 1}},
		{"421", smtptest.Rule{Phase: smtptest.AtMail, Times: 1,
			Reply: smtptest.Reply{Code: 421, Enhanced: "4.4.2", Text: "idle for too long"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			srv, ch := start(t, smtptest.Config{})
			for i := range 2 {
				if _, err := ch.Send(t.Context(), message(fmt.Sprint("stale.", i))); err != nil {
					t.Fatal(err)
				}
				srv.Script(tt.rule)
			}
			if got := [2]int{len(srv.Mails()), srv.Connections()}; got != [2]int{2, 2} {
				t.Errorf("%d mails over %d connections, want 2 over 2", got[0], got[1])
			}
			// A connection that is new has no such excuse.
			srv.ClearScript()
			rule := tt.rule
			rule.Times = 2 // the idle connection, and its replacement
			srv.Script(rule)
			if _, err := ch.Send(t.Context(), message("stale.3")); channel.ClassOf(err) != channel.Temporary {
				t.Errorf("error %v, want class Temporary", err)
			}
		})
	}
}

// What is lost after MAIL was taken is told, not sent again: the relay may have
// delivered it.
func TestNothingIsSentTwice(t *testing.T) {
	t.Parallel()
	for phase, want := range map[smtptest.Phase]channel.Class{
		smtptest.AtRcpt: channel.Temporary, smtptest.AtDot: channel.Unknown,
	} {
		srv, ch := start(t, smtptest.Config{})
		if _, err := ch.Send(t.Context(), message("once.1")); err != nil {
			t.Fatal(err)
		}
		srv.Script(smtptest.Rule{Phase: phase, Action: smtptest.Disconnect, Times: 1})
		if _, err := ch.Send(t.Context(), message("once.2")); channel.ClassOf(err) != want {
			t.Errorf("error %v, want class %v", err, want)
		}
		if got := [2]int{len(srv.Mails()), srv.Connections()}; got != [2]int{1, 1} {
			t.Errorf("%d mails over %d connections, want 1 over 1", got[0], got[1])
		}
	}
}

func TestRefusedRecipientDoesNotPoisonTheNext(t *testing.T) {
	t.Parallel()
	srv, ch := start(t, smtptest.Config{})
	srv.Script(smtptest.Rule{Phase: smtptest.AtRcpt, Recipient: "nobody@example.com",
		Reply: smtptest.Reply{Code: 550, Enhanced: "5.1.1", Text: "unknown"}})
	refused := message("poison.1")
	refused.To.Email = "nobody@example.com"
	_, err := ch.Send(t.Context(), refused)
	var e *channel.Error
	if !errors.As(err, &e) || e.Class != channel.InvalidRecipient || e.Code != "5.1.1" {
		t.Errorf("error %v, want class InvalidRecipient, code 5.1.1", err)
	}
	if _, err := ch.Send(t.Context(), message("poison.2")); err != nil {
		t.Error(err)
	}
	if mails := srv.Mails(); len(mails) != 1 || mails[0].To[0] != "ann.recipient@example.com" {
		t.Errorf("mails to the wrong people: %v", mails)
	}
}

// A local part beyond ASCII goes out where the relay has SMTPUTF8, and only
// there.
func TestSMTPUTF8(t *testing.T) {
	t.Parallel()
	for _, offered := range []bool{true, false} {
		srv, ch := start(t, smtptest.Config{SMTPUTF8: offered})
		m := message("utf8.1")
		m.To.Email = "añn.recipient@münchen.example"
		_, err := ch.Send(t.Context(), m)
		if offered {
			if mails := srv.Mails(); err != nil || mails[0].To[0] != "añn.recipient@xn--mnchen-3ya.example" {
				t.Errorf("mails %v, error %v", mails, err)
			}
		} else if channel.ClassOf(err) != channel.InvalidRecipient || len(srv.Mails()) != 0 {
			t.Errorf("without SMTPUTF8: error %v, want class InvalidRecipient", err)
		}
		if _, err := ch.Send(t.Context(), message("utf8.2")); err != nil || srv.Connections() != 1 {
			t.Errorf("the next: %v, over %d connections", err, srv.Connections())
		}
	}
}

// Nothing that is logged tells a code, a password or a recipient.
func TestLogs(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	srv, ch := start(t, smtptest.Config{Username: username, Password: password}, func(c *smtp.Config) {
		c.MaxConns = 1
		c.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	for i, phase := range []smtptest.Phase{smtptest.AtRcpt, smtptest.AtDot, smtptest.AtMail, smtptest.AtAuth} {
		if _, err := ch.Send(t.Context(), message(fmt.Sprint("log.", i))); err != nil {
			t.Fatal(err)
		}
		srv.CloseClientConnections()
		srv.Script(smtptest.Rule{Phase: phase, Times: 1, Reply: smtptest.Reply{
			Code: 550, Enhanced: "5.7.1", Text: "ann.recipient@example.com may not have 58203719 nor " + password,
		}})
		_, err := ch.Send(t.Context(), message(fmt.Sprint("refused.", i)))
		want := channel.Misconfigured
		if phase == smtptest.AtRcpt || phase == smtptest.AtDot { // perhaps of this recipient
			want = channel.Unreachable
		}
		if channel.ClassOf(err) != want {
			t.Errorf("error %v, want class %v", err, want)
		}
	}
	for _, secret := range []string{"ann.recipient", "58203719", "horse"} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log holds %q:\n%s", secret, log.String())
		}
	}
	for _, word := range []string{"level=ERROR", "5.7.1", "smtp: connected", "tls=\"TLS 1.3\"",
		"idle connection was dead"} {
		if !strings.Contains(log.String(), word) {
			t.Errorf("the log lacks %q:\n%s", word, log.String())
		}
	}
}
