package smpp_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/smpptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

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

// plain is a configuration for a server without TLS.
func plain(s *smpptest.Server) smpp.Config {
	return smpp.Config{Addr: s.Addr, DangerouslyPlaintext: true}
}

// piped is a configuration for a server of virtual time.
func piped(s *smpptest.Server) smpp.Config {
	c := plain(s)
	c.Dial = s.Dial
	return c
}

func ready(t testing.TB, c *smpp.Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := c.Ready(ctx); err != nil {
		t.Fatalf("Ready: %v", err)
	}
}

// newServer is a server without TLS that is closed with the test.
func newServer(t testing.TB, c smpptest.Config) *smpptest.Server {
	t.Helper()
	s := smpptest.NewServer(c)
	t.Cleanup(s.Close)
	return s
}

// wantClass requires a channel.Error of a class and a code.
func wantClass(t testing.TB, err error, class channel.Class, code string) {
	t.Helper()
	e, ok := errors.AsType[*channel.Error](err)
	if !ok {
		t.Fatalf("error is %v, want a channel.Error", err)
	}
	if e.Class != class || e.Code != code {
		t.Fatalf("error is %v (class %v, code %q), want class %v, code %q", err, e.Class, e.Code, class, code)
	}
}

// receipts collects what a client hands over.
type receipts struct {
	mu   sync.Mutex
	got  []channel.Receipt
	err  error
	news chan struct{}
}

func newReceipts() *receipts { return &receipts{news: make(chan struct{}, 1)} }

func (r *receipts) handle(_ context.Context, rc channel.Receipt) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, rc)
	select {
	case r.news <- struct{}{}:
	default:
	}
	return r.err
}

func (r *receipts) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
}

// wait returns the receipts once there are n.
func (r *receipts) wait(t testing.TB, n int) []channel.Receipt {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		r.mu.Lock()
		got := append([]channel.Receipt(nil), r.got...)
		r.mu.Unlock()
		if len(got) >= n {
			return got
		}
		select {
		case <-r.news:
		case <-deadline:
			t.Fatalf("%d of %d receipts came", len(got), n)
		}
	}
}

// newPipe is a server and a client of it in a bubble, both closed with the test.
func newPipe(t *testing.T, server smpptest.Config, edit func(*smpp.Config)) (*smpptest.Server, *smpp.Client) {
	t.Helper()
	s := smpptest.NewPipeServer(server)
	t.Cleanup(s.Close)
	config := piped(s)
	if edit != nil {
		edit(&config)
	}
	return s, newClient(t, config)
}

// refusing is a server that refuses binds and a client of it.
func refusing(t *testing.T, status smpp.Status) (*smpptest.Server, *smpp.Client) {
	t.Helper()
	s := smpptest.NewPipeServer(smpptest.Config{})
	t.Cleanup(s.Close)
	s.RefuseBinds(status)
	return s, newClient(t, piped(s))
}

// took requires that virtual time has passed since.
func took(t *testing.T, since time.Time, want time.Duration) {
	t.Helper()
	if got := time.Since(since); got != want {
		t.Errorf("took %v, want %v", got, want)
	}
}

func waitSubmits(t testing.TB, s *smpptest.Server, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := s.WaitSubmits(ctx, n); err != nil {
		t.Fatal(err)
	}
}
