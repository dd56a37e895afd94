package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/smppserver"
)

func TestDemo(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := run(t.Context(), nil, os.Getenv, nil, &out); err != nil {
		t.Fatal(err, out.String())
	}
	want, err := os.ReadFile("expected.txt")
	if err != nil {
		t.Fatal(err)
	}
	if out.String() != string(want) {
		t.Errorf("it says:\n%s", &out)
	}
}

// A sentMessages channel keeps what it is handed.
type sentMessages struct {
	mu  sync.Mutex
	all []*channel.Message
	sub channel.Submission
	demoChannel
}

func (s *sentMessages) Send(ctx context.Context, m *channel.Message) (channel.Submission, error) {
	sub, err := s.demoChannel.Send(ctx, m)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, m)
	if s.sub.State != 0 {
		sub = s.sub
	}
	return sub, err
}

func (s *sentMessages) take() []*channel.Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.all
	s.all = nil
	return all
}

// newTestConnector is a connector without TLS, and its channel.
func newTestConnector(t *testing.T) (*connector, *sentMessages) {
	t.Helper()
	all, err := demoAccounts()
	if err != nil {
		t.Fatal(err)
	}
	c, err := newConnector(all, smppserver.Config{DangerouslyPlaintext: true}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.server.Close() })
	sent := &sentMessages{demoChannel: demoChannel{out: io.Discard}}
	c.channel = sent
	return c, sent
}

// connect opens a pipe to a connector.
func connect(t *testing.T, c *connector) *esme {
	t.Helper()
	client, server := net.Pipe()
	if err := c.server.ServeConn(server); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	e := newESME(client)
	_ = client.SetDeadline(time.Time{})
	return e
}

// TestMessage: the channel gets the code, the brand, the language and the life of the
// message, and a text that says them.
func TestMessage(t *testing.T) {
	t.Parallel()
	c, sent := newTestConnector(t)
	e := connect(t, c)
	if status, err := e.bind(bindTransceiver, "aggregator", demoPassword); status != 0 || err != nil {
		t.Fatal(status, err)
	}
	for _, v := range guideTexts {
		status, id, err := e.submit(submit{to: "4915123456781", text: v.text, validity: "000000001000000R"})
		if status != smpp.StatusOK || err != nil {
			t.Fatalf("%q: %v, %v", v.text, status, err)
		}
		m := sent.take()[0]
		if m.ID != id || m.Code != v.code || m.Sender != "MyBank" || m.Language != "de" ||
			m.To.Phone != "+4915123456781" ||
			m.Text != v.code+" ist Ihr Code für MyBank. Er ist 10 Minuten gültig. Bitte nicht weitergeben." {
			t.Errorf("%q: %#v, %q, %q", v.text, m, m.Code, m.Text)
		}
		if life := m.Expires.Sub(m.Created); life > 10*time.Minute || life < 9*time.Minute {
			t.Errorf("%q lives %v", v.text, life)
		}
	}
}

// TestTimeouts: the connector keeps the timeouts of the guide.
func TestTimeouts(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		bind  bool
		every time.Duration // of enquire_link; 0: none
		want  time.Duration
	}{
		"pre-bind":             {false, 0, 30 * time.Second},
		"inactivity":           {true, 0, 90 * time.Second},
		"max session duration": {true, time.Minute, 24 * time.Hour},
	} {
		synctest.Test(t, func(t *testing.T) {
			c, _ := newTestConnector(t)
			e := connect(t, c)
			began := time.Now()
			if tt.bind {
				if status, err := e.bind(bindTransceiver, "aggregator", demoPassword); status != 0 || err != nil {
					t.Fatal(status, err)
				}
			}
			if tt.every > 0 {
				go func() {
					for {
						time.Sleep(tt.every)
						if err := e.write(enquireLink, 99, nil); err != nil {
							return
						}
					}
				}()
			}
			for {
				command, _, seq, _, err := e.read()
				if err != nil {
					break
				}
				if command == unbind {
					_ = e.write(unbind|response, seq, nil)
				}
			}
			if took := time.Since(began); took != tt.want {
				t.Errorf("%s: closed after %v, want %v", name, took, tt.want)
			}
			time.Sleep(time.Hour)
		})
	}
}

// TestLaterReceipt: what the channel learns later goes to the aggregator, if it asked.
func TestLaterReceipt(t *testing.T) {
	t.Parallel()
	c, sent := newTestConnector(t)
	sent.sub = channel.Submission{State: channel.Sent, ProviderIDs: []string{"p1"}}
	e := connect(t, c)
	if status, err := e.bind(bindTransceiver, "aggregator", demoPassword); status != 0 || err != nil {
		t.Fatal(status, err)
	}
	for _, tt := range []struct {
		receipt channel.Receipt
		want    string // of the receipt; empty: there is none
		silent  bool
	}{
		{channel.Receipt{ProviderID: "p1", State: channel.Delivered}, " stat:DELIVRD ", false},
		{channel.Receipt{ProviderID: "p1", State: channel.Failed}, " stat:UNDELIV ", false},
		{channel.Receipt{ProviderID: "p1", State: channel.Delivered}, "", true},
	} {
		e.receipts = nil
		status, id, err := e.submit(submit{to: "14155552671", text: anyText, noReceipt: tt.silent})
		if status != smpp.StatusOK || err != nil {
			t.Fatal(status, err)
		}
		if err := c.receipt(t.Context(), channel.Receipt{ProviderID: "p1", State: channel.Sent}); err != nil {
			t.Errorf("not final: %v", err)
		}
		if err := c.receipt(t.Context(), tt.receipt); err != nil {
			t.Error(err)
		}
		if err := c.receipt(t.Context(), tt.receipt); err == nil {
			t.Error("the message is still awaited")
		}
		if tt.want == "" {
			if status, _, err := e.ask(enquireLink, nil); status != 0 || err != nil || len(e.receipts) > 0 {
				t.Errorf("receipts %q, %v", e.receipts, err)
			}
			continue
		}
		if err := e.awaitReceipts(1); err != nil {
			t.Fatal(err)
		}
		if text := e.receipts[0]; !strings.HasPrefix(text, "id:"+id+" ") || !strings.Contains(text, tt.want) {
			t.Errorf("receipt is %q", text)
		}
	}
}

