package guardtest_test

import (
	"slices"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/otp/guard/guardtest"
)

// A trace is the same for the same seed, in order, and of another for another.
func TestReplayable(t *testing.T) {
	t.Parallel()
	for _, s := range append(guardtest.UnderAttack()[:3], guardtest.Peaceful()[0]) {
		a, b, c := s.Make(1), s.Make(1), s.Make(2)
		inOrder := slices.IsSortedFunc(a, func(x, y guardtest.Attempt) int { return int(x.At - y.At) })
		if !slices.Equal(a, b) || slices.Equal(a, c) || !inOrder {
			t.Errorf("%s: not replayable", s.Name)
		}
	}
}

// open allows everything.
type open struct{ verified int }

func (o *open) Check(time.Duration, *guardtest.Attempt, bool) guardtest.Verdict {
	return guardtest.Allow
}
func (o *open) Verified(time.Duration, *guardtest.Attempt, int) { o.verified++ }

// Without a guard each message of an attack is sent.
func TestReplayWithoutGuard(t *testing.T) {
	t.Parallel()
	for i, s := range guardtest.UnderAttack()[:4] {
		g := &open{}
		report := guardtest.Replay(s.Make(0), g)
		k, people := report[s.Name], report[guardtest.Legit]
		if k.Sent != guardtest.Attacks[i].Count || k.Refused+k.Stuck > 0 || people.Sent != people.Attempts ||
			g.verified < people.Attempts/2 {
			t.Errorf("%s: %+v, people %+v", s.Name, k, people)
		}
	}
}
