package authenticator_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/authenticator"
)

// TestLocks: each lock is twice as long as the one before, and after 100 failures in a
// row only Unlock or a recovery code helps.
func TestLocks(t *testing.T) {
	t.Parallel()
	hours := func(h ...float64) (d []time.Duration) {
		for _, n := range h {
			d = append(d, time.Duration(n*float64(time.Hour)))
		}
		return d
	}
	for _, row := range []struct {
		most int
		want []time.Duration
	}{
		{0, hours(0.5, 1, 2, 4, 8, 16, 24, 24, 24)},
		{50, hours(0.5)},
		{100, nil},
		{30, hours(0.5, 1, 2)},
	} {
		virtual(t, func(t *testing.T) {
			r := newRig(t, func(c *authenticator.Config) { c.Policy.MaxFailures = row.most })
			d := r.app("ann")
			codes, err := r.NewRecoveryCodes(t.Context(), "ann")
			if err != nil {
				t.Fatal(err)
			}
			for _, help := range []string{"Unlock", "Recover"} {
				compared, locks := guessAll(t, r, d)
				if compared != 100 || !slices.Equal(locks, row.want) {
					t.Errorf("MaxFailures %d: %d codes were compared, locks %v, want 100 and %v", row.most, compared,
						locks,
						row.want)
				}
				time.Sleep(365 * 24 * time.Hour)
				r.verify("ann", "the right code, a year later", d.off(0), otp.ReasonLocked)
				if s := r.status("ann"); !s.Locked || !s.LockedUntil.IsZero() || s.Failures != 100 {
					t.Errorf("%+v", s)
				}
				if help == "Unlock" {
					r.wants(help, r.Unlock(t.Context(), "ann"), "ok")
				} else {
					_, err := r.Recover(t.Context(), "ann", codes[0])
					r.wants(help, err, "ok")
				}
				r.verify("ann", "after "+help, d.off(0), "ok")
				if s := r.status("ann"); s.Locked || s.Failures != 0 {
					t.Errorf("%+v", s)
				}
			}
		})
	}
}

// guessAll types wrong codes until there is no end of the lock any more.
func guessAll(t *testing.T, r *rig, d *device) (compared int, locks []time.Duration) {
	t.Helper()
	for range 1000 {
		time.Sleep(31 * time.Second)
		_, err := r.Verify(t.Context(), "ann", d.wrong())
		var e *otp.Error
		if !errors.As(err, &e) {
			t.Fatal(err)
		}
		switch {
		case e.Reason == otp.ReasonWrong:
			compared++
			if e.RetryAfter > 0 {
				locks = append(locks, e.RetryAfter)
				if e.AttemptsLeft != 0 {
					t.Errorf("%d attempts left with the lock", e.AttemptsLeft)
				}
				_, err := r.Verify(t.Context(), "ann", d.off(0))
				r.wants("the right code while locked", err, otp.ReasonLocked)
				if s := r.status("ann"); !s.Locked ||
					!s.LockedUntil.Equal(time.Now().Truncate(time.Second).Add(e.RetryAfter)) {
					t.Errorf("%+v, want a lock of %v", s, e.RetryAfter)
				}
			}
		case e.Reason == otp.ReasonLocked && e.RetryAfter == 0:
			return compared, locks
		case e.Reason == otp.ReasonLocked:
			time.Sleep(e.RetryAfter)
		default:
			t.Fatal(err)
		}
	}
	t.Fatal("no end")
	return 0, nil
}

// TestRightCodeEndsTheRun: a right code between starts the count anew.
func TestRightCodeEndsTheRun(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T) {
		r := newRig(t)
		d := r.app("ann")
		for range 30 {
			for i := range 9 {
				_, err := r.Verify(t.Context(), "ann", d.wrong())
				if left(err) != 9-i {
					t.Fatalf("%d left after %d failures", left(err), i+1)
				}
			}
			time.Sleep(time.Minute)
			r.verify("ann", "right", d.off(0), "ok")
		}
	})
}

// TestBadCodes: what is no code costs nothing.
func TestBadCodes(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T) {
		r := newRig(t)
		d := r.app("ann")
		time.Sleep(time.Minute)
		for _, code := range []string{"", " ", "12345", "123456789", "12a456", "١٢٣", "123456\x00", string(make([]byte,
			5000)),
			"cccccccccccc" + d.off(0), "\xff23456"} {
			r.verify("ann", code, code, otp.ReasonMalformed)
		}
		r.verify("ann", "seven digits", "0"+d.wrong(), otp.ReasonWrong)
		arabic := ""
		for _, c := range d.off(0) {
			arabic += string(c - '0' + '٠')
		}
		r.verify("ann", "Arabic digits", arabic, "ok")
		r.verify("", "no subject", "123456", otp.ReasonInvalid)
		r.verify("nobody", "unknown", "123456", otp.ReasonNotFound)
		if raw, _ := r.mem.Load(t.Context(), "nobody"); raw != nil {
			t.Error("a value for a subject that has nothing")
		}
	})
}

// TestOneText: wrong, used, malformed and unknown have one text to the outside.
func TestOneText(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T) {
		r := newRig(t)
		d := r.app("ann")
		for _, typed := range []string{d.off(0), d.wrong(), "x"} {
			if _, err := r.Verify(t.Context(), "ann", typed); err == nil || err.Error() != otp.ErrInvalidCode.Error() ||
				!errors.Is(err, otp.ErrInvalidCode) {
				t.Errorf("%q: %v", typed, err)
			}
		}
		if _, err := r.Verify(t.Context(), "bob", "123456"); err == nil || err.Error() != otp.ErrInvalidCode.Error() {
			t.Error(err)
		}
	})
}
