package otp_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
)

// spellings are the ways to write one address each.
var spellings = map[string][]string{
	"case":   {"ann@example.com", "Ann@Example.COM", "ANN@EXAMPLE.COM"},
	"spaces": {"ann@example.com", "  ann@example.com", "ann@example.com\t", "\u00a0ann@example.com\n"},
	"IDNA": {"ann@bücher.example", "ann@xn--bcher-kva.example", "Ann@XN--BCHER-KVA.EXAMPLE",
		"ann@BÜCHER.example"},
	"NFC, domain":            {"ann@b\u00fccher.example", "ann@bu\u0308cher.example", "ann@BU\u0308CHER.example"},
	"NFC, local":             {"zo\u00eb@example.com", "zoe\u0308@example.com", "ZOE\u0308@example.com"},
	"all at once":            {"zo\u00eb@stra\u00dfe.example", " ZOE\u0308@xn--strae-oqa.EXAMPLE "},
	"case of Greek":          {"νίκος@example.com", "ΝΊΚΟΣ@example.com", "νίκοσ@example.com"},
	"case of two characters": {"\u01f0an@example.com", "J\u030cAN@example.com", "j\u030can@example.com"},
	"number": {"+447912345678", "+44 7912 345678", "+44 (0) 7912-345-678", " +44.7912.345.678 ", "＋４４７９１２３４５６７８",
		"(+44) 7912 345678", "\u202a+44 7912 345678\u202c", "（＋44）7912-345678"},
}

// unlike are addresses of which no two are one, as far as anybody but their
// provider knows.
var unlike = []string{"ann@example.com", "a.nn@example.com", "ann+shop@example.com", "ann@sub.example.com",
	"ann@examp1e.com", "änn@example.com",
	"+447912345678", "+447912345679"}

func recipientOf(address string) channel.Recipient {
	for _, c := range address {
		if c == '@' {
			return channel.Recipient{Email: address}
		}
	}
	return channel.Recipient{Phone: address}
}

// eachPair calls f for each two spellings of one address, both ways round.
func eachPair(t *testing.T, f func(t *testing.T, first, second string)) {
	for name, all := range spellings {
		for i, first := range all {
			for j, second := range all {
				if i != j {
					t.Run(fmt.Sprintf("%s,%d,%d", name, i, j), func(t *testing.T) {
						t.Parallel()
						f(t, first, second)
					})
				}
			}
		}
	}
}

// A limit knows an address however it is typed.
func TestLimitsKnowAnAddressInAnyForm(t *testing.T) {
	t.Parallel()
	eachPair(t, func(t *testing.T, first, second string) {
		r := newRig(t, func(c *otp.Config) { c.Policy.PerRecipient = perHour })
		r.send(t, otp.Request{To: recipientOf(first)})
		_, err := r.Send(t.Context(), otp.Request{Subject: "u2", To: recipientOf(second)})
		wantReason(t, err, otp.ReasonLimited, otp.ErrWait)
	})
	r := newRig(t, func(c *otp.Config) { c.Policy.PerRecipient = perHour })
	for _, address := range unlike {
		r.send(t, otp.Request{To: recipientOf(address)})
	}
	r.cfg.Region = "GB"
	_, err := r.another(t).Send(t.Context(), otp.Request{Subject: "u1", To: channel.Recipient{Phone: "07912 345678"}})
	wantReason(t, err, otp.ReasonLimited, otp.ErrWait)
}

