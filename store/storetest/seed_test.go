package storetest

import (
	"regexp"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

var replay = regexp.MustCompile(`^to replay: STORETEST_SEED=(\d+) go test -run '\^recorder\$'$`)

// TestReplay checks that a random case that has failed says how to replay it, and
// then fails in the same way.
func TestReplay(t *testing.T) {
	i := slices.IndexFunc(takeCases(), func(c testCase[store.Limiter]) bool { return c.name == "never exceeded" })
	fail := func() *recorder {
		r := &recorder{count: func(time.Time) int { return -1 }}
		synctest.Test(t, func(t *testing.T) {
			b := &badLimiter{naive: newNaive()}
			b.take = gcra(map[string]time.Time{})
			r.ctx = t.Context()
			done := make(chan struct{})
			go func() {
				defer close(done)
				conduct(r, takeCases()[i], store.Limiter(b))
			}()
			<-done
		})
		return r
	}
	first := fail()
	var told []string
	for _, line := range first.logged {
		if m := replay.FindStringSubmatch(line); m != nil {
			told = m
		}
	}
	if len(first.log) == 0 || told == nil {
		t.Fatalf("failures %q, log %q; want a failure, and how to replay it", first.log, first.logged)
	}
	t.Setenv(seedVariable, told[1])
	if again := fail(); !slices.Equal(again.log, first.log) {
		t.Errorf("replayed: %q, want %q", again.log, first.log)
	}
}
