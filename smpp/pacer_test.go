package smpp

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// What was saved up at the old rate is not sent at once at the new one.
func TestPacerFallSpendsSavings(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(t.Context(), 1000, func(float64) {})
		time.Sleep(time.Second)
		p.fall(time.Now(), throttledFactor)
		began := time.Now()
		if err := p.wait(context.Background(), request{cost: 1}); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(began); d < time.Millisecond {
			t.Errorf("the next message goes after %v at %v a second", d, p.rate())
		}
	})
}
