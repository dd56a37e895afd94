package smtp_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smtp"
)

// Faults that a fake can show in place of a reply, or after half of one.
const (
	stall   = "\x00stall"   // says nothing, goes on reading
	deaf    = "\x00deaf"    // says nothing, reads nothing more
	hangUp  = "\x00hang up" // closes the connection
	endless = "\x00endless" // a reply that never ends
)

// A fake is a relay under the script of a test, down to the octet. It replies
// to each step with what script holds for it, else as a willing relay does.
// Steps are the commands, and besides "greeting", "handshake" (after STARTTLS),
// "EHLO+" (under TLS), "response" (to a challenge), "body" and ".".
type fake struct {
	script      map[string]string
	certificate tls.Certificate
	implicit    bool
	pipelining  bool // offered
	octets      bool // each octet of a reply is sent alone

	done  chan struct{}
	serve sync.WaitGroup

	reject  func(line string) string // a reply to a command; empty: as in script
	unasked string                   // said once, a second after the first mail
	slow    time.Duration            // before the reply to each mail

	mu    sync.Mutex
	seen  []string // "+" marks what came under TLS
	lines []string
	dials int
}

// newFake returns a fake to which the Config's Dial connects in memory, so that
// it works in virtual time. Stop it in the same bubble.
func newFake(script map[string]string) (*fake, smtp.Config) {
	certified := httptest.NewTLSServer(nil)
	certified.Close()
	f := &fake{script: script, certificate: certified.TLS.Certificates[0], done: make(chan struct{})}
	roots := x509.NewCertPool()
	roots.AddCert(certified.Certificate())
	return f, smtp.Config{
		Addr:      "example.com:587",
		TLSConfig: &tls.Config{RootCAs: roots},
		From:      "MyBank <codes@mybank.example>",
		Username:  username,
		Password:  password,
		HelloName: "client.example",
		Dial:      f.dial,
	}
}

func (f *fake) dial(context.Context, string, string) (net.Conn, error) {
	f.mu.Lock()
	f.dials++
	f.mu.Unlock()
	client, server := net.Pipe()
	f.serve.Go(func() {
		defer server.Close()
		f.talk(server)
	})
	return client, nil
}

func (f *fake) stop() {
	close(f.done)
	f.serve.Wait()
}

func (f *fake) commands() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.seen)
}

var willing = map[string]string{
	"greeting":  "220 fake ESMTP\r\n",
	"EHLO":      "250-fake\r\n250-8BITMIME\r\n250 STARTTLS\r\n",
	"RSET":      "250 2.0.0 ok\r\n",
	"EHLO+":     "250-fake\r\n250-8BITMIME\r\n250-SIZE\r\n250 AUTH PLAIN LOGIN\r\n",
	"STARTTLS":  "220 go ahead\r\n",
	"handshake": "",
	"AUTH":      "235 2.7.0 welcome\r\n",
	"MAIL":      "250 2.1.0 ok\r\n",
	"RCPT":      "250 2.1.5 ok\r\n",
	"DATA":      "354 go ahead\r\n",
	"body":      "",
	".":         "250 2.0.0 Ok: queued as 4XyZ12\r\n",
	"QUIT":      "221 bye\r\n",
}

// answer plays a step, and returns false when the conversation is over.
func (f *fake) answer(conn net.Conn, step string) bool { return f.play(conn, step, f.reply(step)) }

func (f *fake) reply(step string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if reply, scripted := f.script[step]; scripted {
		return reply
	}
	reply, known := willing[step]
	if !known {
		return "500 what?\r\n"
	}
	if step == "EHLO+" && f.pipelining {
		return strings.Replace(reply, "250-8BITMIME", "250-PIPELINING\r\n250-8BITMIME", 1)
	}
	return reply
}

