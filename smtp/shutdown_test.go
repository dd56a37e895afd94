package smtp_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smtp"
	"github.com/otpcourier/otpcourier/smtp/smtptest"
)

func TestClose(t *testing.T) {
	t.Parallel()
	srv, ch := start(t, smtptest.Config{})
	srv.Script(smtptest.Rule{Phase: smtptest.AtRcpt, Action: smtptest.Stall})
	failed := make(chan error)
	go func() {
		_, err := ch.Send(t.Context(), message("close.1"))
		failed <- err
	}()
	waitForConnection(t, srv)
	for range 2 {
		if err := ch.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := <-failed; !errors.Is(err, smtp.ErrClosed) || channel.ClassOf(err) != channel.Temporary {
		t.Errorf("Send under way: %v, want ErrClosed and class Temporary", err)
	}
	if _, err := ch.Send(t.Context(), message("close.2")); !errors.Is(err, smtp.ErrClosed) {
		t.Errorf("Send after Close: %v, want ErrClosed", err)
	}
}

func TestShutdown(t *testing.T) {
	t.Parallel()
	srv, ch := start(t, smtptest.Config{})
	srv.Script(smtptest.Rule{Phase: smtptest.AtDot, Action: smtptest.Stall})
	sent := make(chan error)
	go func() {
		_, err := ch.Send(t.Context(), message("shutdown.1"))
		sent <- err
	}()
	waitForConnection(t, srv)
	down := make(chan error)
	go func() { down <- ch.Shutdown(t.Context()) }()
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for { // until the shutdown has begun
		if _, err := ch.Send(over, message("shutdown.2")); errors.Is(err, smtp.ErrClosed) {
			break
		}
	}
	srv.ClearScript()
	if err := <-sent; err != nil {
		t.Errorf("Send under way: %v, want it to end well", err)
	}
	if err := <-down; err != nil {
		t.Error(err)
	}
}

func TestShutdownCutsOff(t *testing.T) {
	t.Parallel()
	srv, ch := start(t, smtptest.Config{})
	srv.Script(smtptest.Rule{Phase: smtptest.AtDot, Action: smtptest.Stall})
	sent := make(chan error)
	go func() {
		_, err := ch.Send(t.Context(), message("cut.1"))
		sent <- err
	}()
	waitForConnection(t, srv)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := ch.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Shutdown: %v, want the context's error", err)
	}
	err := <-sent
	if err == nil || strings.Contains(err.Error(), "ann.recipient") {
		t.Errorf("Send under way: %v", err)
	}
	if read := srv.Received(); read != 0 && channel.ClassOf(err) != channel.Unknown || len(srv.Mails()) != 0 {
		t.Errorf("%d mails read, %d kept: %v", read, len(srv.Mails()), err)
	}
}

// waitForConnection polls, bounded, until a client has come.
func waitForConnection(t *testing.T, srv *smtptest.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for srv.Connections() == 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("no connection")
		}
	}
}
