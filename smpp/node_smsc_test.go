package smpp_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/sms"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/peertest"
)

// A nodeSMSC is node-smpp 0.5.1 (npm) as SMSC, in a process of its own.
type nodeSMSC struct {
	Addr     string
	TLS      *tls.Config      // for its clients; nil: plain
	Messages chan nodeMessage // every submit_sm it received, up to 20000
	Answers  chan nodeMessage // every answer to a receipt
	Cancels  chan nodeMessage // every cancel_sm
}

// A nodeMessage is a line that testdata/node-smsc.js writes.
type nodeMessage struct {
	Event      string
	Port       int    // of "listening"
	ID         string // message_id
	From, To   string
	Text       string
	Payload    string // of message_payload
	FromTON    uint8
	ToTON      uint8
	ToNPI      uint8
	DataCoding uint8
	Registered uint8
	UDH        string // in hexadecimal
	Status     uint32 // of "answer"
}

// startNodeSMSC starts node-smpp over TLS.
func startNodeSMSC(t *testing.T) *nodeSMSC { return startNode(t, true) }

// startNode starts node-smpp, over TLS or plain, and stops it with the test.
func startNode(t *testing.T, secure bool) *nodeSMSC {
	t.Helper()
	peertest.RequireNodeSMPP(t)
	args := []string{filepath.Join("testdata", "node-smsc.js")}
	var config *tls.Config
	if secure {
		key, cert, trusting := peertest.Certificate(t)
		args, config = append(args, key, cert), trusting
	}
	cmd := exec.Command("node", args...)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	n := &nodeSMSC{TLS: config, Messages: make(chan nodeMessage, 20000), Answers: make(chan nodeMessage, 20000),
		Cancels: make(chan nodeMessage, 20000)}
	port := make(chan int, 1)
	var wg sync.WaitGroup
	wg.Go(func() { n.listen(bufio.NewScanner(stdout), port) })
	t.Cleanup(func() {
		stdin.Close() // it ends then
		wg.Wait()
		if err := cmd.Wait(); err != nil {
			t.Errorf("node-smsc.js: %v", err)
		}
	})
	p, ok := <-port
	if !ok {
		t.Fatal("node-smsc.js does not listen")
	}
	n.Addr = fmt.Sprintf("127.0.0.1:%d", p)
	return n
}

// listen sorts the script's lines until it ends.
func (n *nodeSMSC) listen(lines *bufio.Scanner, port chan<- int) {
	defer close(port)
	for lines.Scan() {
		var m nodeMessage
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			continue
		}
		var to chan nodeMessage
		switch m.Event {
		case "listening":
			port <- m.Port
		case "message":
			to = n.Messages
		case "answer":
			to = n.Answers
		case "cancel":
			to = n.Cancels
		}
		select {
		case to <- m:
		default: // nobody wants that many
		}
	}
}

// receive takes one line, or fails.
func receive(t *testing.T, from <-chan nodeMessage) nodeMessage {
	t.Helper()
	select {
	case m := <-from:
		return m
	case <-time.After(20 * time.Second):
		t.Fatal("node-smpp says nothing")
		panic("unreachable")
	}
}

