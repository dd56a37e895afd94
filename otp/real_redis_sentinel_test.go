package otp_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/store/redisstore/redistest"
)

// A code that was accepted before its Redis master died is not accepted again
// by the next. Replication is asynchronous, so that Redis does not guarantee
// it for what was written in the last moment: here nothing is lost among
// thousands, since the replica is near.
func TestRealSentinelMidRun(t *testing.T) {
	t.Parallel()
	sentinels := redistest.StartSentinel(t)
	b, closeBackend, err := backendAt(append([]string{"sentinel", sentinels.Name}, sentinels.Addrs...), "mid")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(closeBackend)
	r := newRig(t, func(c *otp.Config) {
		c.Store = b
		c.Policy.PerRecipient = []otp.Rate{}
		c.Receipts = nil
		c.Channel = &provider{name: "p"}
	})
	r.a = r.cfg.Channel.(*provider)
	const codes = 1000
	all := make([]otp.Verification, codes)
	for i := range all {
		c := r.send(t, otp.Request{Subject: fmt.Sprint("u", i)})
		all[i] = otp.Verification{ID: c.ID, Subject: fmt.Sprint("u", i), Code: r.a.messages()[i].Code}
	}

	// Four people at a time type their codes, until Redis answers again.
	var accepted, failed, next atomic.Int64
	var killed, back atomic.Pointer[time.Time]
	passed := make([]atomic.Int32, codes)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < codes; i = int(next.Add(1)) - 1 {
				for {
					asked := time.Now()
					err := r.Verify(t.Context(), all[i])
					if err == nil {
						passed[i].Add(1)
						accepted.Add(1)
					}
					if died := killed.Load(); died != nil && asked.After(*died) && !errors.Is(err, otp.ErrUnavailable) {
						now := time.Now()
						back.CompareAndSwap(nil, &now)
					}
					if !errors.Is(err, otp.ErrUnavailable) {
						break // accepted, or consumed by a call that got no answer
					}
					failed.Add(1)
					time.Sleep(5 * time.Millisecond)
				}
			}
		})
	}
	eventually(t, "half of the codes are accepted", func() bool { return accepted.Load() >= codes/2 })
	now := time.Now()
	killed.Store(&now)
	sentinels.Servers[0].Kill()
	wg.Wait()
	for i := range all {
		if err := r.Verify(t.Context(), all[i]); err == nil {
			passed[i].Add(1)
		}
	}
	twice, never := 0, 0
	for i := range passed {
		switch n := passed[i].Load(); {
		case n > 1:
			twice++
		case n == 0:
			never++
		}
	}
	if back.Load() == nil {
		t.Fatal("Redis did not come back")
	}
	t.Logf("%d codes; %d calls failed; first answer %v after the master's death; %d accepted twice, %d consumed without an answer", codes,
		failed.Load(), back.Load().Sub(now).Round(time.Millisecond), twice, never)
	if twice > 0 || never > 4*2 {
		t.Errorf("%d codes were accepted twice, %d never", twice, never)
	}
}
