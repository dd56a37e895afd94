package smpp_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ajankovic/smpp/pdu"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
	"github.com/otpcourier/otpcourier/smpp/smpptest"
)

// A response after ResponseTimeout, or after the Send's ctx, tells its message_id:
// so its receipt belongs to the message.
func TestLateResponseReportsItsMessageID(t *testing.T) {
	t.Parallel()
	for name, wait := range map[string]time.Duration{"after ResponseTimeout": time.Hour, "after ctx": time.Second} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				got, told := newReceipts(), &events{}
				s, c := newPipe(t, smpptest.Config{}, func(c *smpp.Config) {
					c.Receipt, c.Event = got.handle, told.handle
				})
				s.On(ann, smpptest.Reply{Delay: 12 * time.Second, ID: "late",
					Receipt: smpptest.Receipt{Delay: time.Minute}})
				ctx, cancel := context.WithTimeout(t.Context(), wait)
				defer cancel()
				_, err := c.Send(ctx, message(ann, "482910"))
				wantClass(t, err, channel.Unknown, "")
				time.Sleep(2 * time.Minute)
				synctest.Wait()
				want := []channel.Receipt{
					{ProviderID: "late", MessageID: "c.1", State: channel.Sent, Code: "0x00"},
					{ProviderID: "late", MessageID: "c.1", State: channel.Delivered, Code: "DELIVRD err:000"},
				}
				if diff := cmp.Diff(want, got.got, cmpopts.IgnoreFields(channel.Receipt{}, "At")); diff != "" {
					t.Errorf("receipts (-want +got):\n%s", diff)
				}
				if n := c.State().Total.Unmatched; n != 0 {
					t.Errorf("%d are unmatched", n)
				}
			})
		})
	}
}

// last returns the last event of a kind.
func (e *events) last(kind smpp.EventKind) (v smpp.Event, n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, all := range e.all {
		if all.Kind == kind {
			v = all
			n++
		}
	}
	return v, n
}

// A receipt that matches nothing is counted and told, with the reason if it shows.
func TestUnmatchedReceiptIsReported(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, submitted, receipted, hint string // no hint: it is matched
	}{
		{"same", "m123456", "m123456", ""},
		{"another", "m123456", "m654321", "no message of this client"},
		{"hexadecimal, then decimal", "1A2B3C4D", "0439041101", "SubmitIDs to IDHex and ReceiptIDs to IDDecimal"},
		{"lower hexadecimal, then decimal", "1a2b3c4d", "439041101", "SubmitIDs to IDHex and ReceiptIDs to IDDecimal"},
		{"decimal, then hexadecimal", "439041101", "1A2B3C4D", "SubmitIDs to IDDecimal and ReceiptIDs to IDHex"},
		{"padded decimal, then hexadecimal", "0439041101", "1a2b3c4d",
			"SubmitIDs to IDDecimal and ReceiptIDs to IDHex"},
		{"leading zeros", "001a2b3c", "1A2B3C", "SubmitIDs to IDHex and ReceiptIDs to IDHex"},
		{"case", "AbC-deFg", "abc-defg", "no message of this client"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				got, told := newReceipts(), &events{}
				s, c := newPipe(t, smpptest.Config{}, func(c *smpp.Config) {
					c.Receipt, c.Event = got.handle, told.handle
				})
				s.On(ann, smpptest.Reply{ID: tt.submitted, Receipt: smpptest.Receipt{ID: tt.receipted, Early: true}})
				if _, err := c.Send(t.Context(), message(ann, "482910")); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				e, n := told.last(smpp.EventUnmatched)
				if want := min(len(tt.hint), 1); n != want || c.State().Total.Unmatched != uint64(want) {
					t.Fatalf("%d events, %d counted, want %d", n, c.State().Total.Unmatched, want)
				}
				if !strings.Contains(e.Hint, tt.hint) || strings.Contains(e.MessageID, tt.receipted) {
					t.Errorf("event is %+v, want a hint with %q", e, tt.hint)
				}
				if len(got.got) != 1 {
					t.Errorf("%d receipts were handed over", len(got.got))
				}
			})
		})
	}
}