// A repeated request is one however its address and its subject are typed.
func TestIdempotencyKeysKnowAnAddressInAnyForm(t *testing.T) {
	t.Parallel()
	eachPair(t, func(t *testing.T, first, second string) {
		r := newRig(t, nil)
		c := r.send(t, otp.Request{Subject: first, To: recipientOf(first), IdempotencyKey: "k"})
		again := r.send(t, otp.Request{Subject: second, To: recipientOf(second), IdempotencyKey: "k"})
		if c.ID != again.ID || !again.Repeated || r.total() != 1 {
			t.Errorf("%+v, then %+v, %d messages", c, again, r.total())
		}
	})
	r := newRig(t, nil)
	ids := map[string]bool{}
	for _, address := range unlike {
		ids[r.send(t, otp.Request{Subject: address, To: recipientOf(address), IdempotencyKey: "k"}).ID] = true
	}
	if len(ids) != len(unlike) {
		t.Errorf("%d challenges of %d addresses", len(ids), len(unlike))
	}
}

// A subject that is an address is one however it is typed: for Verify, Status,
// Cancel, CancelAll and Resend, and for its lock.
func TestSubjectsKnowAnAddressInAnyForm(t *testing.T) {
	t.Parallel()
	eachPair(t, func(t *testing.T, first, second string) {
		r := newRig(t, func(c *otp.Config) { c.Policy.MaxFailures, c.Policy.PerRecipient = 2, []otp.Rate{} })
		sent := func() (*otp.Challenge, string) {
			c := r.send(t, otp.Request{Subject: first, To: recipientOf(first), Route: map[bool]string{true: "M",
				false: "A"}[recipientOf(first).Email != ""]})
			all := append(r.a.messages(), r.mail.messages()...)
			return c, all[len(all)-1].Code
		}
		c, code := sent()
		if _, err := r.Status(t.Context(), otp.Ref{ID: c.ID, Subject: second}); err != nil {
			t.Errorf("Status: %v", err)
		}
		_, err := r.Resend(t.Context(), otp.ResendRequest{ID: c.ID, Subject: second})
		wantReason(t, err, otp.ReasonTooSoon, otp.ErrWait)
		if err := verify(t.Context(), r, otp.Verification{ID: c.ID, Subject: second, Code: code}); err != nil {
			t.Errorf("Verify: %v", err)
		}
		c, _ = sent()
		if err := r.Cancel(t.Context(), otp.Ref{ID: c.ID, Subject: second}); err != nil {
			t.Errorf("Cancel: %v", err)
		}
		c, code = sent()
		time.Sleep(time.Millisecond)
		if err := r.CancelAll(t.Context(), otp.Scope{Subject: second}); err != nil {
			t.Errorf("CancelAll: %v", err)
		}
		wantReason(t, verify(t.Context(), r, otp.Verification{ID: c.ID, Subject: first, Code: code}), otp.ReasonClosed,
			otp.ErrInvalidCode)
		c, code = sent()
		for _, subject := range []string{first, second} {
			_ = verify(t.Context(), r, otp.Verification{ID: c.ID, Subject: subject, Code: another6(code)})
		}
		for _, subject := range []string{first, second} {
			_, err := r.Send(t.Context(), otp.Request{Subject: subject, To: both})
			wantReason(t, err, otp.ReasonLocked, otp.ErrWait)
		}
	})
}

// The message goes to the address as it was typed, but for what no address has.
func TestAddressThatIsSentTo(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	for typed, want := range map[string]string{" Ann.Lee+shop@Example.com ": "Ann.Lee+shop@Example.com",
		"zoe\u0308@example.com": "zo\u00eb@example.com"} {
		r.send(t, otp.Request{To: channel.Recipient{Email: typed}})
		all := r.mail.messages()
		if got := all[len(all)-1].To.Email; got != want {
			t.Errorf("%q was sent to %q", typed, got)
		}
	}
}

// A region is one in either case: events name it in capitals, as numbers do.
func TestRegionInEitherCase(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *otp.Config) { c.Region = "de" })
	for _, to := range []channel.Recipient{{Email: both.Email}, {Phone: "01512 3456789"}} {
		r.send(t, otp.Request{To: to})
		if e := r.last(); e.Region != "DE" {
			t.Errorf("%v: region %q", to, e.Region)
		}
	}
}
