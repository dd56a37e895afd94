package pull_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/pull"
)

// TestNobodyPolls shows how long a route without a phone takes, and that
// what was given up is never handed out.
func TestNobodyPolls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := twoPhones()
		p := newChannel(t, c)
		phone := poller{t, p, "pixel"}
		phone.poll()
		time.Sleep(20 * time.Second)
		// The phone was here 20 s ago, so it is away in 45.
		wantErr(t, <-send(t.Context(), p, message("one.1")), channel.Temporary, 45*time.Second)
		wantErr(t, <-send(t.Context(), p, message("two.1")), channel.Temporary, 0)
		wantIDs(t, phone.poll())

		// A phone that polls, but gets only what others had waited for longer,
		// does not make anyone wait for more than Wait.
		time.Sleep(10 * time.Second)
		ctx, cancel := context.WithCancel(t.Context())
		var crowd []<-chan sent
		for i := range 60 {
			crowd = append(crowd, send(ctx, p, message(fmt.Sprintf("crowd.%d", i))))
		}
		last := send(t.Context(), p, message("last.1"))
		time.Sleep(30 * time.Second)
		if n := len(phone.poll()); n != 20 {
			t.Errorf("%d messages in one answer", n)
		}
		time.Sleep(30 * time.Second)
		phone.poll(idsOf("crowd", 0, 20, "PENDING")...)
		wantErr(t, <-last, channel.Temporary, 65*time.Second)
		cancel()
		for i, done := range crowd {
			if s := <-done; (s.err == nil) != (i < 40) {
				t.Errorf("crowd %d: %v", i, s.err)
			}
		}
		wantIDs(t, poller{t, p, "nokia"}.poll())

		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		s := <-send(ctx, p, message("three.1"))
		wantErr(t, s, channel.Temporary, time.Second)
		if !errors.Is(s.err, context.DeadlineExceeded) {
			t.Errorf("%v", s.err)
		}
	})
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := twoPhones()
		p := newChannel(t, c)
		phone := poller{t, p, "pixel"}
		lasts := func(id string, life time.Duration) *channel.Message {
			m := message(id)
			m.Expires = time.Now().Add(life)
			return m
		}
		wantErr(t, <-send(t.Context(), p, lasts("short.1", 5*time.Second-1)), channel.Expired, 0)
		wantErr(t, <-send(t.Context(), p, lasts("one.1", 30*time.Second)), channel.Expired, 25*time.Second)

		done := send(t.Context(), p, lasts("two.1", 30*time.Second))
		time.Sleep(25*time.Second - time.Nanosecond)
		wantIDs(t, phone.poll(), "two.1") // just in time
		<-done

		// An answer that was lost is repeated, but not for ever.
		phone.poll("two.1 PENDING")
		done = send(t.Context(), p, lasts("three.1", 2*time.Minute))
		wantIDs(t, phone.poll(), "three.1")
		<-done
		time.Sleep(115 * time.Second)
		wantIDs(t, phone.poll())

		m := message("eternal.1")
		m.Expires = time.Time{}
		done = send(t.Context(), p, m)
		wantIDs(t, phone.poll(), "eternal.1")
		<-done
		time.Sleep(299 * time.Second)
		wantIDs(t, phone.poll(), "eternal.1")
		time.Sleep(time.Hour)
		wantIDs(t, phone.poll())
	})
}

func TestCancelAndClose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := twoPhones()
		c.MaxQueue = 2
		p := newChannel(t, c)
		l := &line{Handler: p}
		phone := poller{t, l, "pixel"}
		one, two := send(t.Context(), p, message("one.1")), send(t.Context(), p, message("two.1"))
		wantErr(t, <-send(t.Context(), p, message("three.1")), channel.Throttled, 0)
		canceler, ok := channel.As[channel.Canceler](p)
		if !ok {
			t.Fatal("no Canceler")
		}
		if err := canceler.Cancel(t.Context(), message("one.1"), channel.Submission{}); err != nil {
			t.Error(err)
		}
		wantErr(t, <-one, channel.Temporary, 0)
		wantIDs(t, phone.poll(), "two.1")
		if s := <-two; s.err != nil {
			t.Error(s.err)
		}
		for _, id := range []string{"one.1", "two.1", "never.1"} {
			if err := canceler.Cancel(t.Context(), message(id), channel.Submission{}); err == nil {
				t.Errorf("%s: cancelled", id)
			}
		}
		time.Sleep(31 * time.Second)
		wantIDs(t, phone.poll()) // not handed out again either

		l.set(true, nil)
		doubted := send(t.Context(), p, message("doubted.1"))
		phone.poll()
		l.set(false, nil)
		waits := send(t.Context(), p, message("waits.1"))
		for range 2 {
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		}
		for done, class := range map[<-chan sent]channel.Class{
			waits: channel.Temporary, doubted: channel.Unknown,
			send(t.Context(), p, message("late.1")): channel.Temporary,
		} {
			s := <-done
			wantErr(t, s, class, 0)
			if !errors.Is(s.err, pull.ErrClosed) {
				t.Errorf("%v is not ErrClosed", s.err)
			}
		}
		if status, _ := phone.tryPoll(); status != 503 {
			t.Errorf("status %d", status)
		}
	})
}
