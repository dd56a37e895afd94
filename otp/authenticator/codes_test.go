package authenticator_test

import (
	"encoding/hex"
	"fmt"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/authenticator"
	"github.com/otpcourier/otpcourier/otp/oath"
)

// TestRFCVectors: a service verifies the codes of RFC 4226, appendix D, and of RFC 6238,
// appendix B, and no others in their place.
func TestRFCVectors(t *testing.T) {
	t.Parallel()
	v := readVectors(t)
	for i, list := range [][]string{v.HOTP.Codes, v.HOTP8.Codes} {
		r := newRig(t)
		secret, _ := hex.DecodeString(v.HOTP.Secret)
		r.hard("ann", authenticator.Key{Secret: secret, Counter: true, Digits: 6 + 2*i})
		if _, err := r.Confirm(t.Context(), "ann", list[0]); err != nil {
			t.Fatal(err)
		}
		for n, code := range list[1:] {
			r.verify("ann", fmt.Sprint("counter ", n+1), code, "ok")
			r.verify("ann", fmt.Sprint("counter ", n+1, " again"), code, otp.ReasonClosed)
		}
	}
	virtual(t, func(t *testing.T) {
		r := newRig(t)
		for i, c := range v.TOTP {
			if c.Time < time.Now().Unix() || c.Time > 1<<32 { // virtual time begins in 2000, and a Sleep is short
				continue
			}
			secret, _ := hex.DecodeString(c.Secret)
			subject := fmt.Sprint("u", i)
			sleepUntil(c.Time)
			r.hard(subject, authenticator.Key{Secret: secret, Digits: c.Digits, Hash: hashOf(t, c.Hash),
				Period: time.Duration(c.Period) * time.Second})
			if _, err := r.Confirm(t.Context(), subject, c.Code); err != nil {
				t.Errorf("%d %s: %v", c.Time, c.Hash, err)
			}
		}
	})
	for _, c := range v.TOTP {
		secret, _ := hex.DecodeString(c.Secret)
		d := device{secret: secret, digits: c.Digits, hash: hashOf(t, c.Hash)}
		if got := d.at(uint64(c.Time / int64(c.Period))); got != c.Code {
			t.Errorf("%d %s: %s, want %s", c.Time, c.Hash, got, c.Code)
		}
	}
}

// TestSkew: an app may be one step off, and its offset is told.
func TestSkew(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		skew   int
		offset int64
		want   otp.Reason
	}{
		{0, -3, otp.ReasonWrong}, {0, -2, otp.ReasonWrong}, {0, -1, "ok"}, {0, 0, "ok"}, {0, 1, "ok"},
		{0, 2, otp.ReasonWrong}, {0, 3, otp.ReasonWrong},
		{-1, -1, otp.ReasonWrong}, {-1, 0, "ok"}, {-1, 1, otp.ReasonWrong},
		{3, -4, otp.ReasonWrong}, {3, -3, "ok"}, {3, 3, "ok"}, {3, 4, otp.ReasonWrong},
	} {
		virtual(t, func(t *testing.T) {
			r := newRig(t, func(c *authenticator.Config) { c.Policy.Skew = row.skew })
			d := r.app("ann")
			time.Sleep(10 * time.Minute)
			token, err := r.Verify(t.Context(), "ann", d.off(row.offset))
			if reason(err) != row.want {
				t.Errorf("skew %d, offset %d: %v, want %v", row.skew, row.offset, reason(err), row.want)
			}
			if err == nil && (int64(token.Offset) != row.offset || token.LastUsed.Unix() != time.Now().Unix()) {
				t.Errorf("offset %d: the token says %+v", row.offset, token)
			}
		})
	}
}

// TestCodeCountsOnce: a step that is used up, or passed over, is closed, at no cost.
func TestCodeCountsOnce(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T) {
		r := newRig(t)
		d := r.app("ann")
		r.verify("ann", "the enrolment's code", d.off(0), otp.ReasonClosed)
		r.verify("ann", "the next one, early", d.off(1), "ok")
		r.verify("ann", "again", d.off(1), otp.ReasonClosed)
		r.verify("ann", "an older, unused one of the window", d.off(-1), otp.ReasonClosed)
		time.Sleep(time.Minute)
		_, err := r.Verify(t.Context(), "ann", d.wrong())
		before := left(err)
		for range 20 {
			r.verify("ann", "the accepted one again", d.off(-1), otp.ReasonClosed)
		}
		_, err = r.Verify(t.Context(), "ann", d.wrong())
		if after := left(err); before != 9 || after != 8 {
			t.Errorf("%d attempts left, then %d, want 9 and 8: replays are not charged", before, after)
		}
		r.verify("ann", "its successor", d.off(0), "ok")
		time.Sleep(30 * time.Second)
		typed := d.off(0)
		r.verify("ann", "in groups, with a newline", " "+typed[:3]+" "+typed[3:]+"\r\n", "ok")
	})
}

