package smpp_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/peertest"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// frontEnd answers everything but submit_sm, and those too if alive.
func (p *peer) frontEnd(alive func(n int) bool) {
	p.bindAs()
	n := 0
	for f := p.Next(); f.ID != 0; f = p.Next() {
		switch {
		case f.ID == pdu.SubmitSmID:
			if n++; alive(n) {
				_, _ = p.Write(accept(f, "m1"))
			}
		case !f.IsResponse():
			_, _ = p.Write(peertest.Answer(f))
		}
	}
}

// A front end answers enquire_link for a back end that is dead: the session is
// replaced, which finds the other node.
func TestUnansweredSubmitsReplaceTheSession(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ most, unknown int }{"by default": {0, 3}, "after one": {1, 1}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				told := &events{}
				config := peers(t, func(p *peer, n int) { p.frontEnd(func(int) bool { return n > 1 }) })
				config.MaxUnanswered, config.Event = tt.most, told.handle
				c := newClient(t, config)
				for i := range 10 {
					_, err := c.Send(t.Context(), message(ann, "482910"))
					if i < tt.unknown {
						wantClass(t, err, channel.Unknown, "")
					} else if err != nil {
						t.Errorf("message %d: %v", i, err)
					}
				}
				synctest.Wait()
				want := []smpp.EventKind{smpp.EventBound, smpp.EventUnanswered, smpp.EventLost, smpp.EventBound}
				got := told.kinds()
				if len(got) != len(want) {
					t.Fatalf("events are %v, want %v", got, want)
				}
				for i := range want {
					if got[i] != want[i] {
						t.Errorf("events are %v, want %v", got, want)
					}
				}
			})
		})
	}
}

// Single messages without a response do not cost the session.
func TestSomeUnansweredKeepTheSession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		binds := 0
		c := newClient(t, peers(t, func(p *peer, _ int) {
			binds++
			p.frontEnd(func(n int) bool { return n%3 == 0 })
		}))
		for range 30 {
			_, _ = c.Send(t.Context(), message(ann, "482910"))
		}
		if binds != 1 {
			t.Errorf("%d binds, want 1", binds)
		}
	})
}

// Responses that come too late are a sign of life.
func TestLateResponsesKeepTheSession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		binds := 0
		config := peers(t, func(p *peer, _ int) {
			binds++
			p.bindAs()
			for f := p.Next(); f.ID != 0; f = p.Next() {
				answer := peertest.Answer(f)
				if f.ID == pdu.SubmitSmID {
					time.Sleep(11 * time.Second)
					answer = accept(f, "m1")
				}
				_, _ = p.Write(answer)
			}
		})
		config.EnquireLink = time.Hour
		c := newClient(t, config)
		for range 30 {
			_, err := c.Send(t.Context(), message(ann, "482910"))
			wantClass(t, err, channel.Unknown, "")
			time.Sleep(2 * time.Second)
		}
		if binds != 1 {
			t.Errorf("%d binds, want 1", binds)
		}
	})
}

// An SMSC that ignores enquire_link but sends receipts is alive.
func TestTrafficIsASignOfLife(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		binds := 0
		config := peers(t, func(p *peer, _ int) {
			binds++
			p.bindAs()
			go func() {
				for i := range uint32(600) {
					time.Sleep(6 * time.Second)
					if _, err := p.Write(deliver(i+1, "m1")); err != nil {
						return
					}
				}
			}()
			for f := p.Next(); f.ID != 0; f = p.Next() {
				if f.ID == pdu.UnbindID {
					_, _ = p.Write(peertest.Answer(f))
				}
			}
		})
		c := newClient(t, config)
		ready(t, c)
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		if binds != 1 {
			t.Errorf("%d binds, want 1", binds)
		}
		_ = c.Close()
		time.Sleep(6 * time.Second) // the peer's last receipt
	})
}

// An SMSC that ends a session after 30 s of silence keeps it, by default.
func TestEnquireLinkIsWithinHalfOfThirtySeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		last, longest := time.Now(), time.Duration(0)
		c := newClient(t, peers(t, func(p *peer, _ int) {
			p.bindAs()
			last = time.Now()
			for f := p.Next(); f.ID != 0; f = p.Next() {
				longest = max(longest, time.Since(last))
				last = time.Now()
				_, _ = p.Write(wire.AppendEmpty(nil, f.Response(), 0, f.Seq))
			}
		}))
		ready(t, c)
		time.Sleep(time.Hour)
		synctest.Wait()
		if longest == 0 || longest >= 15*time.Second {
			t.Errorf("silent for %v", longest)
		}
	})
}
