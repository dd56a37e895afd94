package otp_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/store/redisstore/redistest"
)

// A code that was accepted before its Redis master died is not accepted again
// by the next, if the replica had it. A master answers before it replicates:
// what it answers in its last turn may be lost, which of people who type one
// code after the other is one code each at most.
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
	const people = 4
	var accepted, failed, next atomic.Int64
	order := make([]atomic.Int64, codes) // in which the codes were first accepted
	var killed, back atomic.Pointer[time.Time]
	passed := make([]atomic.Int32, codes)
	var wg sync.WaitGroup
	for range people {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < codes; i = int(next.Add(1)) - 1 {
				for {
					asked := time.Now()
					err := verify(t.Context(), r, all[i])
					if err == nil {
						passed[i].Add(1)
						order[i].Store(accepted.Add(1))
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
	master := redis.NewClient(&redis.Options{Addr: sentinels.Servers[0].Addr}).Conn()
	defer master.Close()
	var replicated int64
	eventually(t, "half of the codes are accepted, and with the replica", func() bool {
		n := accepted.Load()
		if err := master.Set(t.Context(), "mark", n, 0).Err(); err != nil {
			t.Fatal(err)
		}
		if have, err := master.Wait(t.Context(), 1, time.Second).Result(); err == nil && have == 1 {
			replicated = n
		}
		return replicated >= codes/2
	})
	now := time.Now()
	killed.Store(&now)
	sentinels.Servers[0].Kill()
	wg.Wait()
	for i := range all {
		if err := verify(t.Context(), r, all[i]); err == nil {
			passed[i].Add(1)
		}
	}
	twice, never := 0, 0
	for i := range passed {
		switch n := passed[i].Load(); {
		case n > 1:
			twice++
			if n := order[i].Load(); n <= replicated {
				t.Errorf("code %d of those accepted was accepted twice; the replica had %d", n, replicated)
			}
		case n == 0:
			never++
		}
	}
	if back.Load() == nil {
		t.Fatal("Redis did not come back")
	}
	t.Logf("%d codes; %d calls failed; first answer %v after the master's death; %d accepted twice, "+
		"%d consumed without an answer", codes,
		failed.Load(), back.Load().Sub(now).Round(time.Millisecond), twice, never)
	if twice > people || never > people*2 {
		t.Errorf("%d codes were accepted twice, %d never", twice, never)
	}
}