// Of two nodes that number messages alike, each id that comes again is told.
func TestMessageIDCollisionIsReported(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		told := &events{}
		config := peers(t, func(p *peer, _ int) {
			p.bindAs()
			for i := 0; ; i++ {
				f, ok := p.Await(pdu.SubmitSmID)
				if !ok {
					return
				}
				_, _ = p.Write(accept(f, fmt.Sprintf("m%06d", i)))
			}
		})
		config.Addrs, config.Event = []string{"b.example:2775"}, told.handle
		config.Receipt = newReceipts().handle
		c := newClient(t, config)
		synctest.Wait()
		for range 10 {
			if _, err := c.Send(t.Context(), message(ann, "482910")); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		e, n := told.last(smpp.EventCollision)
		if n != 5 || c.State().Total.Collisions != 5 || e.Addr == "" || strings.Contains(e.MessageID, "m000004") {
			t.Errorf("%d events, the last %+v; %d counted, want 5", n, e, c.State().Total.Collisions)
		}
	})
}

// State counts what passed over each bind, and over all.
func TestStateCounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		got := newReceipts()
		s, c := newPipe(t, smpptest.Config{}, func(c *smpp.Config) {
			c.Binds, c.Receipt, c.Window, c.MaxUnanswered = 2, got.handle, 5, 100
		})
		synctest.Wait()
		s.Next(1, smpptest.Reply{Status: smpp.StatusThrottled})
		s.Next(2, smpptest.Reply{Status: smpp.StatusInvalidDestination})
		s.Next(1, smpptest.Reply{Status: 0x4FF})
		s.Next(1, smpptest.Reply{Receipt: smpptest.Receipt{Stat: "UNDELIV"}})
		s.Next(1, smpptest.Reply{Receipt: smpptest.Receipt{Stat: "BUFFERED", TextOnly: true}})
		s.Next(1, smpptest.Reply{Stall: true})
		for i := range 10 {
			_, _ = c.Send(t.Context(), message(numbered(i), "482910"))
			synctest.Wait()
		}
		s.Disconnect()
		synctest.Wait()
		time.Sleep(time.Minute)
		s.Next(1, smpptest.Reply{Delay: 5 * time.Second})
		go func() { _, _ = c.Send(t.Context(), message(ann, "482910")) }()
		time.Sleep(time.Second)
		synctest.Wait()
		want := smpp.Counters{
			Submitted: 11, Unanswered: 1, Throttled: 1, Rebinds: 2, WindowUsed: 1,
			Answered: map[smpp.Status]uint64{smpp.StatusOK: 5, smpp.StatusThrottled: 1,
				smpp.StatusInvalidDestination: 2, 0x4FF: 1},
			Receipts: map[smpp.MessageState]uint64{smpp.MessageDelivered: 3, smpp.MessageUndeliverable: 1, 10: 1},
		}
		st := c.State()
		if diff := cmp.Diff(want, st.Total, cmpopts.IgnoreFields(smpp.Counters{}, "PerSecond")); diff != "" {
			t.Errorf("in total (-want +got):\n%s", diff)
		}
		if a, b := st.Sessions[0].Count, st.Sessions[1].Count; a.Submitted+b.Submitted != 11 ||
			a.Rebinds != 1 || b.Rebinds != 1 {
			t.Errorf("binds: %+v and %+v", a, b)
		}
	})
}

// PerSecond is the number of requests in the last whole second.
func TestStateRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, c := newPipe(t, smpptest.Config{}, nil)
		ready(t, c)
		for i := range 40 {
			if _, err := c.Send(t.Context(), message(numbered(i), "482910")); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second / 10)
		}
		if n := c.State().Total.PerSecond; n < 9 || n > 11 {
			t.Errorf("%v messages a second, want 10", n)
		}
		time.Sleep(3 * time.Second)
		if n := c.State().Total.PerSecond; n != 0 {
			t.Errorf("%v messages a second, want none", n)
		}
	})
}

// Shutdown does not wait for the response to a receipt that matches nothing.
func TestShutdownBesideUnmatchedReceipt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		got := newReceipts()
		config := peers(t, func(p *peer, _ int) {
			p.bind()
			_, _ = p.Write(deliver(1, "m999999"))
			for f := p.Next(); f.ID != 0; f = p.Next() {
				if !f.IsResponse() {
					_, _ = p.Write(wire.AppendEmpty(nil, f.Response(), 0, f.Seq))
				}
			}
		})
		config.Receipt = got.handle
		c := newClient(t, config)
		ready(t, c)
		synctest.Wait()
		began := time.Now()
		if err := c.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		took(t, began, 0)
		if len(got.got) != 1 {
			t.Errorf("%d receipts", len(got.got))
		}
	})
}
