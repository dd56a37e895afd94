package authenticator_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/authenticator"
	"github.com/otpcourier/otpcourier/store"
)

// A faulty store fails as its fields say.
type faulty struct {
	store.Credentials
	loads, swaps atomic.Int32
	slow         bool         // a Load takes a millisecond, so that parallel calls load alike
	blind        bool         // swaps without comparing
	stuck        bool         // never swaps, and says that the value is another
	lose         atomic.Int32 // how many Swaps are done, and answered by lost
	lost         error
	fail         error // of each Swap, which is not done
}

func (f *faulty) Load(ctx context.Context, subject string) ([]byte, error) {
	f.loads.Add(1)
	value, err := f.Credentials.Load(ctx, subject)
	if f.slow {
		time.Sleep(time.Millisecond) // of virtual time
	}
	return value, err
}

func (f *faulty) Swap(ctx context.Context, subject string, old, new []byte) error {
	f.swaps.Add(1)
	switch {
	case f.stuck:
		return store.ErrConflict
	case f.fail != nil:
		return f.fail
	case f.blind:
		for {
			now, _ := f.Credentials.Load(ctx, subject)
			if err := f.Credentials.Swap(ctx, subject, now, new); !errors.Is(err, store.ErrConflict) {
				return err
			}
		}
	}
	err := f.Credentials.Swap(ctx, subject, old, new)
	if f.lose.Add(-1) >= 0 {
		return f.lost
	}
	return err
}

// newFaulty is a rig over a faulty store on memory.
func newFaulty(t testing.TB) (*rig, *faulty) {
	f := &faulty{}
	r := newRig(t, func(c *authenticator.Config) {
		f.Credentials = c.Store
		c.Store = f
	})
	return r, f
}

