package smppserver_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/peertest"
	"github.com/otpcourier/otpcourier/smpp/smppserver"
)

const ann = "+447911123456"

// message is a code on its way to a number.
func message(to, text string) *channel.Message {
	return &channel.Message{ID: "c.1", To: channel.Recipient{Phone: to}, Text: text, Sender: "MyBank"}
}

// numbered are phone numbers that differ.
func numbered(i int) string { return fmt.Sprintf("+4479111%05d", i) }

// newClient is a client that is closed with the test.
func newClient(t testing.TB, c smpp.Config) *smpp.Client {
	t.Helper()
	client, err := smpp.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

// clientOf is a client of a server, over net.Pipe.
func clientOf(t testing.TB, s *smppserver.Server) *smpp.Client {
	return newClient(t, smpp.Config{
		Addr: "front:2775", DangerouslyPlaintext: true, SystemID: "bank", Password: "secret",
		Dial: func(context.Context, string, string) (net.Conn, error) {
			client, server := net.Pipe()
			return client, s.ServeConn(located{server, "192.0.2.1"})
		},
	})
}

// wantClass requires a channel.Error of a class and a code.
func wantClass(t testing.TB, err error, class channel.Class, code string) {
	t.Helper()
	e, ok := errors.AsType[*channel.Error](err)
	if !ok || e.Class != class || e.Code != code {
		t.Fatalf("error is %v, want class %v, code %q", err, class, code)
	}
}

// TestClient: our own client over TLS, 1,000 messages and their receipts.
func TestClient(t *testing.T) {
	t.Parallel()
	c := serverConfig()
	c.DangerouslyPlaintext, c.Assemble = false, true
	var client smpp.Config
	c.TLS, client.TLS = peertest.TLS(t)
	c.Handler = smppserver.ChannelHandler(channel.Func(func(_ context.Context, m *channel.Message) (channel.Submission,
		error) {
		if m.Text != "482910 is your code" || m.Sender != "MyBank" {
			return channel.Submission{}, &channel.Error{Class: channel.Misconfigured}
		}
		return channel.Submission{State: channel.Delivered}, nil
	}))
	server := startServer(t, c)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	got := make(chan channel.Receipt, 1000)
	client.Addr, client.SystemID, client.Password = l.Addr().String(), "bank", "secret"
	client.Receipt, client.Window = func(_ context.Context, r channel.Receipt) error { got <- r; return nil }, 50
	esme := newClient(t, client)
	if err := esme.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	var (
		mu  sync.Mutex
		ids = make(map[string]bool)
		wg  sync.WaitGroup
	)
	for w := range 50 {
		wg.Go(func() {
			for i := range 20 {
				sub, err := esme.Send(context.Background(), message(numbered(20*w+i), "482910 is your code"))
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				ids[sub.ProviderIDs[0]] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for range 1000 {
		r := <-got
		if r.State != channel.Delivered || !ids[r.ProviderID] {
			t.Errorf("receipt %+v matches nothing", r)
		}
		delete(ids, r.ProviderID)
	}
	if len(ids) != 0 {
		t.Errorf("%d messages without a receipt", len(ids))
	}
	if err := server.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-served; !errors.Is(err, smppserver.ErrClosed) {
		t.Errorf("Serve: %v", err)
	}
}

// A server without Cancel knows no cancel_sm, and its client says so.
func TestWithoutCancel(t *testing.T) {
	t.Parallel()
	c := clientOf(t, startServer(t, serverConfig()))
	m := message(ann, "482910")
	sub, err := c.Send(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	err = c.Cancel(t.Context(), m, sub)
	wantClass(t, err, channel.Misconfigured, "0x03")
	if !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a server without Cancel: %v", err)
	}
}

// TestBlockedClientWaits is a row of the troubles of OTP Blue's integration
// guide: "Bind rejected (0x0D) repeatedly: wait 15 minutes, then retry with
// correct credentials".
func TestBlockedClientWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := startServer(t, serverConfig()) // blocks an address for 15 minutes, as the guide says
		for range 5 {
			dial(t, s).bindAs(pdu.BindTransceiverID, "guess")
		}
		c := clientOf(t, s)
		wantClass(t, c.Ready(t.Context()), channel.Misconfigured, "0x0D")
		time.Sleep(15*time.Minute - time.Second)
		wantClass(t, c.Ready(t.Context()), channel.Misconfigured, "0x0D")
		time.Sleep(4 * time.Minute) // RefusedWait and a quarter more
		if err := c.Ready(t.Context()); err != nil {
			t.Errorf("after the block: %v", err)
		}
	})
}
