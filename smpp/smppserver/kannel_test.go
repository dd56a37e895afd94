package smppserver_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/smpp/internal/peertest"
	"github.com/otpcourier/otpcourier/smpp/smppserver"
)

// A kannel is Debian's Kannel: a bearerbox bound as ESME, and a smsbox whose
// HTTP interface sends.
type kannel struct {
	send string // address of sendsms
}

const kannelConf = `
group = core
admin-port = %[1]d
admin-password = admin
smsbox-port = %[2]d
box-allow-ip = 127.0.0.1
log-file = "%[5]s/bearerbox.log"
log-level = 0
store-type = file
store-location = "%[5]s/store"
dlr-storage = internal

group = smsc
smsc = smpp
smsc-id = front
host = 127.0.0.1
port = %[4]d
transceiver-mode = true
use-ssl = %[6]t
smsc-username = bank
smsc-password = secret
system-type = ""
interface-version = 34
source-addr-ton = 5
source-addr-npi = 0
dest-addr-ton = 1
dest-addr-npi = 1
enquire-link-interval = 30
reconnect-delay = 1
max-pending-submits = 20
%[7]s

group = smsbox
bearerbox-host = 127.0.0.1
bearerbox-port = %[2]d
sendsms-port = %[3]d
log-file = "%[5]s/smsbox.log"
log-level = 0

group = sendsms-user
username = test
password = test
max-messages = 10
concatenation = true

group = sms-service
keyword = default
max-messages = 0
%[8]s
`

// kannelOptions are lines of Kannel's configuration.
type kannelOptions struct {
	smsc    string // in its group smsc
	service string // in its group sms-service; default: messages are answered by "none"
}

// startKannel starts Kannel against the SMSC at the port, and stops it with the
// test. Where it is missing the test is skipped, but fails under
// OTPCOURIER_REAL=require.
func startKannel(t *testing.T, smscPort int, secure bool, o kannelOptions) *kannel {
	t.Helper()
	for _, program := range []string{"bearerbox", "smsbox"} {
		if _, err := exec.LookPath(program); err != nil {
			reason := fmt.Sprintf("Kannel is not there (apt-get install kannel): %v", err)
			if os.Getenv("OTPCOURIER_REAL") == "require" {
				t.Fatal(reason)
			}
			t.Skip(reason)
		}
	}
	dir := t.TempDir()
	admin, boxes, send := freePort(t), freePort(t), freePort(t)
	conf := filepath.Join(dir, "kannel.conf")
	text := fmt.Sprintf(kannelConf, admin, boxes, send, smscPort, dir, secure, o.smsc,
		cmp.Or(o.service, `text = "none"`))
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	k := &kannel{send: fmt.Sprintf("http://127.0.0.1:%d/cgi-bin/sendsms", send)}
	t.Cleanup(func() {
		if t.Failed() {
			for _, name := range []string{"bearerbox.log", "smsbox.log"} {
				b, _ := os.ReadFile(filepath.Join(dir, name))
				t.Logf("%s: %s", name, b[max(0, len(b)-4000):])
			}
		}
	})
	startBox(t, dir, "bearerbox", conf)
	awaitPort(t, boxes)
	startBox(t, dir, "smsbox", conf)
	awaitPort(t, send)
	// It listens before it is connected, and a message that comes in between
	// kills it.
	poll(t, "smsbox to find bearerbox", func() bool {
		log, err := os.ReadFile(filepath.Join(dir, "smsbox.log"))
		return err == nil && bytes.Contains(log, []byte("Connected to bearerbox"))
	})
	return k
}

// startBox runs one of Kannel's programs until the end of the test.
func startBox(t *testing.T, dir, program, conf string) {
	t.Helper()
	cmd := exec.Command(program, conf)
	cmd.Dir = dir
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		limit := 20 * time.Second
		if program == "smsbox" { // may wait for ever, if the signal comes right after a message
			limit = 3 * time.Second
		}
		select {
		case <-ended:
		case <-time.After(limit):
			if program == "bearerbox" { // it has to unbind
				t.Errorf("%s did not stop", program)
			}
			_ = cmd.Process.Kill()
			<-ended
		}
	})
}

// freePort returns a port below those that the system gives away by itself, so that
// nothing else takes it before Kannel does.
func freePort(t *testing.T) int {
	t.Helper()
	for range 100 {
		port := 20_000 + rand.IntN(12_000)
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}

// awaitPort waits until another process listens.
func awaitPort(t *testing.T, port int) {
	t.Helper()
	poll(t, fmt.Sprintf("port %d", port), func() bool {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// poll waits for another process.
func poll(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

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
		k := startKannel(t, l.Addr().(*net.TCPAddr).Port, secure, kannelOptions{})
		poll(t, "the bind", func() bool {
			all := server.Sessions()
			return len(all) == 1 && all[0].SystemID() == "bank"
		})
		for i := range messages {
			k.sendSMS(t, numbered(i), kannelText(i), reports.URL)
		}
		poll(t, "the receipts", func() bool {
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
	poll(t, "the end of the session", func() bool { return len(server.Sessions()) == 0 })
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
	k := startKannel(t, l.Addr().(*net.TCPAddr).Port, false, kannelOptions{smsc: "validityperiod = 5"})
	poll(t, "the bind", func() bool {
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
		k.sendQuery(t, tt.query)
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
	startKannel(t, l.Addr().(*net.TCPAddr).Port, false, kannelOptions{
		service: `get-url = "` + hook.URL + `/?from=%p&to=%P&text=%b"` + "\nconcatenation = true\ncatch-all = true",
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

// sendSMS submits by Kannel's HTTP interface, and asks for the receipt (1:
// delivered, 2: failed) at the URL.
func (k *kannel) sendSMS(t *testing.T, to, text, report string) {
	t.Helper()
	k.sendQuery(t, url.Values{
		"from": {"MyBank"}, "to": {to}, "text": {text}, "coding": {"0"}, "dlr-mask": {"3"},
		"dlr-url": {report + "/?type=%d&to=" + url.QueryEscape(to)},
	})
}

// sendQuery submits by Kannel's HTTP interface with the parameters.
func (k *kannel) sendQuery(t *testing.T, q url.Values) {
	t.Helper()
	q.Set("username", "test")
	q.Set("password", "test")
	q.Set("charset", "UTF-8")
	res, err := http.Get(k.send + "?" + q.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusAccepted {
		t.Fatalf("sendsms: %s", res.Status)
	}
}
