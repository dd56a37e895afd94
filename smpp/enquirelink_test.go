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
	"github.com/otpcourier/otpcourier/smpp/smpptest"
)

func TestEnquireLinkKeepsSession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var links int
		c := newClient(t, peers(t, func(p *peer, _ int) {
			p.bind()
			for f := p.Next(); f.ID != 0; f = p.Next() {
				if f.ID == pdu.EnquireLinkID {
					links++
					_, _ = p.Write(wire.AppendEmpty(nil, f.Response(), 0, f.Seq))
				}
			}
		}))
		ready(t, c)
		time.Sleep(time.Hour + time.Second)
		synctest.Wait()
		if links != 257 {
			t.Errorf("%d enquire_link in an hour, want 257", links)
		}
	})
}

func TestEnquireLinkUnanswered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var binds []time.Time
		c := newClient(t, peers(t, func(p *peer, _ int) {
			p.bind()
			binds = append(binds, time.Now())
			p.Drain()
		}))
		ready(t, c)
		began := time.Now()
		_, err := c.Send(t.Context(), message(ann, "482910")) // does not count as an answer either
		wantClass(t, err, channel.Unknown, "")
		time.Sleep(time.Minute - time.Since(began))
		synctest.Wait()
		if len(binds) < 2 || binds[1].Sub(binds[0])/time.Second != 24 { // after a pause of 0.75 s at most
			t.Errorf("binds at %v, want a second one 24 s after the first", binds)
		}
	})
}

// A full window must not keep enquire_link from being sent.
func TestEnquireLinkBesideFullWindow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, c := newPipe(t, smpptest.Config{}, func(c *smpp.Config) {
			c.Window, c.ResponseTimeout, c.EnquireLink = 1, time.Hour, time.Minute
		})
		s.On(ann, smpptest.Reply{Delay: 50 * time.Minute})
		if _, err := c.Send(t.Context(), message(ann, "482910")); err != nil {
			t.Error(err)
		}
		if n := len(s.Binds()); n != 1 {
			t.Errorf("%d binds, want 1", n)
		}
	})
}

// A connection whose other end is gone without a word: what is outstanding is
// unknown after ResponseTimeout, the connection is given up after an
// enquire_link, and the next one serves.
func TestHalfOpen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var gone time.Time
		var second time.Duration
		config := peers(t, func(p *peer, n int) {
			p.bind()
			if n > 1 {
				second = time.Since(gone)
			}
			for f := p.Next(); f.ID != 0; f = p.Next() {
				switch {
				case n == 1 && !gone.IsZero(): // it reads, as a network's buffers do, and that is all
				case f.ID == pdu.SubmitSmID:
					_, _ = p.Write(accept(f, "m1"))
				case !f.IsResponse():
					_, _ = p.Write(peertest.Answer(f))
				}
			}
		})
		c := newClient(t, config)
		if _, err := c.Send(t.Context(), message(ann, "482910")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(70 * time.Second) // four enquire_link were answered
		synctest.Wait()
		gone = time.Now()
		_, err := c.Send(t.Context(), message(ann, "482910"))
		wantClass(t, err, channel.Unknown, "")
		took(t, gone, 10*time.Second)
		time.Sleep(time.Minute - time.Since(gone))
		if _, err := c.Send(t.Context(), message(ann, "482910")); err != nil {
			t.Error(err)
		}
		if second != 24*time.Second { // the enquire_link at 84 s, unanswered for 10 s
			t.Errorf("bound again after %v, want 24 s", second)
		}
	})
}
