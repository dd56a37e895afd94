// Package kanneltest runs Kannel, the SMS gateway of Debian's package kannel, as ESME for tests.
// Kannel binds to an SMSC on the loopback interface, and submits the messages that it gets over
// HTTP.
//
//	k := kanneltest.Start(t, kanneltest.Config{Port: port, Username: "bank", Password: "secret"})
//	k.Send(t, url.Values{"from": {"MyBank"}, "to": {"447911123456"}, "text": {"482910"}})
//
// Kannel runs until the end of the test, and then unbinds. A Kannel is safe for concurrent use.
package kanneltest

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// Config holds the SMSC's address and Kannel's settings.
type Config struct {
	Port               int // of the SMSC
	Username, Password string
	TLS                bool
	SMSC               string // further lines of its group smsc
	Service            string // further lines of its group sms-service; default: messages are answered by "none"
}

// A Kannel is a bearerbox, which is an ESME, and a smsbox, which has an HTTP interface.
type Kannel struct {
	// URL is the beginning of the HTTP interface, "http://127.0.0.1:20000": its sendsms is /cgi-bin/sendsms, and takes
	// the username "test" with the password "test".
	URL string
}

const configuration = `
group = core
admin-port = %[1]d
admin-password = admin
smsbox-port = %[2]d
box-allow-ip = 127.0.0.1
log-file = "%[4]s/bearerbox.log"
log-level = 0
store-type = file
store-location = "%[4]s/store"
dlr-storage = internal

group = smsc
smsc = smpp
smsc-id = front
host = 127.0.0.1
port = %[5]d
transceiver-mode = true
smsc-username = %[6]s
smsc-password = %[7]s
use-ssl = %[8]t
system-type = ""
interface-version = 34
source-addr-ton = 5
source-addr-npi = 0
dest-addr-ton = 1
dest-addr-npi = 1
enquire-link-interval = 30
reconnect-delay = 1
max-pending-submits = 20
%[9]s

group = smsbox
bearerbox-host = 127.0.0.1
bearerbox-port = %[2]d
sendsms-port = %[3]d
log-file = "%[4]s/smsbox.log"
log-level = 0

group = sendsms-user
username = test
password = test
max-messages = 10
concatenation = true

group = sms-service
keyword = default
max-messages = 0
%[10]s
`

// Start runs Kannel until the end of the test. If Kannel is not installed, the test is skipped. If
// the environment has OTPCOURIER_REAL=require, the test fails instead.
func Start(t *testing.T, c Config) *Kannel {
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
	file := filepath.Join(dir, "kannel.conf")
	text := fmt.Appendf(nil, configuration, admin, boxes, send, dir, c.Port, c.Username, c.Password, c.TLS, c.SMSC,
		cmp.Or(c.Service, `text = "none"`))
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			for _, name := range []string{"bearerbox.log", "smsbox.log"} {
				b, _ := os.ReadFile(filepath.Join(dir, name))
				t.Logf("%s: %s", name, b[max(0, len(b)-4000):])
			}
		}
	})
	run(t, "bearerbox", file)
	awaitPort(t, boxes)
	run(t, "smsbox", file)
	awaitPort(t, send)
	// It listens before it is connected, and an earlier message would kill it.
	Poll(t, "smsbox to find bearerbox", func() bool {
		log, err := os.ReadFile(filepath.Join(dir, "smsbox.log"))
		return err == nil && bytes.Contains(log, []byte("Connected to bearerbox"))
	})
	return &Kannel{URL: fmt.Sprintf("http://127.0.0.1:%d", send)}
}

// Send submits a message. The parameters are those of Kannel's sendsms, for example from, to and
// text; Send adds the user.
func (k *Kannel) Send(t *testing.T, parameters url.Values) {
	t.Helper()
	q := url.Values{"username": {"test"}, "password": {"test"}, "charset": {"UTF-8"}}
	for name, values := range parameters {
		q[name] = values
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, k.URL+"/cgi-bin/sendsms?"+q.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusAccepted {
		t.Fatalf("sendsms: %s", res.Status)
	}
}

// run runs one of Kannel's programs until the end of the test.
func run(t *testing.T, program, file string) {
	t.Helper()
	cmd := exec.CommandContext(context.Background(), program, file) // it outlives t.Context(), to unbind
	cmd.Dir = filepath.Dir(file)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		limit := 20 * time.Second
		if program == "smsbox" { // may wait without end, if the signal comes directly after a message
			limit = 3 * time.Second
		}
		select {
		case <-ended:
		case <-time.After(limit):
			if program == "bearerbox" { // it must unbind
				t.Errorf("%s did not stop", program)
			}
			_ = cmd.Process.Kill()
			<-ended
		}
	})
}

// freePort returns a port below the system's own range, so that no other program takes it before
// Kannel does.
func freePort(t *testing.T) int {
	t.Helper()
	for range 100 {
		port := 20_000 + rand.IntN(12_000)
		if l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}

// awaitPort waits until another process listens.
func awaitPort(t *testing.T, port int) {
	t.Helper()
	Poll(t, fmt.Sprintf("port %d", port), func() bool {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
}

// Poll waits for an effect of another process, at most 30 s.
func Poll(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("waited too long for %s", what)
		}
	}
}
