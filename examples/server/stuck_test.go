package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/otp"
)

// A pipeListener accepts pipes. They have no buffer: a peer that reads nothing blocks its
// first write.
type pipeListener struct {
	conns chan net.Conn
	ended context.Context
	end   context.CancelFunc
}

func newPipeListener() *pipeListener {
	ctx, cancel := context.WithCancel(context.Background())
	return &pipeListener{make(chan net.Conn), ctx, cancel}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.ended.Done():
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error { l.end(); return nil }

func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

func (l *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case l.conns <- there:
		return here, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// startPiped starts a server in the bubble of a test, which is reached through pipes.
func startPiped(t *testing.T, change ...func(*config)) (*rig, *pipeListener) {
	t.Helper()
	c, shopKey, bankKey, err := demoConfig()
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range change {
		change(c)
	}
	if err := c.validate(func(string) string { return "" }); err != nil {
		t.Fatal(err)
	}
	people := &phones{codes: map[string]string{}}
	s, err := newServer(t.Context(), c, otp.NewKeyring(), people.open, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.close(context.Background()) })
	public, err := s.publicServer()
	if err != nil {
		t.Fatal(err)
	}
	listener := newPipeListener()
	go func() { _ = public.Serve(listener) }() // until Close
	t.Cleanup(func() { public.Close() })
	transport := &http.Transport{DialContext: listener.dial}
	t.Cleanup(transport.CloseIdleConnections)
	h := &http.Client{Transport: &checked{t, transport}}
	return &rig{t: t, s: s, people: people, shop: &client{"http://pipe", shopKey, h},
		bank: &client{"http://pipe", bankKey, h}}, listener
}

// A reader of the stream that reads nothing delays neither other readers nor Sends, and
// is cut off by the write deadline.
func TestStuckReader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, listener := startPiped(t)
		r.shop.http = &http.Client{Transport: r.shop.http.Transport.(*checked).base} // streams have no end to wait for
		stuck, err := listener.dial(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		defer stuck.Close()
		fmt.Fprintf(stuck, "GET /v1/events HTTP/1.1\r\nHost: pipe\r\nAuthorization: Bearer %s\r\n"+
			"Accept: text/event-stream\r\n\r\n", r.shop.key)
		lines := bufio.NewReaderSize(stuck, 16) // reads on only as far as it must
		for line := ""; !strings.HasPrefix(line, ": the events"); {
			if line, err = lines.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
		q := r.request(r.shop, http.MethodGet, "/v1/events", "")
		q.Header.Set("Accept", "text/event-stream")
		resp, err := r.shop.http.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		live := &following{t: t, lines: bufio.NewScanner(resp.Body)}

		begun := time.Now()
		for i := range 5 {
			before := time.Now()
			id := r.want(r.shop, "201 pending", "POST", apiPath,
				fmt.Sprintf(`{"subject":"s%d","to":{"phone":"+44791234560%d"}}`, i, i)).body.ID
			sent := time.Since(before)
			for live.until("sent").Verification != id {
			}
			if told := time.Since(before); sent > time.Second || told > 3*time.Second {
				t.Errorf("beside a stuck reader the Send took %v, the event came after %v", sent, told)
			}
			time.Sleep(time.Second)
		}
		if n := r.s.streams.Load(); n != 2 || time.Since(begun) > 19*time.Second {
			t.Errorf("%d streams after %v", n, time.Since(begun))
		}
		time.Sleep(time.Until(begun.Add(22 * time.Second)))
		synctest.Wait()
		if n := r.s.streams.Load(); n != 1 {
			t.Errorf("%d streams 22 s after the stuck one could not be written to", n)
		}
		if _, err := io.Copy(io.Discard, stuck); err != nil && !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("the connection of the stuck reader: %v", err)
		}
	})
}
