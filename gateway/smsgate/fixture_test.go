package smsgate_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/gatewaytest"
	"github.com/otpcourier/otpcourier/gateway/smsgate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	ann = "+19162255887"
	bob = "+447400123456"

	gateUser, gatePassword = "K2V6TX", "pa55-w0rd-7f3a"
)

// codeTo is a code on its way to a number.
func codeTo(id, number string) *channel.Message {
	return &channel.Message{
		ID: id, To: channel.Recipient{Phone: number}, Code: "582037", Text: "582037 is your code.",
		Created: time.Now(), Expires: time.Now().Add(5 * time.Minute),
	}
}

// newGate is a channel to a server that is closed with the test.
func newGate(t testing.TB, s *gatewaytest.Server, c smsgate.Config) *smsgate.Channel {
	t.Helper()
	c.URL, c.Client = s.URL, s.Client()
	c.Username, c.Password = gateUser, gatePassword
	g, err := smsgate.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Close() })
	return g
}

// newGateServer has a phone that does nothing by itself.
func newGateServer(t testing.TB, c gatewaytest.Config) (*gatewaytest.Server, *gatewaytest.Phone) {
	t.Helper()
	c.Username, c.Password = gateUser, gatePassword
	s := gatewaytest.NewTLSServer(c)
	t.Cleanup(s.Close)
	return s, s.AddPhone(gatewaytest.PhoneConfig{ID: "pixel", Manual: true})
}

// mustSend requires that a message is accepted.
func mustSend(t testing.TB, c channel.Channel, m *channel.Message) {
	t.Helper()
	s, err := c.Send(t.Context(), m)
	if err != nil || s.State != channel.Sent || !cmp.Equal(s.ProviderIDs, []string{m.ID}) {
		t.Fatalf("Send: %+v, %v", s, err)
	}
}

// wantRefused requires a channel.Error of a class and a code.
func wantRefused(t testing.TB, err error, class channel.Class, code string) {
	t.Helper()
	e, ok := errors.AsType[*channel.Error](err)
	if !ok || e.Class != class || e.Code != code {
		t.Errorf("error %v, want class %v and code %q", err, class, code)
	}
}

// posts counts the submissions that a server has read.
func posts(s *gatewaytest.Server) (n int) {
	for _, r := range s.Requests() {
		if r.Method == http.MethodPost && r.Path == "/messages" {
			n++
		}
	}
	return n
}

// A ledger keeps the receipts of a channel.
type ledger struct {
	mu     sync.Mutex
	start  time.Time
	lines  []string
	refuse int
}

func newLedger() *ledger { return &ledger{start: time.Now()} }

var errLedger = errors.New("the store is down")

func (l *ledger) receipt(_ context.Context, r channel.Receipt) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refuse > 0 {
		l.refuse--
		return errLedger
	}
	if r.ProviderID != r.MessageID || r.At.IsZero() {
		return fmt.Errorf("a receipt without ids or time: %+v", r)
	}
	l.lines = append(l.lines,
		fmt.Sprintf("%v %s %v %v %s", time.Since(l.start).Round(time.Second), r.MessageID, r.State, r.Class, r.Code))
	return nil
}

// fail has the next n receipts refused, beside those that are already.
func (l *ledger) fail(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refuse += n
}

// take returns the receipts since the last call.
func (l *ledger) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := l.lines
	l.lines = nil
	return lines
}

func (l *ledger) want(t testing.TB, want ...string) {
	t.Helper()
	if d := cmp.Diff(want, l.take()); d != "" {
		t.Errorf("receipts (-want +got):\n%s", d)
	}
}

func contains(b []byte, s string) bool { return bytes.Contains(b, []byte(s)) }

// calls lists what a server was asked, with the kind of credentials.
func calls(s *gatewaytest.Server) []string {
	var all []string
	for _, r := range s.Requests() {
		kind, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		all = append(all, r.Method+" "+r.Path+" "+kind)
	}
	return all
}

var oneDevice = []smsgate.Device{{ID: "pixel"}}

// A gate is a channel, a server and a phone in virtual time, joined by webhooks.
type gate struct {
	*smsgate.Channel
	server *gatewaytest.Server
	phone  *gatewaytest.Phone
	ledger *ledger
}

const hookURL = "https://otp.example.com/webhooks/sms"

// manual is a phone that does nothing by itself.
var manual = gatewaytest.PhoneConfig{Manual: true}

// inBubble runs a test in virtual time.
func inBubble(
	t *testing.T, config smsgate.Config, server gatewaytest.Config, phone gatewaytest.PhoneConfig,
	f func(*testing.T, *gate),
) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		server.Username, server.Password = gateUser, gatePassword
		g := &gate{server: gatewaytest.NewPipeServer(server), ledger: newLedger()}
		defer g.server.Close()
		config.Receipt = g.ledger.receipt
		phone.ID, phone.Key = "pixel", "key of the pixel"
		config.SigningKeys = []string{"an older key", phone.Key}
		g.Channel = newGate(t, g.server, config)
		defer g.Close()
		phone.Client = gatewaytest.HandlerClient(g.WebhookHandler())
		g.phone = g.server.AddPhone(phone)
		if err := g.RegisterWebhooks(t.Context(), hookURL); err != nil {
			t.Fatal(err)
		}
		f(t, g)
	})
}
