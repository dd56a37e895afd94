package provider_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/provider"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/kanneltest"
	"github.com/otpcourier/otpcourier/smpp/smpptest"
)

// stateLog keeps the states of messages by their ids, in the order in which they came.
type stateLog struct {
	mu     sync.Mutex
	states map[string][]string
}

func (l *stateLog) receipt(_ context.Context, r channel.Receipt) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	state := r.State.String()
	if r.State == channel.Failed {
		state += ": " + r.Class.String()
	}
	l.states[r.MessageID] = append(l.states[r.MessageID], state)
	return nil
}

// of returns the states of a message, "sent delivered" or "failed: unreachable".
func (l *stateLog) of(id string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.states[id], " ")
}

// TestRealKannelHTTP sends messages by the profile of Kannel's sendsms: through smsbox
// and bearerbox, over SMPP, to an SMSC, whose receipts come back by dlr-url.
func TestRealKannelHTTP(t *testing.T) {
	t.Parallel()
	smsc := smpptest.NewServer(smpptest.Config{SystemID: "bank", Password: "secret"})
	t.Cleanup(smsc.Close)
	const rejected, undeliverable, silent, unasked = "+447700900010", "+447700900011", "+447700900012", "+447700900013"
	smsc.On(rejected, smpptest.Reply{Status: smpp.StatusInvalidDestination})
	smsc.On(undeliverable, smpptest.Reply{Receipt: smpptest.Receipt{Stat: "UNDELIV", Err: "011"}})
	smsc.On(silent, smpptest.Reply{Receipt: smpptest.Receipt{None: true}})
	k := kanneltest.Start(t, kanneltest.Config{Port: portOf(t, smsc.Addr), Username: "bank", Password: "secret"})

	log := &stateLog{states: map[string][]string{}}
	const cyrillic = "Код 582037. Никому его не сообщайте."
	for i, row := range []struct {
		to, text string
		parts    smscParts
		last     string // state
	}{
		{"+447700900001", "582037 is your code. {€} @ é Ä & % + = ?", smscParts{1, 0x00}, "delivered"},
		{"+447700900002", cyrillic, smscParts{1, 0x08}, "delivered"},
		{"+447700900003", strings.Repeat(cyrillic+" ", 5), smscParts{3, 0x08}, "delivered"},
		{"+447700900004", strings.Repeat("582037 ", 40), smscParts{2, 0x00}, "delivered"},
		{undeliverable, "582037", smscParts{1, 0x00}, "failed: unreachable"},
		{silent, "582037", smscParts{1, 0x00}, "sent"},
		{rejected, "582037", smscParts{}, "failed: invalid recipient"},
		{unasked, "582037", smscParts{1, 0x00}, ""}, // there is no callback_url
	} {
		t.Run(row.to, func(t *testing.T) {
			t.Parallel()
			c := newKannel(t, k, log, row.last != "")
			id := fmt.Sprintf("kannel.%d", i)
			m := &channel.Message{
				ID: id, To: channel.Recipient{Phone: row.to}, Text: row.text, Sender: "MyBank",
				Expires: time.Now().Add(5 * time.Minute),
			}
			if s, err := c.Send(t.Context(), m); err != nil || s.State != channel.Sent {
				t.Fatalf("%+v, %v", s, err)
			}
			kanneltest.Poll(t, "the states of "+id, func() bool { return strings.HasSuffix(log.of(id), row.last) })
			row.parts.await(t, smsc, row.to, row.text)
			// Kannel reports that the SMSC has taken a message, and the SMSC's receipt, at
			// once: if the latter comes first, the former is no news.
			if got := log.of(id); got != row.last && got != "sent "+row.last {
				t.Errorf("states %q, want %q", got, row.last)
			}
		})
	}
}

func portOf(t *testing.T, addr string) int {
	t.Helper()
	a, err := netip.ParseAddrPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return int(a.Port())
}

// newKannel is a channel to Kannel's sendsms, whose webhooks, if there are any, are
// served on the loopback interface.
func newKannel(t *testing.T, k *kanneltest.Kannel, log *stateLog, hooked bool) *provider.Channel {
	t.Helper()
	hooks := httptest.NewUnstartedServer(nil)
	values := map[string]string{"url": k.URL, "user": "test", "password": "test"}
	if hooked {
		values["callback_url"] = "http://" + hooks.Listener.Addr().String() + "/kannel"
		values["callback_token"] = hookSecret
	}
	c := newChannel(t, provider.Config{
		Provider: "kannel", Values: values, Receipt: log.receipt, DangerouslyPlaintext: true,
	})
	hooks.Config.Handler = c.WebhookHandler()
	hooks.Start()
	t.Cleanup(hooks.Close)
	return c
}

// smscParts are the parts of a message that an SMSC has accepted: how many, and their
// data_coding.
type smscParts struct {
	number int
	coding uint8
}

// await requires that an SMSC gets one message to a number, or none without parts.
func (p smscParts) await(t *testing.T, smsc *smpptest.Server, to, text string) {
	t.Helper()
	accepted := func() (all []smpptest.Submit) {
		for _, s := range smsc.Submits() {
			if s.To == to && s.Status == smpp.StatusOK {
				all = append(all, s)
			}
		}
		return all
	}
	kanneltest.Poll(t, "the message to "+to, func() bool { return len(accepted()) >= p.number })
	for _, s := range accepted() {
		if s.DataCoding != p.coding || s.Parts != p.number {
			t.Errorf("a part of %d with data_coding 0x%02X, want %+v", s.Parts, s.DataCoding, p)
		}
	}
	for _, m := range smsc.Messages() {
		if m.To == to && (m.Text != text || m.From != "MyBank" || m.Validity > 6*time.Minute ||
			m.Validity < 3*time.Minute) {
			t.Errorf("the SMSC got %+v", m)
		}
	}
}

// TestRealKannelRefuses: what Kannel's sendsms refuses is not sent, and says why.
func TestRealKannelRefuses(t *testing.T) {
	t.Parallel()
	k := kanneltest.Start(t, kanneltest.Config{Port: 9, Username: "bank", Password: "secret"}) // nobody is there
	c := newChannel(t, provider.Config{
		Provider: "kannel", DangerouslyPlaintext: true,
		Values: map[string]string{
			"url": k.URL, "user": "test", "password": "s3cr3t-wr0ng",
		},
	})
	_, err := c.Send(t.Context(), golden())
	if channel.ClassOf(err) != channel.Misconfigured || strings.Contains(err.Error(), "s3cr3t-wr0ng") {
		t.Errorf("a wrong password: %v", err)
	}
}
