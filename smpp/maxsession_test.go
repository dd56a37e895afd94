package smpp_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/smpptest"
)

// A session that stood long is replaced at once, and nothing is lost: 24 h is
// a limit of OTP Blue's integration guide.
func TestMaxSessionDuration(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, c := newPipe(t, smpptest.Config{}, nil)
		ready(t, c)
		for range 3 {
			time.Sleep(24 * time.Hour)
			s.Disconnect()
			synctest.Wait() // a message on its way at that very moment is lost
			began := time.Now()
			if _, err := c.Send(t.Context(), message(ann, "482910")); err != nil {
				t.Error(err)
			}
			took(t, began, 0)
		}
		if n := len(s.Messages()); n != 3 {
			t.Errorf("%d messages, want 3", n)
		}
	})
}

// Binds that began together do not end together.
func TestMaxSessionIsSpread(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var ages []time.Duration
		began := time.Now()
		_, c := newPipe(t, smpptest.Config{}, func(c *smpp.Config) {
			c.Binds, c.MaxSession = 10, time.Hour
			c.Event = func(e smpp.Event) {
				if e.Kind == smpp.EventLost {
					ages = append(ages, time.Since(began))
				}
			}
		})
		ready(t, c)
		time.Sleep(time.Hour + time.Second)
		synctest.Wait()
		slices.Sort(ages)
		if len(ages) != 10 || ages[0] < time.Hour*99/100 || ages[9] > time.Hour || len(slices.Compact(ages)) < 2 {
			t.Errorf("sessions ended after %v", ages)
		}
	})
}

// Before the SMSC cuts a session off it is replaced, again and again, and no
// message notices.
func TestMaxSession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		told := &events{}
		s, c := newPipe(t, smpptest.Config{}, func(c *smpp.Config) { c.Event, c.Binds = told.handle, 2 })
		s.Handle(func(smpptest.Submit) smpptest.Reply { return smpptest.Reply{Delay: time.Second} })
		ready(t, c)
		began := time.Now()
		var wg sync.WaitGroup
		for i := range 3 * 24 * 3600 / 30 { // one every 30 s for three days, of which each takes a second
			wg.Go(func() {
				if _, err := c.Send(context.Background(), message(numbered(i), "482910")); err != nil {
					t.Errorf("after %v: %v", time.Since(began), err)
				}
			})
			time.Sleep(30 * time.Second)
		}
		wg.Wait()
		binds := s.Binds()
		if len(binds) != 8 {
			t.Errorf("%d binds in three days, want 8", len(binds))
		}
		for i, b := range binds[2:] {
			if d := b.At.Sub(binds[i].At); d > 24*time.Hour-4*time.Minute || d < 23*time.Hour+30*time.Minute {
				t.Errorf("a session stood %v", d)
			}
		}
		if got := told.kinds(); len(got) != 2+2*6 {
			t.Errorf("events are %v", got)
		}
	})
}

// The session that is replaced answers what it has taken first.
func TestMaxSessionDrains(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, c := newPipe(t, smpptest.Config{}, func(c *smpp.Config) { c.MaxSession, c.Window = time.Minute, 1 })
		s.On(ann, smpptest.Reply{Delay: 4 * time.Second}, smpptest.Reply{})
		ready(t, c)
		time.Sleep(59 * time.Second)
		var wg sync.WaitGroup
		for range 3 { // one outstanding, two in the queue
			wg.Go(func() {
				if _, err := c.Send(context.Background(), message(ann, "482910")); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		wg.Wait()
		conns := []int{}
		for _, m := range s.Submits() {
			conns = append(conns, m.Conn)
		}
		if !slices.Equal(conns, []int{1, 2, 2}) {
			t.Errorf("messages went over connections %v, want 1 2 2", conns)
		}
	})
}

// A message that the SMSC does not answer holds up the session's replacement,
// but the messages behind it are not lost for that.
func TestMaxSessionUnanswered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, c := newPipe(t, smpptest.Config{}, func(c *smpp.Config) {
			c.MaxSession, c.ResponseTimeout = 100*time.Second,
				time.Minute
		})
		s.On(ann, smpptest.Reply{Stall: true})
		ready(t, c)
		time.Sleep(98 * time.Second)
		began := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := c.Send(context.Background(), message(ann, "482910"))
			wantClass(t, err, channel.Unknown, "")
		})
		time.Sleep(3 * time.Second)
		if _, err := c.Send(t.Context(), message(numbered(1), "482910")); err != nil {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		took(t, began, time.Minute)
		wg.Wait()
	})
}
