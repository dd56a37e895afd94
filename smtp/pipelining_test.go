package smtp_test

import (
	"context"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/smtp"
	"github.com/otpcourier/otpcourier/smtp/smtptest"
)

// A writeCounter counts writes.
type writeCounter struct {
	net.Conn
	writes *atomic.Int32
}

func (w writeCounter) Write(p []byte) (int, error) {
	w.writes.Add(1)
	return w.Conn.Write(p)
}

// A message costs two writes, each of which is answered at once: two round
// trips.
func TestTwoRoundTrips(t *testing.T) {
	t.Parallel()
	var writes atomic.Int32
	srv, ch := start(t, smtptest.Config{}, func(c *smtp.Config) {
		c.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			return writeCounter{conn, &writes}, err
		}
	})
	if _, err := ch.Send(t.Context(), message("first.1")); err != nil {
		t.Fatal(err)
	}
	writes.Store(0)
	const messages = 5
	for range messages {
		if _, err := ch.Send(t.Context(), message("next.1")); err != nil {
			t.Fatal(err)
		}
	}
	if n := writes.Load(); n != 2*messages || len(srv.Mails()) != 1+messages {
		t.Errorf("%d writes for %d messages", n, messages)
	}
}

// What a relay offers counts however it is written.
func TestExtensionsInAnyCase(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, c := newFake(map[string]string{
			"EHLO":  "250-fake\r\n250 StartTLS\r\n",
			"EHLO+": "250-fake\r\n250-8bitMIME\r\n250-pipelining\r\n250-dsn\r\n250 Auth plain\r\n",
			"RCPT":  "550 5.1.1 unknown\r\n",
		})
		if diff := cmp.Diff([]string{"invalid recipient"}, sendAll(t, f, c, 1)); diff != "" {
			t.Errorf("errors (-want +got):\n%s", diff)
		}
		// DATA in spite of RCPT: pipelined
		want := []string{"EHLO", "STARTTLS", "EHLO+", "AUTH+", "MAIL+", "RCPT+", "DATA+", "QUIT+"}
		if diff := cmp.Diff(want, f.commands()); diff != "" {
			t.Errorf("commands (-want +got):\n%s", diff)
		}
		mail := "MAIL FROM:<codes@mybank.example> BODY=8BITMIME RET=HDRS ENVID=seq.1"
		if !slices.Contains(f.lines, mail) {
			t.Errorf("no %s in %q", mail, f.lines)
		}
	})
}
