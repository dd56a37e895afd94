//go:build linux

package smtp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smtp"
)

func TestRealPostfix(t *testing.T) {
	p := startPostfix(t)
	t.Run("delivery", func(t *testing.T) { testPostfixDelivery(t, p) })
	t.Run("refusals", func(t *testing.T) { testPostfixRefusals(t, p) })
	t.Run("many", func(t *testing.T) { testPostfixMany(t, p) })
	t.Run("bounce", func(t *testing.T) { testPostfixBounce(t, p) })
}

// Every mechanism that this Postfix offers, over either kind of TLS.
func testPostfixDelivery(t *testing.T, p *postfix) {
	for name, addr := range map[string]string{"STARTTLS": p.starttls, "implicit TLS": p.implicit} {
		for _, mechanism := range []string{"", "PLAIN", "LOGIN", "SCRAM-SHA-256"} {
			t.Run(name+" "+mechanism, func(t *testing.T) {
				ch := p.channel(t, addr, func(c *smtp.Config) { c.Mechanism = mechanism })
				m := p.message("real.1", "alice@example.test")
				s, err := ch.Send(t.Context(), m)
				if err != nil {
					t.Fatalf("%v\n%s", err, p.log())
				}
				raw := p.mailbox(t, "alice")
				got, err := mail.ReadMessage(bytes.NewReader(raw))
				if err != nil {
					t.Fatal(err)
				}
				if id := got.Header.Get("Message-Id"); id != "<real.1@otp.test>" ||
					!bytes.Contains(raw, []byte("58203719")) {
					t.Errorf("Message-ID %s, mail:\n%s", id, raw)
				}
				if received := got.Header.Get("Received"); !strings.Contains(received, "id "+s.ProviderIDs[0]) {
					t.Errorf("provider id %v, Received: %s", s.ProviderIDs, received)
				}
				want := mechanism
				if want == "" {
					want = "SCRAM-SHA-256"
				}
				login := s.ProviderIDs[0] + ": client=localhost[127.0.0.1], sasl_method=" + want
				if log := p.log(); !strings.Contains(log, login) {
					t.Errorf("not logged in by %s:\n%s", want, log)
				}
			})
		}
	}
}

func testPostfixRefusals(t *testing.T, p *postfix) {
	wrong := func(mechanism string) func(*smtp.Config) {
		return func(c *smtp.Config) { c.Mechanism, c.Password = mechanism, "guess" }
	}
	for _, tt := range []struct {
		name, to string
		change   func(*smtp.Config)
		class    channel.Class
		code     string
	}{
		{"unknown user", "nobody@example.test", asIs, channel.InvalidRecipient, "5.1.1"},
		{"wrong password, SCRAM", "alice@example.test", wrong("SCRAM-SHA-256"), channel.Misconfigured, "5.7.8"},
		{"wrong password, PLAIN", "alice@example.test", wrong("PLAIN"), channel.Misconfigured, "5.7.8"},
		{"wrong password, LOGIN", "alice@example.test", wrong("LOGIN"), channel.Misconfigured, "5.7.8"},
		{"no login", "alice@example.test", func(c *smtp.Config) { c.Username, c.Password = "", "" },
			channel.Unreachable, "5.7.1"},
		{"unknown authority", "alice@example.test", func(c *smtp.Config) { c.TLSConfig = nil }, channel.Misconfigured,
			""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ch := p.channel(t, p.starttls, tt.change)
			_, err := ch.Send(t.Context(), p.message("refused.1", tt.to))
			var e *channel.Error
			if !errors.As(err, &e) || e.Class != tt.class || e.Code != tt.code {
				t.Errorf("error %v, want class %v, code %s\n%s", err, tt.class, tt.code, p.log())
			}
		})
	}
}

// A refused recipient leaves the connection usable; all go over one.
func testPostfixMany(t *testing.T, p *postfix) {
	dials := 0
	ch := p.channel(t, p.starttls, func(c *smtp.Config) {
		c.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			dials++
			return new(net.Dialer).DialContext(ctx, network, addr)
		}
	})
	for i := range 10 {
		_, err := ch.Send(t.Context(), p.message(fmt.Sprint("many.", i), "nobody@example.test"))
		if channel.ClassOf(err) != channel.InvalidRecipient {
			t.Fatal(err)
		}
		if _, err := ch.Send(t.Context(), p.message(fmt.Sprint("some.", i), "alice@example.test")); err != nil {
			t.Fatalf("%v\n%s", err, p.log())
		}
		p.mailbox(t, "alice")
	}
	if dials != 1 {
		t.Errorf("%d connections, want 1", dials)
	}
}

// What Postfix accepts and cannot deliver comes back as a notification, which is
// read as a receipt of our message, and holds no code.
func testPostfixBounce(t *testing.T, p *postfix) {
	verp, err := smtp.NewVERP("bounce+*@otp.test", []byte("sixteen octets or more"))
	if err != nil {
		t.Fatal(err)
	}
	ch := p.channel(t, p.accept, func(c *smtp.Config) { c.EnvelopeFrom, c.VERP, c.DSN = "", verp, smtp.FailureOnly })
	m := p.message("bounced.1", "nobody@example.test")
	m.Subject = "Your code" // bounces repeat the subject
	if _, err := ch.Send(t.Context(), m); err != nil {
		t.Fatalf("%v\n%s", err, p.log())
	}
	bounce := p.mailbox(t, "bounces")
	for _, field := range []string{"Original-Envelope-Id: bounced.1", "Original-Recipient: RFC822;nobody@example.test",
		"Action: failed", "Status: 5.1.1"} {
		if !bytes.Contains(bounce, []byte(field)) {
			t.Errorf("the notification lacks %q:\n%s", field, bounce)
		}
	}
	if bytes.Contains(bounce, []byte("58203719")) {
		t.Errorf("the notification holds the code:\n%s", bounce)
	}
	feedback, err := smtp.ParseFeedback(bytes.NewReader(bounce), verp)
	if err != nil {
		t.Fatalf("%v\n%s", err, bounce)
	}
	want := channel.Receipt{MessageID: "bounced.1", State: channel.Failed, Class: channel.InvalidRecipient,
		Code: "5.1.1"}
	for i := range feedback.Receipts {
		feedback.Receipts[i].At = time.Time{}
	}
	if diff := cmp.Diff([]channel.Receipt{want}, feedback.Receipts); diff != "" || feedback.MessageID != "bounced.1" {
		t.Errorf("message %s, receipts (-want +got):\n%s", feedback.MessageID, diff)
	}
}
