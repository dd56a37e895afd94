package smpp_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/smpptest"
)

func TestResponseTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, c := newPipe(t, smpptest.Config{}, func(c *smpp.Config) { c.Window = 1 })
		s.On(ann, smpptest.Reply{Stall: true}, smpptest.Reply{})
		began := time.Now()
		_, err := c.Send(t.Context(), message(ann, "482910"))
		wantClass(t, err, channel.Unknown, "")
		took(t, began, 10*time.Second)
		if _, err := c.Send(t.Context(), message(ann, "482910")); err != nil {
			t.Errorf("the slot was not given back: %v", err)
		}
		took(t, began, 10*time.Second)
	})
}

func TestLateResponseIsIgnored(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, c := newPipe(t, smpptest.Config{}, func(c *smpp.Config) { c.Window = 1 })
		s.On(ann, smpptest.Reply{Delay: 11 * time.Second, ID: "late"},
			smpptest.Reply{Delay: 5 * time.Second, ID: "own"})
		_, err := c.Send(t.Context(), message(ann, "482910"))
		wantClass(t, err, channel.Unknown, "")
		sub, err := c.Send(t.Context(), message(ann, "482910"))
		if err != nil || sub.ProviderIDs[0] != "own" {
			t.Errorf("Send: %v, %v; want its own response", sub, err)
		}
	})
}

// Each message has its own time, whatever became of those before.
func TestResponseTimeouts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, c := newPipe(t, smpptest.Config{}, nil)
		s.Handle(func(smpptest.Submit) smpptest.Reply { return smpptest.Reply{Stall: true} })
		ready(t, c)
		for i := range 5 {
			time.Sleep(3 * time.Second)
			go func() {
				began := time.Now()
				_, err := c.Send(context.Background(), message(numbered(i), "482910"))
				if channel.ClassOf(err) != channel.Unknown || time.Since(began) != 10*time.Second {
					t.Errorf("message %d: %v after %v", i, err, time.Since(began))
				}
			}()
		}
		time.Sleep(time.Minute)
	})
}

func TestContextEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, c := newPipe(t, smpptest.Config{}, func(c *smpp.Config) { c.Window = 1 })
		s.On(ann, smpptest.Reply{Stall: true}, smpptest.Reply{})
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		go func() {
			time.Sleep(time.Millisecond) // behind the other
			_, err := c.Send(ctx, message(ann, "482910"))
			if channel.ClassOf(err) != channel.Temporary || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("waiting for the window: %v, want class temporary", err)
			}
		}()
		_, err := c.Send(ctx, message(ann, "482910"))
		wantClass(t, err, channel.Unknown, "")
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("cause is %v", err)
		}
		took(t, began, time.Second)

		// The SMSC may still be at work on it: its slot is taken until it
		// has answered or is given up.
		if _, err := c.Send(t.Context(), message(ann, "482910")); err != nil {
			t.Error(err)
		}
		took(t, began, 10*time.Second)
		if n := len(s.Submits()); n != 2 {
			t.Errorf("%d submit_sm, want 2", n)
		}
	})
}

// What was given to a connection whose peer does not read may have arrived;
// what waited behind it has not and looks for the next bind.
func TestPeerStopsReading(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		done := make(chan struct{})
		config := peers(t, func(p *peer, n int) {
			if n == 1 {
				p.bind()
			}
			<-done
		})
		config.ResponseTimeout = time.Minute
		c := newClient(t, config)
		t.Cleanup(func() { close(done) })
		ready(t, c)
		began := time.Now()
		behind := make(chan error)
		go func() {
			time.Sleep(time.Second)
			_, err := c.Send(t.Context(), message(ann, "482910"))
			behind <- err
		}()
		_, err := c.Send(t.Context(), message(ann, "482910"))
		wantClass(t, err, channel.Unknown, "")
		took(t, began, 10*time.Second)
		wantClass(t, <-behind, channel.Temporary, "")
		took(t, began, 15*time.Second)
	})
}

// A peer that does not read holds up a Send whose ctx ends for WriteTimeout at
// most.
func TestContextEndsWhileWriting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		done := make(chan struct{})
		config := peers(t, func(p *peer, _ int) {
			p.bind()
			<-done
		})
		config.WriteTimeout = 3 * time.Second
		c := newClient(t, config)
		t.Cleanup(func() { close(done) })
		ready(t, c)
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := c.Send(ctx, message(ann, "482910"))
		wantClass(t, err, channel.Unknown, "")
		if d := time.Since(began); d > 3*time.Second {
			t.Errorf("took %v", d)
		}
	})
}
