package smpp_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/smpptest"
)

func TestExpiresWhileWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, c := newPipe(t, smpptest.Config{}, func(c *smpp.Config) { c.Window = 1 })
		s.On(ann, smpptest.Reply{Stall: true}, smpptest.Reply{})
		go func() { _, _ = c.Send(context.Background(), message(ann, "482910")) }()
		synctest.Wait()
		m := message(ann, "482910")
		m.Expires = time.Now().Add(5 * time.Second)
		_, err := c.Send(t.Context(), m)
		wantClass(t, err, channel.Expired, "")
		if n := len(s.Submits()); n != 1 {
			t.Errorf("%d submit_sm, want 1", n)
		}
	})
}

// A message that finds no bind waits no longer than it lives.
func TestExpiresUnbound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, peers(t, func(p *peer, _ int) { p.Drain() }))
		for _, life := range []time.Duration{-time.Second, 0, 3 * time.Second} {
			m := message(ann, "482910")
			m.Expires = time.Now().Add(life)
			began := time.Now()
			_, err := c.Send(t.Context(), m)
			wantClass(t, err, channel.Expired, "")
			took(t, began, max(life, 0))
		}
	})
}
