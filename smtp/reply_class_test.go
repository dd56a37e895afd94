package smtp_test

import (
	"testing"
	"testing/synctest"

	"github.com/otpcourier/otpcourier/channel"
)

// Whatever a relay replies, in whatever phase, has one class.
func TestReplyClasses(t *testing.T) {
	t.Parallel()
	bothWays(t, testReplyClasses)
}

func testReplyClasses(t *testing.T, newFake newFakeFunc) {
	for _, tt := range []struct {
		step, reply string
		class       channel.Class
		code        string
	}{
		{"greeting", "554 5.3.2 no service", channel.Temporary, "5.3.2"},
		{"greeting", "421 busy", channel.Temporary, "421"},
		{"EHLO", "421 4.3.2 busy", channel.Temporary, "4.3.2"},
		{"EHLO", "550 bad name", channel.Temporary, "550"},
		{"STARTTLS", "454 4.7.0 not now", channel.Temporary, "4.7.0"},
		{"STARTTLS", "421 4.3.2 closing", channel.Temporary, "4.3.2"},
		{"STARTTLS", "421 4.7.28 slower", channel.Throttled, "4.7.28"},
		{"STARTTLS", "502 5.5.1 never", channel.Misconfigured, "5.5.1"},
		{"EHLO+", "421 4.7.28 slower", channel.Temporary, "4.7.28"},
		{"AUTH", "535 5.7.8 wrong", channel.Misconfigured, "5.7.8"},
		{"AUTH", "534 5.7.9 stronger", channel.Misconfigured, "5.7.9"},
		{"AUTH", "454 4.7.0 later", channel.Temporary, "4.7.0"},
		{"AUTH", "421 4.3.2 closing", channel.Temporary, "4.3.2"},
		{"AUTH", "421 4.7.28 slower", channel.Throttled, "4.7.28"},
		{"AUTH", "504 no such mechanism", channel.Misconfigured, "504"},
		{"MAIL", "530 5.7.0 log in first", channel.Misconfigured, "5.7.0"},
		{"MAIL", "421 4.7.28 slower", channel.Throttled, "4.7.28"},
		{"MAIL", "421 4.4.2 idle", channel.Temporary, "4.4.2"},
		{"MAIL", "451 4.3.0 disk", channel.Temporary, "4.3.0"},
		{"MAIL", "452 4.3.1 disk", channel.Temporary, "4.3.1"},
		{"MAIL", "550 5.1.1 who are you", channel.Misconfigured, "5.1.1"}, // about the sender
		{"MAIL", "553 5.1.8 sender", channel.Misconfigured, "5.1.8"},
		{"MAIL", "552 5.3.4 too big", channel.Misconfigured, "5.3.4"},
		{"MAIL", "555 parameters", channel.Misconfigured, "555"},
		{"MAIL", "501 5.5.4 parameters", channel.Misconfigured, "5.5.4"},
		{"MAIL", "251 odd", channel.Temporary, "251"},
		{"MAIL", "354 odd", channel.Temporary, "354"},
		{"RCPT", "421 4.3.2 closing", channel.Temporary, "4.3.2"},
		{"RCPT", "421 4.7.28 slower", channel.Throttled, "4.7.28"},
		{"RCPT", "550 5.1.1 <ann.recipient@example.com> unknown", channel.InvalidRecipient, "5.1.1"},
		{"RCPT", "550-5.1.1 <ann.recipient@example.com>\r\n550 5.1.1 unknown", channel.InvalidRecipient, "5.1.1"},
		{"RCPT", "550 5.1.1", channel.InvalidRecipient, "5.1.1"},
		{"RCPT", "550 5.1.2 domain", channel.InvalidRecipient, "5.1.2"},
		{"RCPT", "501 5.1.3 syntax", channel.InvalidRecipient, "5.1.3"},
		{"RCPT", "551 5.1.6 moved", channel.InvalidRecipient, "5.1.6"},
		{"RCPT", "556 5.1.10 null MX", channel.InvalidRecipient, "5.1.10"},
		{"RCPT", "550 5.2.1 disabled", channel.InvalidRecipient, "5.2.1"},
		{"RCPT", "550 relay not permitted", channel.Unreachable, "550"}, // or no such user
		{"RCPT", "551 not local", channel.Unreachable, "551"},
		{"RCPT", "553 not allowed", channel.Unreachable, "553"},
		{"RCPT", "450 4.2.1 too much for him", channel.Unreachable, "4.2.1"},
		{"RCPT", "452 4.2.2 full", channel.Unreachable, "4.2.2"},
		{"RCPT", "552 5.2.2 full", channel.Unreachable, "5.2.2"},
		{"RCPT", "552 full", channel.Unreachable, "552"},
		{"RCPT", "550 5.1.0 rejected", channel.Unreachable, "5.1.0"},
		{"RCPT", "450 4.1.1 unverified address", channel.Unreachable, "4.1.1"},
		{"RCPT", "450 4.1.2 Domain not found", channel.Unreachable, "4.1.2"},
		{"MAIL", "450 4.1.2 Domain not found", channel.Temporary, "4.1.2"},
		{"RCPT", "450 4.7.1 greylisted", channel.Temporary, "4.7.1"},
		{"RCPT", "451 4.7.0 greylisted", channel.Temporary, "4.7.0"},
		{"RCPT", "452 disk", channel.Temporary, "452"},
		{"RCPT", "451 4.4.1 route", channel.Temporary, "4.4.1"},
		{"RCPT", "450 4.1.8 sender", channel.Temporary, "4.1.8"},
		{"RCPT", "450 5.1.1 contradiction", channel.Temporary, "450"},
		{"RCPT", "550 5.1.8 sender", channel.Unreachable, "5.1.8"},
		{"RCPT", "554 5.7.1 relay denied", channel.Unreachable, "5.7.1"},
		{"RCPT", "501 parameters", channel.Unreachable, "501"},
		{"RCPT", "555 5.5.4 parameters", channel.Unreachable, "5.5.4"},
		{"RCPT", "504 5.5.2 need fully-qualified address", channel.Unreachable, "5.5.2"},
		{"RCPT", "550 5.5.0 rejected", channel.Unreachable, "5.5.0"},
		{"RCPT", "550 5.7.1 rejected", channel.Unreachable, "5.7.1"},
		{"RCPT", "554 rejected", channel.Unreachable, "554"},
		{"RCPT", "500 what?", channel.Unreachable, "500"},
		{"RCPT", "501 5.5.4 syntax", channel.Unreachable, "5.5.4"},
		{"RCPT", "530 5.7.0 log in first", channel.Unreachable, "5.7.0"},
		{"RCPT", "550 5.2.1 receiving mail at a rate that is too high", channel.Unreachable, "5.2.1"},
		{"RCPT", "503 5.5.1 no sender", channel.Temporary, "5.5.1"},
		{"MAIL", "454 Throttling failure: Maximum sending rate exceeded.", channel.Throttled, "454"},
		{".", "454 Throttling failure: Daily message quota exceeded.", channel.Throttled, "454"},
		{"DATA", "454 4.7.0 TLS not available", channel.Temporary, "4.7.0"},
		{".", "432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded", channel.Throttled, "4.3.2"},
		{"MAIL", "550 5.4.5 Daily user sending limit exceeded", channel.Throttled, "5.4.5"},
		{"DATA", "421 4.3.2 closing", channel.Temporary, "4.3.2"},
		{"DATA", "421 4.7.28 slower", channel.Throttled, "4.7.28"},
		{"DATA", "451 4.3.0 disk", channel.Temporary, "4.3.0"},
		{"DATA", "554 5.5.1 no recipients", channel.Unreachable, "5.5.1"},
		{"DATA", "550 5.1.1 unknown", channel.InvalidRecipient, "5.1.1"},
		{"DATA", "250 odd", channel.Temporary, "250"},
		{".", "550 5.7.26 unauthenticated", channel.Unreachable, "5.7.26"},
		{".", "550 5.7.515 unauthenticated", channel.Unreachable, "5.7.515"},
		{".", "550 5.7.1 spam", channel.Unreachable, "5.7.1"},
		{".", "550 5.1.1 unknown", channel.InvalidRecipient, "5.1.1"},
		{".", "452 4.2.2 full", channel.Unreachable, "4.2.2"},
		{".", "421 4.7.28 slower", channel.Throttled, "4.7.28"},
		{".", "421 4.3.2 closing", channel.Temporary, "4.3.2"},
		{".", "451 4.7.1 greylisted", channel.Temporary, "4.7.1"},
		{".", "554 no", channel.Unreachable, "554"},
		{".", "354 odd", channel.Unknown, "354"},
		{".", "251 odd", channel.Unknown, "251"},
		{".", "999 odd", channel.Unknown, "999"},
	} {
		t.Run(tt.step+" "+tt.reply, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, c := newFake(map[string]string{tt.step: tt.reply + "\r\n"})
				s, err := sendTo(t.Context(), t, f, c)
				if err == nil {
					t.Fatal("no error")
				}
				if err.Class != tt.class || err.Code != tt.code {
					t.Errorf("class %v, code %q, want %v, %q: %v", err.Class, err.Code, tt.class, tt.code, err)
				}
				if s.State != channel.Failed {
					t.Errorf("state %v", s.State)
				}
			})
		})
	}
}
