package main

import (
	"context"
	"encoding/json"
	"fmt"
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
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/channel/sms"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/kanneltest"
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
		guideRow{"amount, card and time", "447911123001", "Code 4829 for 1,250.00 EUR, card *4417, until 14:05",
			0, "4829"},
		guideRow{"Arabic", "447911123011", "رمز التحقق: ٤٨٢٩١٠ لا تشاركه", 0, "482910"},
		guideRow{"Ukrainian", "447911123021", "Ваш код 482910. Нікому не кажіть.", 0, "482910"},
		guideRow{"order number", "447911123031", "Your order 88120 has shipped", smpp.StatusInvalidMsgLength, ""},
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
		{"unsupported country", bind{"bind_transceiver", "europe", demoPassword, 1}, []smpp.Status{0, 0x0B}},
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
		guideRow{"number of 22 characters", strings.Repeat("1", 22), anyText, smpp.StatusInvalidDestination, ""},
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
	kannel := kanneltest.Start(t, kanneltest.Config{Port: port, Username: "aggregator", Password: demoPassword})
	kanneltest.Poll(t, "the bind", func() bool {
		all := c.server.Sessions()
		return len(all) == 1 && all[0].SystemID() == "aggregator"
	})
	rows := append(guideRows(),
		guideRow{"of several parts", "447911126001",
			"Ваш код 482910. " + strings.Repeat("Нікому не кажіть. ", 10), 0, "482910"})
	for i, r := range rows {
		q := url.Values{
			"from": {"MyBank"}, "to": {r.to}, "text": {r.text}, "dlr-mask": {"19"},
			"dlr-url": {fmt.Sprintf("%s/?row=%d&type=%%d&why=%%A", hook.URL, i)},
		}
		if sms.Detect(r.text) == sms.UCS2 {
			q.Set("coding", "2")
		}
		kannel.Send(t, q)
	}
	kanneltest.Poll(t, "the reports", func() bool {
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