// TestRealNodeSMPPClient submits to node-smpp over TLS and matches every
// receipt.
func TestRealNodeSMPPClient(t *testing.T) {
	t.Parallel()
	smsc := startNodeSMSC(t)
	got := newReceipts()
	c := newClient(t, smpp.Config{
		Addr: smsc.Addr, TLS: smsc.TLS, SystemID: "bank", Password: "secret", Sender: "MyBank",
		Window: 50, Receipt: got.handle,
	})
	texts := []string{
		"%06d is your code {€}",
		"Ваш код: %06d",
		strings.Repeat("A long one. ", 20) + "%06d",
		strings.Repeat("Длинное 😀. ", 12) + "%06d",
	}
	const n = 500
	sent := sendAll(t, c, n, func(i int) string { return fmt.Sprintf(texts[i%len(texts)], i) })

	texts = received(t, smsc, n, len(sent))
	for i := range n {
		if want := fmt.Sprintf("%06d", i); !strings.Contains(texts[i], want) {
			t.Errorf("message %d reads %q", i, texts[i])
		}
	}
	for _, r := range got.wait(t, len(sent)) {
		if !sent[r.ProviderID] || r.State != channel.Delivered {
			t.Errorf("receipt %+v matches nothing", r)
		}
		delete(sent, r.ProviderID)
	}
	if len(sent) != 0 {
		t.Errorf("%d ids without a receipt", len(sent))
	}
	for range len(got.got) {
		if a := receive(t, smsc.Answers); a.Status != 0 {
			t.Errorf("receipt %s was answered with %#x", a.ID, a.Status)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := c.Shutdown(ctx); err != nil {
		t.Error(err)
	}
}

// TestRealNodeSMPPTenThousand submits 10,000 messages over a window of 100, and
// each of the 10,000 receipts finds its message.
func TestRealNodeSMPPTenThousand(t *testing.T) {
	for name, secure := range map[string]bool{"plain": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			const n = 10000
			smsc := startNode(t, secure)
			got := newReceipts()
			c := newClient(t, smpp.Config{
				Addr: smsc.Addr, TLS: smsc.TLS, DangerouslyPlaintext: !secure, SystemID: "bank", Password: "secret",
				Sender: "MyBank", Window: 100, Receipt: got.handle,
			})
			ready(t, c)
			began := time.Now()
			sent := sendAll(t, c, n, func(i int) string { return fmt.Sprintf("%06d is your code", i) })
			took := time.Since(began)
			if len(sent) != n {
				t.Fatalf("%d ids of %d messages", len(sent), n)
			}
			matched := 0
			for _, r := range got.wait(t, n) {
				if sent[r.ProviderID] && r.State == channel.Delivered {
					matched++
				}
				delete(sent, r.ProviderID)
			}
			t.Logf("%d of %d receipts matched; submitted in %v (%.0f/s)", matched, n, took.Round(time.Millisecond),
				n/took.Seconds())
			if matched != n || len(sent) != 0 {
				t.Errorf("%d of %d receipts matched, %d messages are without one", matched, n, len(sent))
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if err := c.Shutdown(ctx); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestRealNodeSMPPForms has node-smpp read what is not usual: a pair of binds as
// SMPP 5.0, sar parameters, message_payload, Latin-1 and parameters of one's own.
func TestRealNodeSMPPForms(t *testing.T) {
	t.Parallel()
	smsc := startNodeSMSC(t)
	long := strings.Repeat("A long one. ", 20)
	for i, tt := range []struct {
		text  string
		parts int
		edit  func(*smpp.Config)
	}{
		{"482910", 1, func(c *smpp.Config) { c.Pair, c.Version = true, 0x50 }},
		{long, 2, func(c *smpp.Config) { c.Long = smpp.LongSAR }},
		{long, 1, func(c *smpp.Config) { c.Long = smpp.LongPayload }},
		{"Código ç", 1, func(c *smpp.Config) { c.Codings = []smpp.Coding{{DataCoding: 3, Encoding: sms.Latin1}} }},
		{"482910", 1, func(c *smpp.Config) { c.TLVs = []smpp.TLV{{Tag: 0x1400, Value: []byte("1101234567890\x00")}} }},
	} {
		got := newReceipts()
		config := smpp.Config{
			Addr: smsc.Addr, TLS: smsc.TLS, SystemID: "bank", Password: "secret", Sender: "MyBank", Receipt: got.handle,
		}
		tt.edit(&config)
		c := newClient(t, config)
		sub, err := c.Send(t.Context(), message(ann, tt.text))
		if err != nil || len(sub.ProviderIDs) != tt.parts {
			t.Fatalf("form %d: %+v, %v", i, sub, err)
		}
		var read strings.Builder
		for range tt.parts {
			m := receive(t, smsc.Messages)
			read.WriteString(m.Text + m.Payload)
			if r := got.wait(t, 1)[0]; !slices.Contains(sub.ProviderIDs, r.ProviderID) || r.State != channel.Delivered {
				t.Errorf("form %d: receipt is %+v for %v", i, r, sub.ProviderIDs)
			}
		}
		if read.String() != tt.text {
			t.Errorf("form %d: node-smpp read %q", i, read.String())
		}
	}
}

// TestRealNodeSMPPCancel withdraws a message of several parts from node-smpp,
// once.
func TestRealNodeSMPPCancel(t *testing.T) {
	t.Parallel()
	smsc := startNodeSMSC(t)
	c := newClient(t, smpp.Config{Addr: smsc.Addr, TLS: smsc.TLS, SystemID: "bank", Password: "secret",
		Sender: "MyBank"})
	m := message(ann, strings.Repeat("A long one. ", 20))
	sub, err := c.Send(t.Context(), m)
	if err != nil || len(sub.ProviderIDs) != 2 {
		t.Fatalf("%+v, %v", sub, err)
	}
	if err := c.Cancel(t.Context(), m, sub); err != nil {
		t.Fatal(err)
	}
	for i, id := range sub.ProviderIDs {
		sent, got := receive(t, smsc.Messages), receive(t, smsc.Cancels)
		want := nodeMessage{
			Event: "cancel", ID: id, From: sent.From, FromTON: sent.FromTON, To: sent.To, ToTON: sent.ToTON,
			ToNPI: sent.ToNPI,
		}
		if got != want {
			t.Errorf("part %d: node-smpp read %+v, want %+v", i, got, want)
		}
	}
	wantClass(t, c.Cancel(t.Context(), m, sub), channel.Unknown, "0x11")
}

// sendAll sends n messages, 100 at a time, and returns the ids.
func sendAll(t *testing.T, c *smpp.Client, n int, text func(i int) string) map[string]bool {
	t.Helper()
	var mu sync.Mutex
	ids := make(map[string]bool)
	var wg sync.WaitGroup
	for w := range 100 {
		wg.Go(func() {
			for i := w; i < n; i += 100 {
				m := message(numbered(i), text(i))
				m.Expires = time.Now().Add(5 * time.Minute)
				sub, err := c.Send(t.Context(), m)
				if err != nil {
					t.Errorf("message %d: %v", i, err)
				}
				mu.Lock()
				for _, id := range sub.ProviderIDs {
					ids[id] = true
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return ids
}

// received joins the parts that node-smpp read, by the number they went to.
func received(t *testing.T, smsc *nodeSMSC, messages, parts int) []string {
	t.Helper()
	texts := make([][256]string, messages)
	for range parts {
		m := receive(t, smsc.Messages)
		if m.From != "MyBank" || m.FromTON != 5 || m.ToTON != 1 || m.ToNPI != 1 || m.Registered != 1 {
			t.Errorf("node-smpp read %+v", m)
		}
		var i, part int
		if _, err := fmt.Sscanf(m.To, "4479111%05d", &i); err != nil || i >= messages {
			t.Fatalf("node-smpp read destination %q", m.To)
		}
		if m.UDH != "" {
			if _, err := fmt.Sscanf(m.UDH[len(m.UDH)-2:], "%02x", &part); err != nil {
				t.Fatalf("node-smpp read user data header %q", m.UDH)
			}
		}
		texts[i][part] = m.Text
	}
	joined := make([]string, messages)
	for i := range texts {
		joined[i] = strings.Join(texts[i][:], "")
	}
	return joined
}
