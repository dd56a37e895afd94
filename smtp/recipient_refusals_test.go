package smtp_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smtp"
)

// A recipientRefusal is what real servers say about a recipient, at RCPT or after
// the mail.
type recipientRefusal struct {
	step, reply string
	class       channel.Class
	about       bool // Error.AboutRecipient
}

var recipientRefusals = []recipientRefusal{
	{"RCPT", "450 4.7.1 <x@example.com>: Recipient address rejected: Greylisted", channel.Temporary, true},
	{"RCPT", "450 4.2.0 <x@example.com>: Recipient address rejected: Greylisted", channel.Temporary, true},
	{"RCPT", "451 4.7.0 Try again later", channel.Temporary, true},
	{"RCPT", "451 Greylisting in action, please come back later", channel.Temporary, true},
	{"RCPT", "451-4.7.1 Greylisted\r\n451 4.7.1 Try again in 5 minutes", channel.Temporary, true},
	{"RCPT", "450", channel.Temporary, true},
	{"RCPT", "451 4.3.0 <x@example.com>: Temporary lookup failure", channel.Temporary, true},
	{"RCPT", "452 4.3.1 Insufficient system storage", channel.Temporary, true},
	{"RCPT", "451 4.4.3 Temporary server error", channel.Temporary, true},
	{"RCPT", "452 4.5.3 Too many recipients", channel.Temporary, true},
	{"RCPT", "450 4.1.8 Sender address rejected: Domain not found", channel.Temporary, true},
	{"RCPT", "503 5.5.1 need MAIL", channel.Temporary, true},
	{"RCPT", "450 4.2.1 Mailbox busy", channel.Unreachable, false},
	{"RCPT", "452 4.2.2 Mailbox full", channel.Unreachable, false},
	{"RCPT", "450 4.1.1 Recipient address rejected: unverified address", channel.Unreachable, false},
	{"RCPT", "450 4.1.2 Recipient address rejected: Domain not found", channel.Unreachable, false},
	{"DATA", "451 4.7.1 Greylisted", channel.Temporary, true},
	{".", "451 4.7.1 Greylisted by content", channel.Temporary, true},
	{".", "451 Try again later", channel.Temporary, true},
	{".", "452 4.2.2 Mailbox full", channel.Unreachable, false},
}

// Temporary refusals about recipients open no breaker, however many people they are
// about: neither the relay's nor the failover's.
func TestRecipientRefusalsNeverOpenABreaker(t *testing.T) {
	t.Parallel()
	for _, tt := range recipientRefusals {
		t.Run(tt.step+" "+tt.reply, func(t *testing.T) {
			bothWays(t, func(t *testing.T, newFake newFakeFunc) {
				synctest.Test(t, func(t *testing.T) { testRecipientRefusal(t, newFake, tt) })
			})
		})
	}
}

func testRecipientRefusal(t *testing.T, newFake newFakeFunc, tt recipientRefusal) {
	f, c := newFake(nil)
	defer f.stop()
	theirs := true
	f.reject = func(line string) string {
		if theirs && strings.HasPrefix(line, tt.step) {
			return tt.reply + "\r\n"
		}
		return ""
	}
	ch, err := smtp.New(c)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ch.Close() }()
	route := byFailover(t, ch)
	for i := range 12 {
		m := message(fmt.Sprint("theirs.", i))
		m.To.Email = fmt.Sprintf("p%d@d%[1]d.example", i)
		s, err := route.Send(t.Context(), m)
		e, ok := errors.AsType[*channel.Error](s.Hops[0].Err)
		if err == nil || !ok || e.Class != tt.class || e.AboutRecipient != tt.about {
			t.Errorf("message %d: %+v, want class %v, about the recipient %v", i, e, tt.class, tt.about)
		}
	}
	if h := route.Health(); h[0].Open {
		t.Error("the failover's breaker is open")
	}
	f.mu.Lock() // reject is called under it
	theirs = false
	f.mu.Unlock()
	if _, err := ch.Send(t.Context(), message("ours.1")); err != nil {
		t.Errorf("the next person: %v", err)
	}
}

// A refusal that is not about the recipient does count, once several people's
// messages have met it.
func TestRelayFailuresAreNotAboutTheRecipient(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ step, reply string }{
		{"greeting", "421 4.3.2 down"}, {"EHLO+", "451 4.3.0 later"}, {"AUTH", "454 4.7.0 later"},
		{"MAIL", "452 4.3.1 disk"}, {"MAIL", "451 4.7.1 later"}, {"RCPT", "421 4.3.2 closing"},
		{"DATA", "451 4.3.0 disk"}, {".", "452 4.3.1 disk"}, {".", "421 4.3.2 closing"}, {".", "451 4.4.1 route"},
	} {
		t.Run(tt.step+" "+tt.reply, func(t *testing.T) {
			bothWays(t, func(t *testing.T, newFake newFakeFunc) {
				synctest.Test(t, func(t *testing.T) {
					f, c := newFake(map[string]string{tt.step: tt.reply + "\r\n"})
					_, err := sendTo(t.Context(), t, f, c)
					if err == nil || err.Class != channel.Temporary || err.AboutRecipient {
						t.Errorf("%+v", err)
					}
				})
			})
		})
	}
}

// MAIL asks for SMTPUTF8 on behalf of one recipient, so its refusal is about that
// recipient.
func TestRefusalOfSMTPUTF8IsAboutTheRecipient(t *testing.T) {
	t.Parallel()
	for _, reply := range []string{
		"550 5.6.7 no international addresses", "553 5.6.7 no", "501 5.5.4 syntax", "555 parameters", "450 later",
	} {
		bothWays(t, func(t *testing.T, newFake newFakeFunc) {
			synctest.Test(t, func(t *testing.T) {
				f, c := newFake(nil)
				defer f.stop()
				f.script = map[string]string{"EHLO+": "250-SMTPUTF8\r\n" + f.reply("EHLO+")}
				f.reject = func(line string) string {
					if strings.HasPrefix(line, "MAIL") && strings.Contains(line, "SMTPUTF8") {
						return reply + "\r\n"
					}
					return ""
				}
				ch, err := smtp.New(c)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = ch.Close() }()
				route := byFailover(t, ch)
				for i := range 7 {
					m := message(fmt.Sprint("theirs.", i))
					m.To.Email = "jörg@example.com"
					_, err := route.Send(t.Context(), m)
					if err == nil || channel.ClassOf(err) == channel.Misconfigured {
						t.Errorf("%s: %v", reply, err)
					}
				}
				if s, err := route.Send(t.Context(), message("ours.1")); err != nil {
					t.Errorf("%s: the next person: %v, %+v", reply, err, s)
				}
			})
		})
	}
}
