package smsgate_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/gatewaytest"
	"github.com/otpcourier/otpcourier/gateway/smsgate"
)

// The server stalls after it has read the message: Send answers in time, and
// that it does not know.
func TestStalledServer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, _ := phones(t, gatewaytest.Config{}, gatewaytest.PhoneConfig{ID: "pixel"})
		g := newGate(t, s, smsgate.Config{Devices: oneDevice, Timeout: 8 * time.Second})
		s.Script(gatewaytest.Rule{Path: "/messages", Action: gatewaytest.Stall})
		began := time.Now()
		_, err := g.Send(t.Context(), codeTo("c4n7.1", ann))
		wantRefused(t, err, channel.Unknown, "")
		if took := time.Since(began); took != 8*time.Second {
			t.Errorf("it took %v", took)
		}
		if n := posts(s); n != 3 {
			t.Errorf("%d tries", n)
		}
		// A first answer that is late leaves time for a second.
		s.ClearScript()
		s.Script(gatewaytest.Rule{Path: "/messages", Action: gatewaytest.Stall, Served: true, Times: 1})
		mustSend(t, g, codeTo("c4n7.2", ann))
	})
}

// Nobody waits for an answer beyond the code's life.
func TestEndsAtExpiry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, _ := phones(t, gatewaytest.Config{}, gatewaytest.PhoneConfig{ID: "pixel"})
		g := newGate(t, s, smsgate.Config{Devices: oneDevice})
		s.Script(gatewaytest.Rule{Path: "/messages", Action: gatewaytest.Stall})
		m := codeTo("c4n7.1", ann)
		m.Expires = time.Now().Add(7 * time.Second)
		_, err := g.Send(t.Context(), m)
		wantRefused(t, err, channel.Unknown, "")
		if over := time.Since(m.Expires); over != 0 {
			t.Errorf("it ended %v after the code", over)
		}
	})
}

func TestClosed(t *testing.T) {
	t.Parallel()
	s, _ := newGateServer(t, gatewaytest.Config{})
	g := newGate(t, s, smsgate.Config{Receipt: newLedger().receipt})
	s.Script(gatewaytest.Rule{Path: "/messages", Action: gatewaytest.Stall})
	sent := make(chan error)
	go func() {
		_, err := g.Send(t.Context(), codeTo("c4n7.1", ann))
		sent <- err
	}()
	if _, err := s.WaitRequests(t.Context(), 2); err != nil { // the list of phones, and the message
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := g.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown: %v", err)
	}
	if err := <-sent; !errors.Is(err, smsgate.ErrClosed) || channel.ClassOf(err) != channel.Unknown {
		t.Errorf("Send under way: %v", err)
	}
	for range 2 {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	}
	for what, err := range map[string]error{
		"Send":             func() error { _, err := g.Send(t.Context(), codeTo("c4n7.2", ann)); return err }(),
		"Cancel":           g.Cancel(t.Context(), codeTo("c4n7.1", ann), channel.Submission{}),
		"Devices":          func() error { _, err := g.Devices(t.Context()); return err }(),
		"RegisterWebhooks": g.RegisterWebhooks(t.Context(), "https://example.com"),
	} {
		if !errors.Is(err, smsgate.ErrClosed) || channel.ClassOf(err) != channel.Temporary {
			t.Errorf("%s: %v", what, err)
		}
	}
}