// TestCollision: two steps whose windows touch have the same six digits. They are
// accepted once, whichever is typed first, with or without a login between.
func TestCollision(t *testing.T) {
	t.Parallel()
	for _, c := range readVectors(t).Collisions {
		for _, asApp := range []bool{true, false} {
			for from := c.Steps[0] - 1; from <= c.Steps[0]+1; from++ {
				for _, login := range []int64{-100, -1, 0, 1, 2} {
					virtual(t, func(t *testing.T) { collide(t, c.Secret, c.Steps, c.Code, from, login, asApp) })
				}
			}
		}
	}
}

func collide(t *testing.T, secret string, steps []uint64, code string, from uint64, login int64, asApp bool) {
	sleepUntil(int64(steps[0]-9) * 30)
	r := newRig(t)
	d := r.hard("ann", authenticator.Key{Secret: []byte(secret), App: asApp, Digits: 6, Period: 30 * time.Second})
	if _, err := r.Confirm(t.Context(), "ann", d.off(0)); err != nil {
		t.Fatal(err)
	}
	accepted := 0
	var trace []otp.Reason
	for at := from; at <= steps[1]+3; at++ {
		sleepUntil(int64(at) * 30)
		_, err := r.Verify(t.Context(), "ann", code)
		trace = append(trace, reason(err))
		if err == nil {
			accepted++
		}
		if at == steps[0]+uint64(login) && d.off(0) != code {
			r.Verify(t.Context(), "ann", d.off(0))
		}
	}
	if accepted != 1 {
		t.Errorf("%s from step %d, login at %d, app %v: accepted %d times: %v", secret, from, login, asApp, accepted,
			trace)
	}
}

// TestDrift: the window of a hard token follows its clock and shrinks again.
func TestDrift(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T) {
		r := newRig(t)
		d := r.hard("ann", authenticator.Key{Secret: secretOf(7), Digits: 6, Period: time.Minute,
			Serial: "2600000000001"})
		_, err := r.Confirm(t.Context(), "ann", d.off(-7))
		r.wants("one code, 7 steps late", err, otp.ReasonWrong)
		token, err := r.Confirm(t.Context(), "ann", d.off(-8), d.off(-7))
		r.wants("two codes", err, "ok")
		if token.Offset != -7 || token.Serial != "2600000000001" || token.App {
			t.Errorf("%+v", token)
		}
		time.Sleep(time.Hour)
		for _, off := range []int64{-7, -8, -7, 0, -1, -2} { // then somebody has set its clock
			time.Sleep(15 * time.Minute)
			r.verify("ann", fmt.Sprint("offset ", off), d.off(off), "ok")
		}
		time.Sleep(15 * time.Minute)
		r.verify("ann", "offset -8 after -2", d.off(-8), otp.ReasonWrong)
	})
}

// TestDriftBound: beyond Policy.Drift the window does not follow.
func TestDriftBound(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T) {
		r := newRig(t, func(c *authenticator.Config) { c.Policy.Drift = 3 })
		d := r.hard("ann", authenticator.Key{Secret: secretOf(7), Digits: 6, Period: time.Minute})
		_, err := r.Confirm(t.Context(), "ann", d.off(0))
		r.wants("Confirm", err, "ok")
		for off := int64(1); off <= 4; off++ {
			time.Sleep(time.Hour)
			r.verify("ann", fmt.Sprint("offset ", off), d.off(off), "ok")
		}
		time.Sleep(time.Hour)
		r.verify("ann", "offset 5 with a drift of 3", d.off(5), otp.ReasonWrong)
		none := newRig(t, func(c *authenticator.Config) { c.Policy.Drift = -1 })
		d = none.hard("ann", authenticator.Key{Secret: secretOf(7), Digits: 6, Period: time.Minute, Drift: -5})
		_, err = none.Confirm(t.Context(), "ann", d.off(-5))
		none.wants("Drift -1", err, otp.ReasonWrong)
	})
}

