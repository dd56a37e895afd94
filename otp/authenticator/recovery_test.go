package authenticator_test

import (
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/otp"
)

// TestRecovery: ten codes, each good once, as people type them.
func TestRecovery(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T) {
		r := newRig(t)
		ctx := t.Context()
		_, err := r.Recover(ctx, "ann", "0000-0000-0000-0000-0000-0000")
		r.wants("without any", err, otp.ReasonNotFound)
		codes, err := r.NewRecoveryCodes(ctx, "ann") // no token is needed
		if err != nil || len(codes) != 10 {
			t.Fatal(codes, err)
		}
		form := regexp.MustCompile(`^([0-9A-HJKMNP-TV-Z]{4}-){5}[0-9A-HJKMNP-TV-Z]{4}$`)
		seen := map[string]bool{}
		for _, c := range codes {
			if !form.MatchString(c) || seen[c] {
				t.Errorf("%q", c)
			}
			seen[c] = true
		}
		like := strings.NewReplacer("0", "o", "1", "l", "-", " ")
		for i, typed := range []string{codes[0], strings.ToLower(codes[1]), like.Replace(strings.ToLower(codes[2])),
			strings.ReplaceAll(codes[3], "-", ""), strings.ReplaceAll(codes[4], "1", "I") + "\n"} {
			if left, err := r.Recover(ctx, "ann", typed); err != nil || left != 9-i {
				t.Errorf("%q: %d left, %v", typed, left, err)
			}
		}
		_, err = r.Recover(ctx, "ann", codes[0])
		r.wants("again", err, otp.ReasonWrong)
		for _, typed := range []string{"", codes[5][:10], codes[5] + "A", strings.Replace(codes[5], "-", "é", 1),
			strings.Repeat("A", 200)} {
			_, err := r.Recover(ctx, "ann", typed)
			r.wants(typed, err, otp.ReasonMalformed)
		}
		again, err := r.NewRecoveryCodes(ctx, "ann")
		r.wants("a new set", err, "ok")
		_, err = r.Recover(ctx, "ann", codes[6])
		r.wants("of the old set", err, otp.ReasonWrong)
		if left, err := r.Recover(ctx, "ann", again[0]); err != nil || left != 9 {
			t.Errorf("%d left, %v", left, err)
		}
		if s := r.status("ann"); s.RecoveryCodes != 9 || s.Enrolled() {
			t.Errorf("%+v", s)
		}
	})
}

// TestRecoveryWhileLocked: recovery codes work while codes are locked and end that lock;
// their own failures are counted apart.
func TestRecoveryWhileLocked(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T) {
		r := newRig(t)
		ctx := t.Context()
		d := r.app("ann")
		codes, _ := r.NewRecoveryCodes(ctx, "ann")
		for range 10 {
			r.Verify(ctx, "ann", d.wrong())
		}
		time.Sleep(time.Minute)
		r.verify("ann", "locked", d.off(0), otp.ReasonLocked)
		_, err := r.Recover(ctx, "ann", codes[0])
		r.wants("Recover", err, "ok")
		r.verify("ann", "after it", d.off(0), "ok")
		time.Sleep(time.Minute)
		for i := range 10 {
			_, err := r.Recover(ctx, "ann", "0000-0000-0000-0000-0000-0000")
			if left(err) != 9-i {
				t.Errorf("%v, %d left", err, left(err))
			}
		}
		_, err = r.Recover(ctx, "ann", codes[1])
		r.wants("after ten wrong recovery codes", err, otp.ReasonLocked)
		r.verify("ann", "a code meanwhile", d.off(0), "ok")
		_, err = r.Recover(ctx, "ann", codes[1])
		r.wants("a code does not end the lock of recovery", err, otp.ReasonLocked)
		time.Sleep(30 * time.Minute)
		_, err = r.Recover(ctx, "ann", codes[1])
		r.wants("after the lock", err, "ok")
	})
}

func TestRecoveryParallel(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	codes, err := r.NewRecoveryCodes(t.Context(), "ann")
	if err != nil {
		t.Fatal(err)
	}
	var won atomic.Int32
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			left, err := r.Recover(t.Context(), "ann", codes[3])
			if err == nil {
				won.Add(1)
				if left != 9 {
					t.Errorf("%d left", left)
				}
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d of 64 succeeded", won.Load())
	}
}
