package pull_test

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/pull"
)

func TestSend(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, receipts := twoPhones()
		p := newChannel(t, c)
		phone, other := poller{t, p, "pixel"}, poller{t, p, "nokia"}
		done := send(t.Context(), p, message("c4n7.1"))
		none(t, done)
		if status, _, _ := phone.request(http.MethodGet, ""); status != 200 {
			t.Errorf("GET: %d", status)
		}
		none(t, done) // looking whether the server is there takes nothing
		m := message("c4n7.1")
		if diff := cmp.Diff([]handed{{"c4n7.1", m.To.Phone, m.Text}}, phone.poll()); diff != "" {
			t.Error(diff)
		}
		if s := <-done; s.err != nil || s.State != channel.Sent || !slices.Equal(s.ProviderIDs, []string{"c4n7.1"}) {
			t.Errorf("%+v", s)
		}
		wantIDs(t, other.poll())
		wantIDs(t, phone.poll("c4n7.1 PENDING"))
		// The other phone knows nothing of it; whatever comes again or goes
		// backwards is not told.
		other.poll("c4n7.1 DELIVERED")
		phone.poll("c4n7.1 SENT", "c4n7.1 SENT")
		phone.poll("c4n7.1 FAILED generic; errorCode=38", "c4n7.1 SENT")
		r, code := receipts.last, "generic; errorCode=38"
		if r.Class != channel.Unreachable || r.Code != code || r.ProviderID != "c4n7.1" || r.At.IsZero() {
			t.Errorf("failed: %+v", r)
		}
		phone.poll("c4n7.1 DELIVERED", "c4n7.1 FAILED late", "c4n7.1 DELIVERED")
		// From before a restart; nonsense; and reasons that say too much.
		phone.poll("before.1 DELIVERED", "before.2 PENDING")
		phone.poll("x\ny DELIVERED", " SENT", "before.3 LOST", strings.Repeat("x", 37)+" SENT")
		phone.poll("before.4 FAILED no route to +447700900123")
		if receipts.last.Code != "FAILED" {
			t.Errorf("code %q", receipts.last.Code)
		}
		want := []string{"c4n7.1 sent", "c4n7.1 failed", "c4n7.1 delivered", "before.1 delivered", "before.4 failed"}
		if diff := cmp.Diff(want, receipts.got); diff != "" {
			t.Error(diff)
		}
		if s := <-send(t.Context(), p, message("c4n7.1")); s.err != nil || s.took != 0 {
			t.Errorf("again: %+v", s)
		}
		wantIDs(t, phone.poll())
	})
}

func TestSameMessage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := twoPhones()
		p := newChannel(t, c)
		phone := poller{t, p, "pixel"}
		ctx, cancel := context.WithCancel(t.Context())
		one, again := send(ctx, p, message("one.1")), send(t.Context(), p, message("one.1"))
		cancel()
		wantErr(t, <-one, channel.Unknown, 0) // the other Send still waits for it
		none(t, again)
		wantIDs(t, phone.poll(), "one.1")
		if s := <-again; s.err != nil {
			t.Error(s.err)
		}
	})
}

// TestManyPhones has every message handed out once, to one phone.
func TestManyPhones(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const phones, messages = 8, 500
		c := pull.Config{MaxQueue: messages}
		for i := range phones {
			c.Phones = append(c.Phones, pull.Phone{ID: fmt.Sprint("phone-", i), Password: secret})
		}
		p := newChannel(t, c)
		var sends []<-chan sent
		for i := range messages {
			done := make(chan sent, 1)
			sends = append(sends, done)
			go func() {
				s, err := p.Send(t.Context(), message(fmt.Sprint("m.", i)))
				done <- sent{s, err, 0}
			}()
		}
		synctest.Wait()
		var mu sync.Mutex
		times := make(map[string]int)
		var wg sync.WaitGroup
		for i := range phones {
			wg.Go(func() {
				phone := poller{t, p, fmt.Sprint("phone-", i)}
				var updates []string
				for range messages/phones/20 + 2 {
					got := phone.poll(updates...)
					updates = nil
					mu.Lock()
					for _, m := range got {
						times[m.ID]++
						updates = append(updates, m.ID+" SENT")
					}
					mu.Unlock()
					time.Sleep(time.Second)
				}
			})
		}
		wg.Wait()
		for i, done := range sends {
			if s := <-done; s.err != nil {
				t.Errorf("%d: %v", i, s.err)
			}
			if n := times[fmt.Sprint("m.", i)]; n != 1 {
				t.Errorf("m.%d was handed out %d times", i, n)
			}
		}
	})
}

func BenchmarkSend(b *testing.B) {
	c, _ := twoPhones()
	p := newChannel(b, c)
	phone := poller{b, p, "pixel"}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		done := make(chan error, 1)
		go func() {
			_, err := p.Send(b.Context(), message(fmt.Sprint("m.", i)))
			done <- err
		}()
		for len(phone.poll(fmt.Sprint("m.", i-1)+" SENT")) == 0 {
			runtime.Gosched()
		}
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
}

// TestForgets shows that what is kept of messages is bounded.
func TestForgets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := twoPhones()
		p := newChannel(t, c)
		phone := poller{t, p, "pixel"}
		for i := range 10_001 {
			done := make(chan error, 1)
			go func() {
				_, err := p.Send(t.Context(), message(fmt.Sprint("m.", i)))
				done <- err
			}()
			synctest.Wait()
			phone.poll(fmt.Sprint("m.", i-1) + " PENDING")
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
		if s := <-send(t.Context(), p, message("m.1")); s.err != nil || s.took != 0 {
			t.Errorf("m.1: %v", s.err)
		}
		forgotten := send(t.Context(), p, message("m.0"))
		none(t, forgotten)
		wantIDs(t, phone.poll(), "m.0")
		<-forgotten
	})
}
