package provider_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/provider"
)

// Nobody waits for an answer beyond the code's life.
func TestEndsAtExpiry(t *testing.T) {
	t.Parallel()
	inBubble(t, providerNamed(t, "twilio"), func(c *provider.Config) {
		c.Client = &http.Client{Transport: mute{}}
	}, func(t *testing.T, b *bubble) {
		m := golden()
		m.Expires = time.Now().Add(7 * time.Second)
		_, err := b.channel.Send(t.Context(), m)
		if over := time.Since(m.Expires); err == nil || channel.ClassOf(err) != channel.Unknown || over != 0 {
			t.Errorf("%v, %v after the code's end", err, over)
		}
	})
}

// mute reads requests and does not answer.
type mute struct{}

func (mute) RoundTrip(r *http.Request) (*http.Response, error) {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// What the provider calls the end is no state, and nothing is asked after it. An
// answer without the id that the profile names is no certain success.
func TestEnds(t *testing.T) {
	t.Parallel()
	inBubble(t, providerNamed(t, "oxtro-style"), nil, func(t *testing.T, b *bubble) {
		b.set(func() { b.state = "Cancelled" })
		if _, err := b.channel.Send(t.Context(), golden()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if n := len(b.take()); n != 2 {
			t.Errorf("%d requests, want the message and one poll", n)
		}
	})
	p := providerNamed(t, "oxtro-style")
	p.accept = `{"id":"` + strings.Repeat("x", 257) + `"}`
	inBubble(t, p, nil, func(t *testing.T, b *bubble) {
		s, err := b.channel.Send(t.Context(), golden())
		if err == nil || channel.ClassOf(err) != channel.Unknown || s.State != channel.Failed {
			t.Errorf("%+v, %v, want class %v", s, err, channel.Unknown)
		}
		time.Sleep(time.Hour)
		if n := len(b.take()); n != 1 {
			t.Errorf("%d requests, want only the message", n)
		}
	})
}

// Shutdown lets a message end, Close does not.
func TestChannelCloses(t *testing.T) {
	t.Parallel()
	p := providerNamed(t, "twilio")
	for name, end := range map[string]func(*bubble) error{
		"Close": func(b *bubble) error { return b.channel.Close() },
		"Shutdown": func(b *bubble) error {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			return b.channel.Shutdown(ctx)
		},
		"Shutdown in time": func(b *bubble) error { return b.channel.Shutdown(context.Background()) },
	} {
		stall := make(chan struct{})
		client := &http.Client{Transport: stalling{stall}}
		inBubble(t, p, func(c *provider.Config) { c.Client = client }, func(t *testing.T, b *bubble) {
			sent := make(chan error, 1)
			go func() {
				_, err := b.channel.Send(context.Background(), golden())
				sent <- err
			}()
			synctest.Wait()
			began := time.Now()
			err := end(b)
			took := time.Since(began)
			class := channel.ClassOf(<-sent)
			want := map[string]string{"Close": "<nil> 0s", "Shutdown": "context deadline exceeded 1s",
				"Shutdown in time": "<nil> 15s"}[name]
			if got := fmt.Sprint(err, " ", took); got != want || class != channel.Temporary {
				t.Errorf("%s: %s, class %v, want %s", name, got, class, want)
			}
			if _, err := b.channel.Send(t.Context(), golden()); channel.ClassOf(err) != channel.Temporary ||
				!errors.Is(err, provider.ErrClosed) {
				t.Errorf("%s: Send after it: %v", name, err)
			}
			if err := b.channel.Close(); err != nil {
				t.Errorf("%s: Close after it: %v", name, err)
			}
		})
	}
}

// stalling never gets as far as writing a request.
type stalling struct{ until chan struct{} }

func (s stalling) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}
