package smppserver_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/smpp/internal/peertest"
	"github.com/otpcourier/otpcourier/smpp/kanneltest"
	"github.com/otpcourier/otpcourier/smpp/smppserver"
)

// TestRealKannel: Kannel binds to a Server as ESME, over TLS where its build
// can and in plain text, sends 100 messages, one of them long, and gets a
// receipt for each.
func TestRealKannel(t *testing.T) {
	t.Parallel()
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("tls=%t", secure), func(t *testing.T) {
			t.Parallel()
			testKannel(t, secure)
		})
	}
}

func testKannel(t *testing.T, secure bool) {
	const messages = 100
	var (
		mu       sync.Mutex
		texts    = make(map[string]string) // by destination
		reported = make(map[string]int)    // by destination: receipts that Kannel passed on
	)
	reports := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if r.FormValue("type") == "1" {
			reported[r.FormValue("to")]++
		}
	}))
	defer reports.Close()

	c := serverConfig()
	c.Assemble, c.RequireE164 = true, true
	if secure {
		c.TLS, _ = peertest.TLS(t)
		c.DangerouslyPlaintext = false
	}
	c.Handler = func(_ context.Context, m *smppserver.Submit) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		texts[m.To] = m.Text
		if m.Receipt {
			m.Deliver(smppserver.DeliveryReceipt{})
		}
		return "", nil
	}
	acknowledged := 0
	c.OnReceipt = func(_ string, _ smppserver.DeliveryReceipt, err error) {
		mu.Lock()
		defer mu.Unlock()
		if err == nil {
			acknowledged++
		}
	}
	server := startServer(t, c)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	t.Run("session", func(t *testing.T) {
		k := startKannel(t, l, kanneltest.Config{TLS: secure})
		kanneltest.Poll(t, "the bind", func() bool {
			all := server.Sessions()
			return len(all) == 1 && all[0].SystemID() == "bank"
		})
		for i := range messages {
			k.Send(t, url.Values{
				"from": {"MyBank"}, "to": {numbered(i)}, "text": {kannelText(i)}, "coding": {"0"}, "dlr-mask": {"3"},
				"dlr-url": {reports.URL + "/?type=%d&to=" + url.QueryEscape(numbered(i))},
			})
		}
		kanneltest.Poll(t, "the receipts", func() bool {
			mu.Lock()
			defer mu.Unlock()
			return len(reported) == messages && acknowledged >= messages
		})
		mu.Lock()
		defer mu.Unlock()
		for i := range messages {
			to := numbered(i)
			if texts[to] != kannelText(i) || reported[to] != 1 {
				t.Errorf("message %d: text %q, %d receipts", i, texts[to], reported[to])
			}
		}
	}) // Kannel unbinds and ends
	kanneltest.Poll(t, "the end of the session", func() bool { return len(server.Sessions()) == 0 })
	if err := server.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-served; !errors.Is(err, smppserver.ErrClosed) {
		t.Errorf("Serve: %v", err)
	}
}