// parallel calls Verify with the codes that code returns, from 64 goroutines at one time,
// and counts the outcomes.
func parallel(t *testing.T, s *authenticator.Service, subject string, code func(i int) string) map[otp.Reason]int {
	t.Helper()
	var mu sync.Mutex
	outcomes := map[otp.Reason]int{}
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range 64 {
		wg.Go(func() {
			<-start
			_, err := s.Verify(t.Context(), subject, code(i))
			if otp.ReasonOf(err) == otp.ReasonUnavailable {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			outcomes[reason(err)]++
		})
	}
	close(start)
	wg.Wait()
	return outcomes
}

// parallelTrials tries 64 parallel right codes, 50 times, and 64 parallel wrong ones, 20
// times.
func parallelTrials(t *testing.T, r *rig, newSubject func(subject string)) {
	t.Helper()
	right := map[string]int{}
	for trial := range 50 {
		subject := fmt.Sprint(t.Name(), " right ", trial)
		newSubject(subject)
		d := r.app(subject)
		code := d.off(1)
		right[fmt.Sprint(parallel(t, r.Service, subject, func(int) string { return code }))]++
	}
	if n := right["map[closed:63 ok:1]"]; n != 50 {
		t.Errorf("64 parallel right codes: %v, want one success in each of 50 trials", right)
	}
	wrong := map[string]int{}
	for trial := range 20 {
		subject := fmt.Sprint(t.Name(), " wrong ", trial)
		newSubject(subject)
		d := r.app(subject)
		wrong[fmt.Sprint(parallel(t, r.Service, subject, func(int) string { return d.wrong() }))]++
	}
	if n := wrong["map[locked:54 wrong:10]"]; n != 20 {
		t.Errorf("64 parallel wrong codes: %v, want 10 compared in each of 20 trials", wrong)
	}
	t.Logf("right: %v, wrong: %v", right, wrong)
}

func TestParallel(t *testing.T) {
	t.Parallel()
	parallelTrials(t, newRig(t), func(string) {})
}

// TestSlowStore: 64 calls that have all loaded the same value accept a code once, and the
// trials see a store that swaps without comparing.
func TestSlowStore(t *testing.T) {
	t.Parallel()
	for blind, want := range map[bool]int{false: 1, true: 64} {
		virtual(t, func(t *testing.T) {
			r, f := newFaulty(t)
			f.slow, f.blind = true, blind
			d := r.app("ann")
			time.Sleep(time.Minute)
			code := d.off(0)
			if n := parallel(t, r.Service, "ann", func(int) string { return code }); n["ok"] != want {
				t.Errorf("swaps without comparing %v: %v, want %d successes", blind, n, want)
			}
			wrong := parallel(t, r.Service, "ann", func(int) string { return d.wrong() })
			if want := map[bool]int{false: 10, true: 64}[blind]; wrong[otp.ReasonWrong] != want {
				t.Errorf("swaps without comparing %v: %v, want %d compared", blind, wrong, want)
			}
		})
	}
}

// TestLostAnswer: a Swap that was done, and whose answer was lost or says conflict,
// counts once.
func TestLostAnswer(t *testing.T) {
	t.Parallel()
	for _, lost := range []error{errors.New("connection reset"), store.ErrConflict} {
		virtual(t, func(t *testing.T) {
			r, f := newFaulty(t)
			f.lost = lost
			d := r.app("ann")
			time.Sleep(time.Minute)
			f.lose.Store(1)
			r.verify("ann", "right, answer lost", d.off(0), "ok")
			r.verify("ann", "again", d.off(0), otp.ReasonClosed)
			for i := range 3 {
				f.lose.Store(1)
				_, err := r.Verify(t.Context(), "ann", d.wrong())
				if left(err) != 9-i {
					t.Errorf("wrong, answer lost as %v: %v with %d left, want %d", lost, err, left(err), 9-i)
				}
			}
			f.lose.Store(1)
			codes, err := r.NewRecoveryCodes(t.Context(), "ann")
			r.wants("NewRecoveryCodes", err, "ok")
			f.lose.Store(1)
			if left, err := r.Recover(t.Context(), "ann", codes[0]); err != nil || left != 9 {
				t.Errorf("%d left, %v", left, err)
			}
			f.lose.Store(1)
			r.wants("Revoke", r.Revoke(t.Context(), "ann", d.id), "ok")
			bob := r.app("bob")
			f.lose.Store(1)
			r.wants("Revoke to nothing", r.Revoke(t.Context(), "bob", bob.id), "ok")
		})
	}
}

// TestBrokenStore: a store that fails, or conflicts for ever, verifies nobody and is not
// asked for ever.
func TestBrokenStore(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T) {
		r, f := newFaulty(t)
		d := r.app("ann")
		time.Sleep(time.Minute)
		f.stuck = true
		f.loads.Store(0)
		f.swaps.Store(0)
		r.verify("ann", "always a conflict", d.off(0), otp.ReasonUnavailable)
		if f.loads.Load() != 2 || f.swaps.Load() != 1 {
			t.Errorf("%d loads, %d swaps, want 2 and 1", f.loads.Load(), f.swaps.Load())
		}
		f.stuck, f.fail = false, errors.New("connection refused")
		r.verify("ann", "Swap fails", d.off(0), otp.ReasonUnavailable)
		if _, err := r.Verify(t.Context(), "ann", d.off(0)); !errors.Is(err, f.fail) {
			t.Errorf("%v, want the store's error in it", err)
		}
		f.fail = store.ErrFull
		r.verify("ann", "Swap has no room", d.off(0), otp.ReasonFull)
		f.fail = nil
		r.verify("ann", "the same code when all is well", d.off(0), "ok")

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		f.loads.Store(0)
		time.Sleep(time.Minute)
		_, err := r.Verify(ctx, "ann", d.off(0))
		r.wants("ended context", err, otp.ReasonUnavailable)
		if !errors.Is(err, context.Canceled) || f.loads.Load() != 0 {
			t.Errorf("%v, %d loads", err, f.loads.Load())
		}
		if e := r.events[len(r.events)-1]; e.Kind != authenticator.EventRejected || e.Err == nil {
			t.Errorf("%+v", e)
		}
	})
}

// TestRoundTrips: a Verify is one Load and one Swap, right or wrong; locked and replayed
// codes are one Load; malformed ones none; and an unknown subject costs as much as a wrong
// code.
func TestRoundTrips(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T) {
		r, f := newFaulty(t)
		d := r.app("ann")
		time.Sleep(time.Minute)
		count := func(what, subject, code string, loads, swaps int32) {
			t.Helper()
			f.loads.Store(0)
			f.swaps.Store(0)
			r.Verify(t.Context(), subject, code)
			if f.loads.Load() != loads || f.swaps.Load() != swaps {
				t.Errorf("%s: %d loads, %d swaps, want %d and %d", what, f.loads.Load(), f.swaps.Load(), loads, swaps)
			}
		}
		count("right", "ann", d.off(0), 1, 1)
		count("again", "ann", d.off(0), 1, 0)
		count("malformed", "ann", "12", 0, 0)
		count("unknown subject", "bob", "123456", 2, 0)
		for range 10 {
			count("wrong", "ann", d.wrong(), 1, 1)
		}
		count("locked", "ann", d.off(1), 1, 0)
	})
}

