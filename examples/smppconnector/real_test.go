package main

import (
	"context"
	"encoding/json"
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

	"github.com/otpcourier/otpcourier/smpp"
)

// A guideRow is a message that a real ESME sends, and what the guide says becomes of
// it.
type guideRow struct {
	name     string
	to, text string
	status   smpp.Status
	code     string // that the channel gets; empty: none
}

// guideRows are the example texts of the guide, and the rows of its tables that a
// message decides.
func guideRows() []guideRow {
	var rows []guideRow
	for i, v := range guideTexts {
		rows = append(rows, guideRow{v.text, fmt.Sprintf("44791112%03d1", i), v.text, smpp.StatusOK, v.code})
	}
	return append(rows,
		guideRow{"no iMessage", "447911124007", anyText, smpp.StatusSubmitFailed, "482910"},
		guideRow{"invalid number", "0123", anyText, smpp.StatusInvalidDestination, ""},
		guideRow{"number too long", strings.Repeat("1", 20), anyText, smpp.StatusInvalidDestination, ""},
		guideRow{"no code", "447911125001", "Welcome to MyBank", smpp.StatusInvalidMsgLength, ""},
		guideRow{"code too short", "447911125011", "Your code is 482", smpp.StatusInvalidMsgLength, ""},
		guideRow{"code too long", "447911125021", "Your code is 48291048291", smpp.StatusInvalidMsgLength, ""},
	)
}

// listen serves a connector on a free port.
func listen(t *testing.T) (c *connector, sent *sentMessages, port int) {
	t.Helper()
	c, sent = newTestConnector(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = c.server.Serve(l) }() // the server is closed with the test
	return c, sent, l.Addr().(*net.TCPAddr).Port
}

// codes returns the codes that the channel was handed, by number.
func (s *sentMessages) codes() map[string]string {
	codes := make(map[string]string)
	for _, m := range s.take() {
		codes[strings.TrimPrefix(m.To.Phone, "+")] = m.Code
	}
	return codes
}

// missing skips the test for want of a real part, but fails it under
// OTPCOURIER_REAL=require.
func missing(t *testing.T, reason string) {
	t.Helper()
	if os.Getenv("OTPCOURIER_REAL") == "require" {
		t.Fatal(reason)
	}
	t.Skip(reason)
}

// requireNodeSMPP skips the test where node or its package smpp is missing.
func requireNodeSMPP(t *testing.T) {
	t.Helper()
	if err := exec.CommandContext(t.Context(), "node", "-e", "require('smpp')").Run(); err != nil {
		missing(t, fmt.Sprintf("node-smpp is not there (npm install smpp@0.5.1, NODE_PATH): %v", err))
	}
}

// runNode runs a script of testdata with the port and an argument, and reads what it
// writes.
func runNode(t *testing.T, script string, port int, argument, result any) {
	t.Helper()
	text, err := json.Marshal(argument)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", filepath.Join("testdata", script), fmt.Sprint(port), string(text))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", script, err)
	}
	if err := json.Unmarshal(out, result); err != nil {
		t.Fatalf("%s wrote %q: %v", script, out, err)
	}
}

// TestRealNodeSMPPBinds: node-smpp gets the answers of the guide to its binds, and to
// messages that a bind decides on.
func TestRealNodeSMPPBinds(t *testing.T) {
	t.Parallel()
	requireNodeSMPP(t)
	_, _, port := listen(t)
	type bind struct {
		Command  string `json:"command"`
		SystemID string `json:"system_id"`
		Password string `json:"password"`
		Submits  int    `json:"submits"`
	}
	rows := []struct {
		name string
		bind bind
		want []smpp.Status
	}{
		{"not bound", bind{"", "", "", 1}, []smpp.Status{0x04}},
		{"receiver only", bind{"bind_receiver", "aggregator", demoPassword, 1}, []smpp.Status{0, 0x04}},
		{"transmitter", bind{"bind_transmitter", "aggregator", demoPassword, 1}, []smpp.Status{0, 0}},
		{"over the rate", bind{"bind_transceiver", "slow", demoPassword, 3}, []smpp.Status{0, 0, 0, 0x58}},
		{"wrong password", bind{"bind_transceiver", "aggregator", "guess", 1}, []smpp.Status{0x0E}},
		{"unknown system_id", bind{"bind_transceiver", "nobody", demoPassword, 1}, []smpp.Status{0x0E}},
		{"address not allowed", bind{"bind_transceiver", "elsewhere", demoPassword, 1}, []smpp.Status{0x0D}},
		{"failed bind 4", bind{"bind_transceiver", "aggregator", "guess", 1}, []smpp.Status{0x0E}},
		{"failed bind 5", bind{"bind_transceiver", "aggregator", "guess", 1}, []smpp.Status{0x0E}},
		{"address blocked", bind{"bind_transceiver", "aggregator", demoPassword, 1}, []smpp.Status{0x0D}},
	}
	var binds []bind
	for _, r := range rows {
		binds = append(binds, r.bind)
	}
	var got [][]smpp.Status
	runNode(t, "node-binds.js", port, binds, &got)
	if len(got) != len(rows) {
		t.Fatalf("%d binds of %d", len(got), len(rows))
	}
	for i, r := range rows {
		if !slices.Equal(got[i], r.want) {
			t.Errorf("%s: %v, want %v", r.name, got[i], r.want)
		}
	}
}

