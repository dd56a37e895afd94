package smtptest_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	gosmtp "github.com/emersion/go-smtp"
	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/smtp/smtptest"
)

const raw = "From: a@example.com\r\nTo: b@example.com\r\nSubject: =?utf-8?q?Caf=C3=A9?=\r\n" +
	"Content-Type: multipart/alternative; boundary=x\r\n\r\n" +
	"--x\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n.=C3=A9\r\n" +
	"--x\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\nPGI+aDwvYj4=\r\n--x--\r\n"

func newServer(t *testing.T, c smtptest.Config) *smtptest.Server {
	t.Helper()
	srv := smtptest.NewServer(c)
	t.Cleanup(srv.Close)
	return srv
}

// client connects with go-smtp's own client.
func client(t *testing.T, srv *smtptest.Server, mode smtptest.TLSMode, login sasl.Client) *gosmtp.Client {
	t.Helper()
	dial := map[smtptest.TLSMode]func() (*gosmtp.Client, error){
		smtptest.StartTLS: func() (*gosmtp.Client, error) {
			return gosmtp.DialStartTLS(srv.Addr(), srv.ClientTLS())
		},
		smtptest.ImplicitTLS: func() (*gosmtp.Client, error) { return gosmtp.DialTLS(srv.Addr(), srv.ClientTLS()) },
		smtptest.Plaintext:   func() (*gosmtp.Client, error) { return gosmtp.Dial(srv.Addr()) },
	}[mode]
	c, err := dial()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if login != nil {
		if err := c.Auth(login); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func TestModes(t *testing.T) {
	t.Parallel()
	for _, mode := range []smtptest.TLSMode{smtptest.StartTLS, smtptest.ImplicitTLS, smtptest.Plaintext} {
		srv := newServer(t, smtptest.Config{TLS: mode})
		c := client(t, srv, mode, nil)
		if err := c.SendMail("a@example.com", []string{"b@example.com", "c@example.com"},
			strings.NewReader(raw)); err != nil {
			t.Fatal(err)
		}
		mails, err := srv.Wait(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		got := mails[0]
		if got.ID == "" || got.Header.Get("From") != "a@example.com" {
			t.Errorf("id %q, header %v", got.ID, got.Header)
		}
		got.ID, got.Header = "", nil
		want := smtptest.Mail{
			From: "a@example.com", To: []string{"b@example.com", "c@example.com"},
			Subject: "Café", Text: ".é", HTML: "<b>h</b>", Raw: []byte(raw),
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("mode %v, mail (-want +got):\n%s", mode, diff)
		}
		if srv.Connections() != 1 {
			t.Errorf("%d connections", srv.Connections())
		}
	}
}

func TestLoginIsRequired(t *testing.T) {
	t.Parallel()
	srv := newServer(t, smtptest.Config{Username: "u", Password: "p"})
	c := client(t, srv, smtptest.StartTLS, nil)
	wantCode(t, c.Mail("a@example.com", nil), 530)
	wantCode(t, c.Auth(sasl.NewPlainClient("", "u", "wrong")), 535)
	for _, login := range []sasl.Client{sasl.NewPlainClient("", "u", "p"), sasl.NewLoginClient("u", "p")} {
		c := client(t, srv, smtptest.StartTLS, login)
		if err := c.Mail("a@example.com", nil); err != nil {
			t.Error(err)
		}
	}
}

func TestTLSIsRequired(t *testing.T) {
	t.Parallel()
	srv := newServer(t, smtptest.Config{})
	c := client(t, srv, smtptest.Plaintext, nil)
	wantCode(t, c.Mail("a@example.com", nil), 530)
	if c, err := gosmtp.DialStartTLS(srv.Addr(), &tls.Config{ServerName: "127.0.0.1"}); err == nil {
		if c.Hello("x") == nil {
			t.Error("a client that does not know the certificate took it")
		}
		_ = c.Close()
	}
}

func wantCode(t *testing.T, err error, code int) {
	t.Helper()
	var e *gosmtp.SMTPError
	if !errors.As(err, &e) || e.Code != code {
		t.Errorf("error %v, want code %d", err, code)
	}
}

func TestScript(t *testing.T) {
	t.Parallel()
	srv := newServer(t, smtptest.Config{})
	reply := func(code int) smtptest.Reply { return smtptest.Reply{Code: code, Text: "scripted"} }
	send := func(to string) error {
		c := client(t, srv, smtptest.StartTLS, nil)
		return c.SendMail("a@example.com", []string{to}, strings.NewReader(raw))
	}
	srv.Script(
		smtptest.Rule{Phase: smtptest.AtRcpt, Recipient: "Full@example.com",
			Reply: smtptest.Reply{Code: 452, Enhanced: "4.2.2", Text: "full"}},
		smtptest.Rule{Phase: smtptest.AtDot, Recipient: "spam@example.com", Reply: reply(554)},
		smtptest.Rule{Phase: smtptest.AtDot, Recipient: "lost@example.com", Action: smtptest.Disconnect},
		smtptest.Rule{Phase: smtptest.AtBody, Recipient: "cut@example.com", Action: smtptest.Disconnect},
		smtptest.Rule{Phase: smtptest.AtMail, Reply: reply(451), Times: 2},
	)
	wantCode(t, send("x@example.com"), 451)
	wantCode(t, send("x@example.com"), 451)
	wantCode(t, send("full@example.com"), 452)
	wantCode(t, send("spam@example.com"), 554)
	for _, to := range []string{"lost@example.com", "cut@example.com"} {
		if err := send(to); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && !isReset(err) {
			t.Errorf("%s: %v, want a lost connection", to, err)
		}
	}
	if err := send("x@example.com"); err != nil {
		t.Error(err)
	}
	srv.ClearScript()
	if err := send("full@example.com"); err != nil {
		t.Error(err)
	}
	if n := len(srv.Mails()); n != 2 {
		t.Errorf("%d mails, want 2", n)
	}
}

// isReset reports a connection that the server closed with octets unread.
func isReset(err error) bool {
	return err != nil && (strings.Contains(err.Error(), "reset by peer") ||
		strings.Contains(err.Error(), "broken pipe"))
}

func TestStallEnds(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*smtptest.Server){
		"ClearScript": (*smtptest.Server).ClearScript,
		"Close":       (*smtptest.Server).Close,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := newServer(t, smtptest.Config{})
			srv.Script(smtptest.Rule{Phase: smtptest.AtDot, Action: smtptest.Stall})
			c := client(t, srv, smtptest.StartTLS, nil)
			sent := make(chan error, 1)
			go func() { sent <- c.SendMail("a@example.com", []string{"b@example.com"}, strings.NewReader(raw)) }()
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
			defer cancel()
			if mails, err := srv.Wait(ctx, 1); err == nil || len(mails) != 0 {
				t.Errorf("%d mails, %v", len(mails), err)
			}
			end(srv)
			if err := <-sent; (err == nil) != (name == "ClearScript") {
				t.Errorf("after %s: %v", name, err)
			}
		})
	}
}