// TestSealedValue: another subject's value, a changed octet, an unknown key or another
// application are unavailable, and nobody is verified.
func TestSealedValue(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T) {
		r := newRig(t)
		ctx := t.Context()
		d := r.app("mallory")
		time.Sleep(time.Minute)
		raw, _ := r.mem.Load(ctx, "mallory")
		t.Logf("one app: %d octets, %.20s…", len(raw), raw)
		put := func(subject string, value []byte) {
			old, _ := r.mem.Load(ctx, subject)
			if err := r.mem.Swap(ctx, subject, old, value); err != nil {
				t.Fatal(err)
			}
		}
		put("ann", raw)
		r.verify("ann", "another subject's value", d.off(0), otp.ReasonUnavailable)
		_, err := r.Status(ctx, "ann")
		r.wants("Status of another subject's value", err, otp.ReasonUnavailable)
		for _, value := range []string{"x", "otp1:", "otp1:k1:", "otp1:k9:" + string(raw[8:]), "otp2:" +
			string(raw[5:]),
			string(raw[:len(raw)-4]), strings.ToLower(string(raw))} {
			put("mallory", []byte(value))
			r.verify("mallory", value, d.off(0), otp.ReasonUnavailable)
			_, err := r.Enroll(ctx, authenticator.Request{Subject: "mallory", Account: "m"})
			r.wants("Enroll over "+value, err, otp.ReasonUnavailable)
			if now, _ := r.mem.Load(ctx, "mallory"); string(now) != value {
				t.Errorf("%q was overwritten", value)
			}
		}
		put("mallory", raw)
		for name, edit := range map[string]func(*authenticator.Config){
			"application": func(c *authenticator.Config) { c.Application = "other" },
			"tenant":      func(c *authenticator.Config) { c.Tenant = "other" },
			"keyring":     func(c *authenticator.Config) { c.Keys = otp.NewKeyring() },
		} {
			c := r.cfg
			edit(&c)
			_, err := r.service(c).Verify(ctx, "mallory", d.off(0))
			r.wants("another "+name, err, otp.ReasonUnavailable)
		}
		r.verify("mallory", "the value as it was", d.off(0), "ok")
	})
}

// TestRotation: any outcome seals the value with the current key, Reseal those of
// subjects that do not log in.
func TestRotation(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T) {
		r := newRig(t)
		ctx := t.Context()
		ann, bob, cid := r.app("ann"), r.app("bob"), r.app("cid")
		keys := otp.NewKeyring().Keys["k1"]
		c := r.cfg
		c.Keys.Keys = maps.Clone(c.Keys.Keys)
		c.Keys.Keys["k2"], c.Keys.Current = keys, "k2"
		r.Service = r.service(c)
		time.Sleep(time.Minute)
		r.verify("ann", "after rotation", ann.off(0), "ok")
		r.verify("bob", "a wrong code after rotation", bob.wrong(), otp.ReasonWrong)
		r.wants("Reseal", r.Reseal(ctx, "cid"), "ok")
		r.wants("Reseal of nobody", r.Reseal(ctx, "nobody"), "ok")
		for _, subject := range []string{"ann", "bob", "cid"} {
			raw, _ := r.mem.Load(ctx, subject)
			if !bytes.HasPrefix(raw, []byte("otp1:k2:")) {
				t.Errorf("%s: %.12s", subject, raw)
			}
			r.wants("Reseal again", r.Reseal(ctx, subject), "ok")
			if again, _ := r.mem.Load(ctx, subject); !bytes.Equal(raw, again) {
				t.Errorf("%s: a value of the current key was sealed again", subject)
			}
		}
		if raw, _ := r.mem.Load(ctx, "nobody"); raw != nil {
			t.Errorf("%q", raw)
		}
		c.Keys.Keys = maps.Clone(c.Keys.Keys)
		delete(c.Keys.Keys, "k1")
		r.Service = r.service(c)
		time.Sleep(time.Minute)
		for subject, d := range map[string]*device{"ann": ann, "bob": bob, "cid": cid} {
			r.verify(subject, "without the old key", d.off(0), "ok")
		}
	})
}