// TestServe: the program serves the accounts of a file, writes a line of metrics, and
// shows neither numbers nor passwords in its log.
func TestServe(t *testing.T) {
	t.Parallel()
	hash := newHash("s3cret42", 1).String()
	file := accountsFile(t, `[{"system_id":"bank","password_hash":"`+hash+`","sender":"MyBank"}]`)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var out lockedBuffer
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"-accounts", file, "-listen", "127.0.0.1:0", "-dangerously-plaintext",
			"-metrics", "10ms"}, os.Getenv, nil, &out)
	}()
	addr := ""
	for addr == "" {
		runtime.Gosched()
		if _, rest, ok := strings.Cut(out.String(), "listening on "); ok && strings.Contains(rest, "\n") {
			addr, _, _ = strings.Cut(rest, "\n")
		}
	}
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	e := newESME(conn)
	if status, err := e.bind(bindTransceiver, "bank", "s3cret42"); status != 0 || err != nil {
		t.Fatal(status, err)
	}
	status, _, err := e.submit(submit{to: "447911123457", text: anyText})
	if status != smpp.StatusSubmitFailed || err != nil {
		t.Error(status, err)
	}
	if err := e.leave(); err != nil {
		t.Error(err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	text := out.String()
	for _, want := range []string{"metrics: sessions=", "submit.ESME_RSUBMITFAIL=1"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
	for _, secret := range []string{"s3cret42", "447911123457", "482910"} {
		if strings.Contains(text, secret) {
			t.Errorf("%q is in:\n%s", secret, text)
		}
	}
}

// A lockedBuffer is written by one goroutine and read by another.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func accountsFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "accounts.json")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestBadArguments(t *testing.T) {
	t.Parallel()
	const plain, kind = "-dangerously-plaintext", "-channel"
	good := accountsFile(t,
		`[{"system_id":"bank","password_hash":"`+newHash("x", 1).String()+`","sender":"MyBank"}]`)
	for want, args := range map[string][]string{
		"-accounts is needed":   {"-listen", ":0"},
		"-cert and -key":        {"-accounts", good},
		"1 to 8 characters":     {"-hash"},
		"is not a flag":         {"-accounts", good, "extra"},
		"one of demo":           {"-accounts", good, plain, kind, "fax"},
		"-mail-to is needed":    {"-accounts", good, plain, kind, "email", "-smtp", "smtp://h:587"},
		"-smtp must be":         {"-accounts", good, plain, kind, "email", "-smtp", "h"},
		"-values":               {"-accounts", good, plain, kind, "provider", "-values", "none"},
		"Username":              {"-accounts", good, plain, kind, "phone"},
		"no such file":          {"-accounts", filepath.Join(t.TempDir(), "none"), "-dangerously-plaintext"},
		"there are no accounts": {"-accounts", accountsFile(t, `[]`), "-dangerously-plaintext"},
		"as -hash prints it":    {"-accounts", accountsFile(t, `[{"system_id":"a"}]`), "-dangerously-plaintext"},
		"system_id is required": {"-accounts", accountsFile(t, `[{"sender":"a"}]`), "-dangerously-plaintext"},
		"\"XX\" is not a country": {"-accounts", accountsFile(t, strings.Replace(mustJSON(t, good), `"sender"`,
			`"countries":["XX"],"sender"`, 1)), "-dangerously-plaintext"},
		"is not a BCP 47 tag": {"-accounts", accountsFile(t, strings.Replace(mustJSON(t, good), `"sender"`,
			`"language":"no such","sender"`, 1)), plain},
		"unknown field": {"-accounts", accountsFile(t, strings.Replace(mustJSON(t, good), `"sender"`,
			`"network":["203.0.113.0/24"],"sender"`, 1)), plain},
		"sender: ": {"-accounts",
			accountsFile(t, strings.Replace(mustJSON(t, good), `"MyBank"`, `"My\nBank"`, 1)), plain},
		"there are two": {"-accounts", accountsFile(t,
			fmt.Sprintf("[%s,%[1]s]", strings.Trim(mustJSON(t, good), "[]"))),
			plain},
	} {
		err := run(t.Context(), args, func(string) string { return "" }, strings.NewReader("nine char\n"),
			io.Discard)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", args, err, want)
		}
	}
}

func mustJSON(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil || !json.Valid(b) {
		t.Fatal(err)
	}
	return string(b)
}

// TestHash: what -hash prints is the password_hash of an account.
func TestHash(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := run(t.Context(), []string{"-hash"}, os.Getenv, strings.NewReader("s3cret42\n"), &out); err != nil {
		t.Fatal(err)
	}
	all,
		err := newAccounts(&account{SystemID: "bank", PasswordHash: strings.TrimSpace(out.String()), Sender: "MyBank"})
	if err != nil {
		t.Fatal(err)
	}
	for password, want := range map[string]smpp.Status{"s3cret42": smpp.StatusOK, "s3cret4": 0x0E, "": 0x0E} {
		got := all.authenticate(t.Context(), smppserver.BindRequest{SystemID: "bank", Password: password})
		if got != want {
			t.Errorf("password %q: %v", password, got)
		}
	}
}