// TestKeyDrift: the drift that a seed file names is where the window begins.
func TestKeyDrift(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T) {
		r := newRig(t)
		d := r.hard("ann", authenticator.Key{Secret: secretOf(7), Digits: 6, Period: time.Minute, Drift: 25})
		_, err := r.Confirm(t.Context(), "ann", d.off(26))
		r.wants("Confirm", err, "ok")
		for _, off := range []int64{26, 0, 1, 0} { // a prompt code always passes
			time.Sleep(time.Hour)
			r.verify("ann", fmt.Sprint("offset ", off), d.off(off), "ok")
		}
		time.Sleep(time.Hour)
		r.verify("ann", "offset 26 after 0", d.off(26), otp.ReasonWrong)
	})
}

// TestNoDriftOfApps: a slow typist does not teach the service a slow clock.
func TestNoDriftOfApps(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T) {
		r := newRig(t)
		d := r.app("ann")
		for range 5 {
			time.Sleep(10 * time.Minute)
			r.verify("ann", "late", d.off(-1), "ok")
		}
		time.Sleep(10 * time.Minute)
		r.verify("ann", "two late", d.off(-2), otp.ReasonWrong)
		time.Sleep(10 * time.Minute)
		r.verify("ann", "early", d.off(1), "ok")
		time.Sleep(10 * time.Minute)
		r.wants("Resync of an app", r.Resync(t.Context(), "ann", d.id, d.off(5), d.off(6)), otp.ReasonInvalid)
		p := r.pending("bob")
		_, err := r.Confirm(t.Context(), "bob", p.off(30), p.off(31))
		r.wants("two codes of a wrong clock", err, otp.ReasonWrong)
		_, err = r.Confirm(t.Context(), "bob", p.off(-1), p.off(0))
		r.wants("two codes", err, "ok")
		r.verify("bob", "the second of them", p.off(0), otp.ReasonClosed)
	})
}

// TestLookAhead: ten presses of an HOTP token may go by unused, and none comes back.
func TestLookAhead(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	d := r.hard("ann", authenticator.Key{Secret: secretOf(4), Counter: true, Digits: 6, Moving: 7})
	_, err := r.Confirm(t.Context(), "ann", d.at(6))
	r.wants("a counter before the first", err, otp.ReasonWrong)
	_, err = r.Confirm(t.Context(), "ann", d.at(7))
	r.wants("the first", err, "ok")
	r.verify("ann", "eleven ahead", d.at(19), otp.ReasonWrong)
	r.verify("ann", "ten ahead", d.at(18), "ok")
	r.verify("ann", "passed over", d.at(12), otp.ReasonWrong)
	r.verify("ann", "again", d.at(18), otp.ReasonClosed)
	r.wants("Resync beyond 1000", r.Resync(t.Context(), "ann", d.id, d.at(1020), d.at(1021)), otp.ReasonWrong)
	r.wants("Resync of used counters", r.Resync(t.Context(), "ann", d.id, d.at(17), d.at(18)), otp.ReasonWrong)
	r.wants("Resync", r.Resync(t.Context(), "ann", d.id, d.at(1018), d.at(1019)), "ok")
	r.verify("ann", "the second code", d.at(1019), otp.ReasonClosed)
	r.verify("ann", "the next code", d.at(1020), "ok")
}