func (f *fake) play(conn net.Conn, step, reply string) bool {
	for _, fault := range []string{stall, hangUp} {
		if half, broken := strings.CutSuffix(reply, fault); broken && half != "" {
			if _, err := io.WriteString(conn, half); err != nil {
				return false
			}
			reply = fault
		}
	}
	switch reply {
	case stall:
		_, _ = io.Copy(io.Discard, conn)
		return false
	case deaf:
		<-f.done
		return false
	case hangUp:
		return false
	case endless:
		for {
			if _, err := io.WriteString(conn, "250-and another thing\r\n"); err != nil {
				return false
			}
		}
	}
	if step == "handshake" && reply != "" { // while the client writes: a pipe has no buffer
		f.serve.Go(func() { _, _ = io.Copy(io.Discard, conn) })
		_, _ = io.WriteString(conn, reply)
		return false
	}
	size := max(len(reply), 1)
	if f.octets {
		size = 1
	}
	for part := range slices.Chunk([]byte(reply), size) {
		if _, err := conn.Write(part); err != nil {
			return false
		}
	}
	if step == "." && f.unasked != "" {
		said := f.unasked
		f.unasked = ""
		f.serve.Go(func() {
			time.Sleep(time.Second)
			_, _ = io.WriteString(conn, said)
		})
	}
	return step != "QUIT"
}

func (f *fake) talk(raw net.Conn) {
	conn, suffix := raw, ""
	if f.implicit {
		conn, suffix = tls.Server(raw, &tls.Config{Certificates: []tls.Certificate{f.certificate}}), "+"
	}
	if !f.answer(conn, "greeting") {
		return
	}
	lines := bufio.NewReader(conn)
	inBody, refused := false, false
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		step, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		if inBody {
			if step != "." {
				continue
			}
			inBody = false
		}
		f.mu.Lock()
		f.seen = append(f.seen, step+suffix)
		f.lines = append(f.lines, strings.TrimSpace(line))
		special := ""
		if f.reject != nil {
			special = f.reject(line)
		}
		f.mu.Unlock()
		if step == "EHLO" {
			step += suffix
		}
		reply := f.reply(step)
		if step == "." {
			time.Sleep(f.slow)
		}
		switch step {
		case "MAIL", "RSET":
			refused = false
		case "DATA":
			if _, scripted := f.script[step]; refused && !scripted {
				reply = "503 5.5.1 no recipients\r\n"
			}
		}
		if special != "" {
			reply = special
		}
		refused = refused || reply != "" && reply[0] >= '4'
		if !f.play(conn, step, reply) {
			return
		}
		switch step {
		case "STARTTLS":
			if !f.answer(raw, "handshake") {
				return
			}
			conn, suffix = tls.Server(raw, &tls.Config{Certificates: []tls.Certificate{f.certificate}}), "+"
			lines = bufio.NewReader(conn)
		case "DATA":
			if reply[0] != '3' {
				continue
			}
			if inBody = true; !f.answer(conn, "body") {
				return
			}
		}
	}
}

// newFakeFunc is newFake, of a fake of one kind.
type newFakeFunc = func(map[string]string) (*fake, smtp.Config)

// bothWays runs a test against fakes that offer PIPELINING, and that do not.
func bothWays(t *testing.T, test func(*testing.T, newFakeFunc)) {
	t.Helper()
	for name, pipelining := range map[string]bool{"one by one": false, "pipelined": true} {
		t.Run(name, func(t *testing.T) {
			test(t, func(script map[string]string) (*fake, smtp.Config) {
				f, c := newFake(script)
				f.pipelining = pipelining
				return f, c
			})
		})
	}
}

// sendTo sends one message to the fake and returns the error, typed.
func sendTo(ctx context.Context, t *testing.T, f *fake, c smtp.Config) (channel.Submission, *channel.Error) {
	t.Helper()
	defer f.stop()
	ch, err := smtp.New(c)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ch.Close() }()
	s, err := ch.Send(ctx, message("c4n7.1"))
	if err == nil {
		return s, nil
	}
	var e *channel.Error
	if !errors.As(err, &e) {
		t.Fatalf("error is a %T: %v", err, err)
	}
	for _, secret := range []string{"ann.recipient", "58203719", password} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("error holds %q: %v", secret, err)
		}
	}
	return s, e
}
