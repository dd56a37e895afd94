package smppserver

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestRatesAreForgotten: who has left is remembered for the second that
// binding again is to be no way around, and not for ever.
func TestRatesAreForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRates()
		idle, busy := r.bind("idle", 1), r.bind("busy", 1)
		if !busy.take(time.Now()) {
			t.Error("the first message is not taken")
		}
		r.release(idle)
		r.release(busy)
		if r.byID["idle"] != nil || r.byID["busy"] != busy {
			t.Errorf("known are %v", r.byID)
		}
		if r.bind("busy", 1).take(time.Now()) {
			t.Error("binding again is a way to a fresh second")
		}
		r.release(busy)
		time.Sleep(time.Second)
		r.bind("other", 1)
		if len(r.byID) != 1 {
			t.Errorf("known are %v", r.byID)
		}
	})
}
