package smpp_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/smpptest"
)

// TestSendUntil: a Send ends at its time wherever it waits, and the class tells whether
// the message may have been sent. A message that expires earlier ends its Send then.
func TestSendUntil(t *testing.T) {
	t.Parallel()
	const half = 500 * time.Millisecond
	for name, row := range map[string]struct {
		window, tps int // 1: another message has taken it
		refuse      bool
		until, life time.Duration
		want        channel.Class
		took        time.Duration
	}{
		"response":            {until: half, life: time.Minute, want: channel.Unknown, took: half},
		"window":              {window: 1, until: half, life: time.Minute, want: channel.Temporary, took: half},
		"rate":                {tps: 1, until: half, life: time.Minute, want: channel.Throttled},
		"bind":                {refuse: true, until: half, life: time.Minute, want: channel.Temporary, took: half},
		"past":                {until: -half, life: time.Minute, want: channel.Temporary},
		"response of expired": {until: 2 * half, life: half, want: channel.Unknown, took: half},
		"window of expired":   {window: 1, until: 2 * half, life: half, want: channel.Expired, took: half},
		"rate of expired":     {tps: 1, until: 2 * half, life: half, want: channel.Throttled},
		"bind of expired":     {refuse: true, until: 2 * half, life: half, want: channel.Expired, took: half},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, c := newPipe(t, smpptest.Config{Handler: func(smpptest.Submit) smpptest.Reply {
					return smpptest.Reply{Stall: true}
				}}, func(c *smpp.Config) { c.Window, c.TPS = row.window, row.tps })
				if row.refuse {
					s.RefuseBinds(smpp.StatusSystemError)
				}
				ctx, cancel := context.WithCancel(t.Context())
				var first sync.WaitGroup
				defer first.Wait()
				defer cancel()
				if row.window+row.tps > 0 {
					first.Go(func() { _, _ = c.Send(ctx, message(numbered(1), "482910")) })
					waitSubmits(t, s, 1)
				}
				began := time.Now()
				m := message(numbered(2), "482910")
				m.Expires = began.Add(row.life)
				_, err := c.SendUntil(ctx, m, began.Add(row.until))
				if channel.ClassOf(err) != row.want || row.until < row.life && row.tps == 0 &&
					!errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%v, want %v", err, row.want)
				}
				took(t, began, row.took)
			})
		})
	}
}

// TestResponseTimeoutOfSendUntil: a Send whose time ends with the response timeout needs no
// timer, and returns then.
func TestResponseTimeoutOfSendUntil(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, c := newPipe(t, smpptest.Config{}, nil)
		s.On(ann, smpptest.Reply{Stall: true})
		ready(t, c)
		began := time.Now()
		_, err := c.SendUntil(t.Context(), message(ann, "482910"), began.Add(10*time.Second-time.Millisecond))
		wantClass(t, err, channel.Unknown, "")
		took(t, began, 10*time.Second)
	})
}