// TestResync: two consecutive codes find a token again, and verify nobody.
func TestResync(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T) {
		r := newRig(t)
		d := r.hard("ann", authenticator.Key{Secret: secretOf(9), Digits: 6, Period: time.Minute})
		if _, err := r.Confirm(t.Context(), "ann", d.off(0)); err != nil {
			t.Fatal(err)
		}
		ctx := t.Context()
		time.Sleep(24 * time.Hour)
		r.verify("ann", "25 min ahead", d.off(25), otp.ReasonWrong)
		r.wants("not consecutive", r.Resync(ctx, "ann", d.id, d.off(25), d.off(27)), otp.ReasonWrong)
		r.wants("in the wrong order", r.Resync(ctx, "ann", d.id, d.off(26), d.off(25)), otp.ReasonWrong)
		r.wants("too far", r.Resync(ctx, "ann", d.id, d.off(1003), d.off(1004)), otp.ReasonWrong)
		r.wants("another token", r.Resync(ctx, "ann", "0011223344556677", d.off(25), d.off(26)), otp.ReasonNotFound)
		r.wants("letters", r.Resync(ctx, "ann", d.id, "abcdef", d.off(26)), otp.ReasonMalformed)
		if s := r.status("ann"); s.Failures != 4 {
			t.Errorf("%d failures, want 4: each try is charged", s.Failures)
		}
		used := r.status("ann").Tokens[0].LastUsed
		r.wants("two codes", r.Resync(ctx, "ann", d.id, d.off(25), d.off(26)), "ok")
		if s := r.status("ann"); s.Failures != 4 || !s.Tokens[0].LastUsed.Equal(used) {
			t.Errorf("%+v: a Resync is no login", s)
		}
		r.verify("ann", "the second code", d.off(26), otp.ReasonClosed)
		time.Sleep(2 * time.Minute)
		r.verify("ann", "the next code", d.off(25), "ok")
		r.wants("used steps", r.Resync(ctx, "ann", d.id, d.off(10), d.off(11)), otp.ReasonWrong)
	})
}

// TestTwoTokens: a code is tried against all tokens of a subject, under one charge.
func TestTwoTokens(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T) {
		r := newRig(t)
		phone := r.app("ann")
		fob := r.hard("ann", authenticator.Key{Secret: secretOf(3), Hash: oath.SHA256, Digits: 8, Period: time.Minute})
		if _, err := r.Confirm(t.Context(), "ann", fob.off(0)); err != nil {
			t.Fatal(err)
		}
		for range 50 {
			time.Sleep(time.Minute)
			r.verify("ann", "phone", phone.off(0), "ok")
		}
		if s := r.status("ann"); s.Failures != 0 || len(s.Tokens) != 2 {
			t.Errorf("%+v", s)
		}
		token, err := r.Verify(t.Context(), "ann", fob.off(0))
		if err != nil || token.ID != fob.id {
			t.Errorf("%+v, %v", token, err)
		}
		_, err = r.Verify(t.Context(), "ann", phone.wrong())
		if left(err) != 9 {
			t.Errorf("%v, want one charge for two tokens", err)
		}
	})
}

// TestCodeOfTwoTokens: a code that two tokens have at one time, by chance, counts once.
func TestCodeOfTwoTokens(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T) {
		r := newRig(t)
		// The same secret with the same codes is refused, so a second token is made of
		// the same secret as HOTP, whose counter is where the first one's step will be.
		secret := secretOf(5)
		step := uint64(time.Now().Unix()/30 + 10)
		for _, k := range []authenticator.Key{
			{Secret: secret, Digits: 6, Period: 30 * time.Second},
			{Secret: secret, Digits: 6, Counter: true, Moving: step},
		} {
			_, err := r.Enroll(t.Context(), authenticator.Request{Subject: "ann", Key: &k, Confirmed: true})
			if err != nil {
				t.Fatal(err)
			}
		}
		d := device{secret: secret, digits: 6, period: 30}
		time.Sleep(5 * time.Minute)
		r.verify("ann", "of both", d.off(0), "ok")
		r.verify("ann", "of both, again", d.off(0), otp.ReasonClosed)
		time.Sleep(5 * time.Minute) // the first token has forgotten the code
		r.verify("ann", "of the second, used with the first", d.off(-10), otp.ReasonClosed)
	})
}

// TestDates: a token is not used before its start and after its end.
func TestDates(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T) {
		r := newRig(t)
		now := time.Now()
		k := authenticator.Key{Secret: secretOf(5), Digits: 6, Period: 30 * time.Second, Start: now.Add(time.Hour),
			Expires: now.Add(2 * time.Hour)}
		_, err := r.Enroll(t.Context(), authenticator.Request{Subject: "ann", Key: &k, Confirmed: true})
		r.wants("Enroll", err, "ok")
		d := device{secret: k.Secret, digits: 6, period: 30}
		r.verify("ann", "before its start", d.off(0), otp.ReasonExpired)
		time.Sleep(time.Hour)
		r.verify("ann", "valid", d.off(0), "ok")
		time.Sleep(time.Hour)
		r.verify("ann", "after its end", d.off(0), otp.ReasonExpired)
		_, err = r.Enroll(t.Context(), authenticator.Request{Subject: "bob", Key: &k})
		r.wants("Enroll of an expired key", err, otp.ReasonInvalid)
	})
}
