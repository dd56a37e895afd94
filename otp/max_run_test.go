package otp_test

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/store"
)

// guessFor types wrong codes for a subject until it is locked for longer than a day,
// or days are over, and returns how many were compared.
func guessFor(t *testing.T, r *rig, subject string, known bool, days int) (wrong int) {
	t.Helper()
	end := time.Now().Add(time.Duration(days) * 24 * time.Hour)
	for n := 0; time.Now().Before(end); n++ {
		c, err := r.Send(t.Context(), otp.Request{Subject: subject, Known: known,
			To: channel.Recipient{Phone: "+4479123" + strconv.Itoa(10_000+n%90_000)}})
		if err != nil {
			e := wantReason(t, err, otp.ReasonLocked, otp.ErrWait)
			if e.RetryAfter > 24*time.Hour {
				return wrong
			}
			time.Sleep(e.RetryAfter)
			continue
		}
		for otp.ReasonOf(verify(t.Context(), r, otp.Verification{ID: c.ID, Subject: subject, Code: "0"})) ==
			otp.ReasonMalformed {
			break
		}
		code := another6(r.a.messages()[r.a.count()-1].Code)
		for otp.ReasonOf(verify(t.Context(), r, otp.Verification{ID: c.ID, Subject: subject, Code: code})) ==
			otp.ReasonWrong {
			wrong++
		}
		time.Sleep(time.Minute)
	}
	return wrong
}

// In sixty days of guessing no more than 100 codes are compared in a row, those
// of known devices included; Unlock lets the person begin anew.
func TestMaxRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *otp.Config) { c.Policy.RunLife = 90 * 24 * time.Hour })
		strangers := guessFor(t, r, "u1", false, 60)
		known := guessFor(t, r, "u1", true, 5)
		if strangers != 80 || known != 20 {
			t.Errorf("%d codes of strangers and %d of known devices were compared, want 80 and 20", strangers, known)
		}
		to := channel.Recipient{Phone: "+447912345678"}
		for _, known := range []bool{false, true} {
			_, err := r.Send(t.Context(), otp.Request{Subject: "u1", To: to, Known: known})
			wantReason(t, err, otp.ReasonLocked, otp.ErrWait)
		}
		if err := r.Unlock(t.Context(), otp.Scope{Subject: "u1"}); err != nil {
			t.Fatal(err)
		}
		if r.last().Kind != otp.EventUnlocked {
			t.Errorf("event %+v", r.last())
		}
		if n := guessFor(t, r, "u1", false, 60); n != 80 {
			t.Errorf("%d codes after Unlock, want 80", n)
		}
	})
}

// A subject that strangers have locked is not locked for its known device, and a
// success there does not clear the strangers' run.
func TestVictimsSubject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		for range 2 {
			c := r.send(t, otp.Request{})
			for range 5 {
				code := another6(r.a.messages()[r.a.count()-1].Code)
				_ = verify(t.Context(), r, otp.Verification{ID: c.ID, Subject: "u1", Code: code})
			}
		}
		_, err := r.Send(t.Context(), otp.Request{Subject: "u1", To: both})
		wantReason(t, err, otp.ReasonLocked, otp.ErrWait)
		c := r.send(t, otp.Request{Known: true})
		if err := verify(t.Context(), r, otp.Verification{ID: c.ID, Subject: "u1",
			Code: r.a.messages()[r.a.count()-1].Code}); err != nil {
			t.Fatal(err)
		}
		_, err = r.Send(t.Context(), otp.Request{Subject: "u1", To: both})
		wantReason(t, err, otp.ReasonLocked, otp.ErrWait)
		// CancelAll reaches the challenges of both.
		c = r.send(t, otp.Request{Known: true})
		time.Sleep(time.Second)
		if err := r.CancelAll(t.Context(), otp.Scope{Subject: "u1"}); err != nil {
			t.Fatal(err)
		}
		if s := r.status(t, c.ID); s.Outcome != store.Cancelled {
			t.Errorf("outcome %v after CancelAll", s.Outcome)
		}
	})
}

// Erase leaves neither counts of an address nor failures of a subject, and makes
// open codes worthless.
func TestErase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *otp.Config) {
			c.Purposes = map[string]otp.Policy{"other": {PerRecipient: []otp.Rate{{Most: 3, Per: time.Hour}}}}
		})
		to := channel.Recipient{Phone: "+447912345678"}
		var c *otp.Challenge
		for i := range 10 {
			c = r.send(t, otp.Request{To: to, Known: i%2 == 0, Purpose: []string{"", "other"}[i/8]})
		}
		for range 5 {
			_ = verify(t.Context(), r, otp.Verification{ID: c.ID, Subject: "u1", Purpose: "other", Code: "000000"})
		}
		_, err := r.Send(t.Context(), otp.Request{Subject: "u2", To: to, Known: true})
		if err == nil {
			_, err = r.Send(t.Context(), otp.Request{Subject: "u2", To: to, Known: true})
		}
		wantReason(t, err, otp.ReasonLimited, otp.ErrWait)
		time.Sleep(time.Second)
		as := channel.Recipient{Phone: "+44 7912 345678"}
		if err := r.Erase(t.Context(), otp.Erasure{Subject: "u1", To: as}); err != nil {
			t.Fatal(err)
		}
		if r.last().Kind != otp.EventErased {
			t.Errorf("event %+v", r.last())
		}
		if s := r.status(t, c.ID); s.Outcome != store.Cancelled {
			t.Errorf("outcome %v after Erase", s.Outcome)
		}
		for _, known := range []bool{true, false} {
			for range 5 {
				r.send(t, otp.Request{Subject: "u2", To: to, Known: known})
			}
		}
		for _, q := range []otp.Erasure{{}, {Tenant: "none", Subject: "u1"}, {To: channel.Recipient{Phone: "12"}}} {
			wantReason(t, r.Erase(t.Context(), q), otp.ReasonInvalid, otp.ErrInvalidRequest)
		}
	})
}