// TestRealKannelCodingsAndValidity: with mclass=0 Kannel sends data_coding 0x18 for
// UCS-2 and 0x10 or 0xF0 for GSM, and with validityperiod=5 an absolute
// validity_period.
func TestRealKannelCodingsAndValidity(t *testing.T) {
	t.Parallel()
	got := make(chan *smppserver.Submit, 10)
	c := serverConfig()
	c.Assemble = true
	c.Handler = func(_ context.Context, m *smppserver.Submit) (string, error) {
		got <- m
		return "", nil
	}
	server := startServer(t, c)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(l) }() // the server is closed with the test
	k := startKannel(t, l, kanneltest.Config{SMSC: "validityperiod = 5"})
	kanneltest.Poll(t, "the bind", func() bool {
		all := server.Sessions()
		return len(all) == 1 && all[0].SystemID() == "bank"
	})
	const wide = "Код 482910. Никому его не сообщайте."
	for _, tt := range []struct {
		name   string
		query  url.Values
		text   string
		coding []uint8
		life   time.Duration
	}{
		{"coding=2&mclass=0", url.Values{"coding": {"2"}, "mclass": {"0"}}, wide, []uint8{0x18}, 5 * time.Minute},
		{"coding=2&mclass=1", url.Values{"coding": {"2"}, "mclass": {"1"}}, wide, []uint8{0x19}, 5 * time.Minute},
		{"coding=2", url.Values{"coding": {"2"}}, wide, []uint8{0x08}, 5 * time.Minute},
		{"coding=2&mclass=0, long", url.Values{"coding": {"2"}, "mclass": {"0"}}, strings.Repeat(wide, 4),
			[]uint8{0x18}, 5 * time.Minute},
		{"coding=0&mclass=0", url.Values{"coding": {"0"}, "mclass": {"0"}}, "482910 {€} @ é", []uint8{0x10, 0xF0},
			5 * time.Minute},
		{"coding=0&mclass=0&alt-dcs=1", url.Values{"coding": {"0"}, "mclass": {"0"}, "alt-dcs": {"1"}},
			"482910 {€} @ é", []uint8{0x10, 0xF0}, 5 * time.Minute},
		{"coding=0", url.Values{"coding": {"0"}}, "482910 {€} @ é", []uint8{0x00}, 5 * time.Minute},
		{"coding=0&validity=2", url.Values{"coding": {"0"}, "validity": {"2"}}, "482910", []uint8{0x00},
			2 * time.Minute},
	} {
		tt.query.Set("from", "MyBank")
		tt.query.Set("to", ann)
		tt.query.Set("text", tt.text)
		k.Send(t, tt.query)
		m := await(t, got)
		if m.Text != tt.text || !slices.Contains(tt.coding, m.DataCoding) {
			t.Errorf("%s: data_coding 0x%02X, %q", tt.name, m.DataCoding, m.Text)
		}
		// Kannel writes whole seconds.
		if m.Validity > tt.life || m.Validity < tt.life-10*time.Second {
			t.Errorf("%s: the message lives %v, want %v", tt.name, m.Validity, tt.life)
		}
	}
}

// TestRealKannelReceives: Kannel receives a message of a phone, and a long one as one.
func TestRealKannelReceives(t *testing.T) {
	t.Parallel()
	got := make(chan url.Values, 10)
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got <- r.URL.Query()
	}))
	defer hook.Close()
	ended := make(chan error, 10)
	c := serverConfig()
	c.OnMessage = func(_ string, _ smppserver.MobileMessage, err error) { ended <- err }
	server := startServer(t, c)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(l) }() // the server is closed with the test
	startKannel(t, l, kanneltest.Config{
		Service: `get-url = "` + hook.URL + `/?from=%p&to=%P&text=%b"` + "\nconcatenation = true\ncatch-all = true",
	})
	for _, text := range []string{"STOP", "@{€}", strings.Repeat("STOP all messages. ", 20)} {
		m := smppserver.MobileMessage{From: ann, To: "12345", Text: text}
		if err := server.DeliverMessage("bank", m); err != nil {
			t.Fatal(err)
		}
		q := await(t, got)
		if from, to := q.Get("from"), q.Get("to"); from != ann || to != "12345" || q.Get("text") != text {
			t.Errorf("Kannel received %q from %s to %s", q.Get("text"), from, to)
		}
		if err := await(t, ended); err != nil {
			t.Error(err)
		}
	}
}

// await receives what another process causes.
func await[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(30 * time.Second):
		t.Fatal("waited too long")
		panic("unreachable")
	}
}

// kannelText is a message's text; one of them is long.
func kannelText(i int) string {
	text := fmt.Sprintf("%06d is your code. {€}", i)
	if i == 50 {
		for len(text) < 300 {
			text += " Do not share this code."
		}
	}
	return text
}

// startKannel binds Kannel to a server that listens there.
func startKannel(t *testing.T, l net.Listener, c kanneltest.Config) *kanneltest.Kannel {
	t.Helper()
	c.Port, c.Username, c.Password = l.Addr().(*net.TCPAddr).Port, "bank", "secret"
	return kanneltest.Start(t, c)
}
