package smpp_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
	"github.com/otpcourier/otpcourier/smpp/smpptest"
)

func TestUnbindFromSMSC(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, c := newPipe(t, smpptest.Config{}, nil)
		s.On(ann, smpptest.Reply{Delay: time.Second}, smpptest.Reply{})
		sent := make(chan error, 1)
		go func() {
			_, err := c.Send(context.Background(), message(ann, "482910"))
			sent <- err
		}()
		synctest.Wait()
		s.Unbind() // closes when answered, with one outstanding
		wantClass(t, <-sent, channel.Unknown, "")
		if _, err := c.Send(t.Context(), message(ann, "482910")); err != nil {
			t.Errorf("over the next session: %v", err)
		}
		if n := len(s.Binds()); n != 2 {
			t.Errorf("%d binds, want 2", n)
		}
	})
}

// An SMSC that unbinds and still answers what is outstanding is listened to.
func TestUnbindThenResponse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan time.Time, 1)
		c := newClient(t, peers(t, func(p *peer, _ int) {
			p.bind()
			f, ok := p.Await(pdu.SubmitSmID)
			if !ok {
				return
			}
			_, _ = p.Write(wire.AppendEmpty(nil, pdu.UnbindID, 0, 1))
			if _, ok := p.Await(pdu.UnbindRespID); ok {
				time.Sleep(time.Second)
				_, _ = p.Write(accept(f, "m1"))
			}
			p.Drain() // until the client closes: the SMSC has had its say
			ended <- time.Now()
		}))
		began := time.Now()
		sub, err := c.Send(t.Context(), message(ann, "482910"))
		if err != nil || sub.ProviderIDs[0] != "m1" {
			t.Errorf("Send: %v, %v", sub, err)
		}
		if d := (<-ended).Sub(began); d != time.Second {
			t.Errorf("the client closed after %v, want at once when nothing was outstanding", d)
		}
	})
}

// The SMSC unbinds with a full window, answers half of it, and closes: half is
// sent, half unknown, and what waited behind goes over the next session.
func TestUnbindMidWindow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const window, behind = 10, 5
		config := peers(t, func(p *peer, n int) {
			p.bind()
			if n > 1 {
				for f, ok := p.Await(pdu.SubmitSmID); ok; f, ok = p.Await(pdu.SubmitSmID) {
					_, _ = p.Write(accept(f, "second"))
				}
				return
			}
			var all []wire.Frame
			for range window {
				f, _ := p.Await(pdu.SubmitSmID)
				all = append(all, f)
			}
			_, _ = p.Write(wire.AppendEmpty(nil, pdu.UnbindID, 0, 1))
			p.Await(pdu.UnbindRespID)
			for _, f := range all[:window/2] {
				_, _ = p.Write(accept(f, "first"))
			}
			time.Sleep(time.Second)
		})
		c := newClient(t, config)
		ready(t, c)
		var mu sync.Mutex
		counts := map[string]int{}
		var wg sync.WaitGroup
		for i := range window + behind {
			wg.Go(func() {
				sub, err := c.Send(context.Background(), message(numbered(i), "482910"))
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					counts[channel.ClassOf(err).String()]++
				} else {
					counts[sub.ProviderIDs[0]]++
				}
			})
		}
		wg.Wait()
		if counts["first"] != window/2 || counts["unknown"] != window/2 || counts["second"] != behind {
			t.Errorf("outcomes are %v", counts)
		}
	})
}