// TestRealNodeSMPPGuide: node-smpp gets the answers of the guide, row by row.
func TestRealNodeSMPPGuide(t *testing.T) {
	t.Parallel()
	requireNodeSMPP(t)
	_, sent, port := listen(t)
	type message struct {
		To   string `json:"destination_addr"`
		Text string `json:"short_message"`
	}
	rows := guideRows()
	rows = append(rows,
		guideRow{"no capacity", "447911124009", anyText, smpp.StatusThrottled, "482910"},
		guideRow{"system error", "447911124008", anyText, smpp.StatusSystemError, "482910"})
	var messages []message
	for _, r := range rows {
		messages = append(messages, message{r.to, r.text})
	}
	var got struct {
		Bind smpp.Status
		Rows []struct {
			Status  smpp.Status
			Receipt string
		}
	}
	runNode(t, "node-guide.js", port, messages, &got)
	if got.Bind != smpp.StatusOK || len(got.Rows) != len(rows) {
		t.Fatalf("node-guide.js wrote %+v", got)
	}
	codes := sent.codes()
	for i, r := range rows {
		receipt := ""
		if r.status == smpp.StatusOK {
			receipt = "DELIVRD"
		}
		if v := got.Rows[i]; v.Status != r.status || v.Receipt != receipt || codes[r.to] != r.code {
			t.Errorf("%s: %v, receipt %q, code %q, want %v", r.name, v.Status, v.Receipt, codes[r.to], r.status)
		}
	}
}

const kannelConf = `
group = core
admin-port = %[1]d
admin-password = admin
smsbox-port = %[2]d
box-allow-ip = 127.0.0.1
log-file = "%[5]s/bearerbox.log"
log-level = 0
dlr-storage = internal

group = smsc
smsc = smpp
smsc-id = connector
host = 127.0.0.1
port = %[4]d
transceiver-mode = true
smsc-username = aggregator
smsc-password = s3cret42
system-type = ""
interface-version = 34
source-addr-ton = 5
source-addr-npi = 0
dest-addr-ton = 1
dest-addr-npi = 1
enquire-link-interval = 30
reconnect-delay = 1

group = smsbox
bearerbox-host = 127.0.0.1
bearerbox-port = %[2]d
sendsms-port = %[3]d
log-file = "%[5]s/smsbox.log"
log-level = 0

group = sendsms-user
username = test
password = test

group = sms-service
keyword = default
max-messages = 0
text = "none"
`

// startKannel binds Kannel to the port, and returns the address of its sendsms.
func startKannel(t *testing.T, port int) string {
	t.Helper()
	for _, program := range []string{"bearerbox", "smsbox"} {
		if _, err := exec.LookPath(program); err != nil {
			missing(t, fmt.Sprintf("Kannel is not there (apt-get install kannel): %v", err))
		}
	}
	dir := t.TempDir()
	admin, boxes, send := freePort(t), freePort(t), freePort(t)
	conf := filepath.Join(dir, "kannel.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, kannelConf, admin, boxes, send, port, dir), 0o600); err != nil {
		t.Fatal(err)
	}
	startBox(t, "bearerbox", conf)
	poll(t, "bearerbox", func() bool { return listens(boxes) })
	startBox(t, "smsbox", conf)
	poll(t, "smsbox", func() bool { return listens(send) })
	poll(t, "smsbox to find bearerbox", func() bool {
		log, err := os.ReadFile(filepath.Join(dir, "smsbox.log"))
		return err == nil && strings.Contains(string(log), "Connected to bearerbox")
	})
	return fmt.Sprintf("http://127.0.0.1:%d/cgi-bin/sendsms", send)
}

func startBox(t *testing.T, program, conf string) {
	t.Helper()
	cmd := exec.Command(program, conf)
	cmd.Dir = filepath.Dir(conf)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(3 * time.Second): // smsbox may wait for ever
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

func listens(port int) bool {
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err == nil {
		c.Close()
	}
	return err == nil
}

// poll waits for another process.
func poll(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("waited too long for %s", what)
		}
	}
}

// TestRealKannelGuide: Kannel gets the answers of the guide, row by row. It reports a
// receipt (1: delivered) or the status of a refusal ("NACK/0x00000045/…").
func TestRealKannelGuide(t *testing.T) {
	t.Parallel()
	c, sent, port := listen(t)
	var mu sync.Mutex
	reports := make(map[string]string) // by the row's number
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		switch kind, row := r.FormValue("type"), r.FormValue("row"); kind {
		case "1":
			reports[row] = "delivered"
		case "2", "16":
			reports[row] = r.FormValue("why")
		}
	}))
	defer hook.Close()
	sendsms := startKannel(t, port)
	poll(t, "the bind", func() bool {
		all := c.server.Sessions()
		return len(all) == 1 && all[0].SystemID() == "aggregator"
	})
	rows := guideRows()
	for i, r := range rows {
		q := url.Values{
			"username": {"test"}, "password": {"test"}, "from": {"MyBank"}, "to": {r.to}, "text": {r.text},
			"dlr-mask": {"19"}, "dlr-url": {fmt.Sprintf("%s/?row=%d&type=%%d&why=%%A", hook.URL, i)},
		}
		res, err := http.Get(sendsms + "?" + q.Encode())
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusAccepted {
			t.Fatalf("sendsms: %s", res.Status)
		}
	}
	poll(t, "the reports", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(reports) == len(rows)
	})
	codes := sent.codes()
	for i, r := range rows {
		want := "delivered"
		if r.status != smpp.StatusOK {
			want = fmt.Sprintf("NACK/0x%08x/", uint32(r.status))
		}
		if got := reports[fmt.Sprint(i)]; !strings.HasPrefix(got, want) || codes[r.to] != r.code {
			t.Errorf("%s: %q, code %q, want %q", r.name, got, codes[r.to], want)
		}
	}
}