func TestMailsAreCopies(t *testing.T) {
	t.Parallel()
	srv := newServer(t, smtptest.Config{TLS: smtptest.Plaintext})
	c := client(t, srv, smtptest.Plaintext, nil)
	for range 2 {
		if err := c.SendMail("a@example.com", []string{"b@example.com"}, strings.NewReader(raw)); err != nil {
			t.Fatal(err)
		}
	}
	first := srv.Mails()
	slices.Reverse(first)
	if srv.Mails()[0].ID == first[0].ID {
		t.Error("Mails gives its own slice away")
	}
	wantCode(t, c.SendMail("a@example.com", []string{"b@example.com"}, strings.NewReader("no mail")), 554)
}

func TestSenselessRulesPanic(t *testing.T) {
	t.Parallel()
	srv := newServer(t, smtptest.Config{})
	ok := smtptest.Reply{Code: 250}
	for name, rule := range map[string]smtptest.Rule{
		"no phase":             {Reply: ok},
		"recipient at MAIL":    {Phase: smtptest.AtMail, Recipient: "a@example.com", Reply: ok},
		"reply before the dot": {Phase: smtptest.AtBody, Reply: ok},
		"no code":              {Phase: smtptest.AtMail},
		"two lines":            {Phase: smtptest.AtMail, Reply: smtptest.Reply{Code: 250, Text: "a\r\n"}},
		"odd status":           {Phase: smtptest.AtMail, Reply: smtptest.Reply{Code: 250, Enhanced: "5.x"}},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			srv.Script(rule)
		}()
	}
}
