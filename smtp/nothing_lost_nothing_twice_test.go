package smtp_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smtp"
)

// A faultyRelay is a relay that goes wrong at random: at any step it may refuse, hang
// up, or say nothing more, before or after it has taken the mail.
type faultyRelay struct {
	*ledger
	name   string
	faults float64     // the share of steps that go wrong
	tls    *tls.Config // from the first octet; nil: none
	serve  sync.WaitGroup

	mu     sync.Mutex
	random *rand.Rand
}

// A ledger holds what relays have taken, over all of them.
type ledger struct {
	mu     sync.Mutex
	taken  map[string]int // by Message-ID: how often
	by     map[string]int // by relay: how many
	broken []string       // mails that were not whole
}

func (c *faultyRelay) dial(context.Context, string, string) (net.Conn, error) {
	client, server := net.Pipe()
	c.serve.Go(func() {
		defer server.Close()
		if c.tls == nil {
			c.talk(server)
			return
		}
		c.talk(tls.Server(server, c.tls))
	})
	return client, nil
}

func (c *faultyRelay) chance() float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.random.Float64()
}

// The faults. The first are such that a relay may show after it has taken a
// mail.
var (
	faults = []string{hangUp, stall, "250 2.0.0\r\n250 twice\r\n", "25", "421 4.3.2 closing\r\n",
		"451 4.3.0 disk\r\n"}
	dotFaults = faults[:4]
)

// answer gives the reply, or a fault instead; false: the connection is over.
func (c *faultyRelay) answer(conn net.Conn, reply string, faults []string) (faulty, alive bool) {
	if c.chance() < c.faults {
		reply, faulty = faults[int(c.chance()*float64(len(faults)))], true
	}
	switch reply {
	case hangUp:
		return faulty, false
	case stall:
		_, _ = io.Copy(io.Discard, conn)
		return faulty, false
	}
	_, err := io.WriteString(conn, reply)
	return faulty, err == nil && !strings.HasPrefix(reply, "421")
}

func (c *faultyRelay) talk(conn net.Conn) {
	if _, alive := c.answer(conn, "220 chaos ESMTP\r\n", faults); !alive {
		return
	}
	lines := bufio.NewReader(conn)
	ready := false // for DATA
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		reply := "250 2.0.0 ok\r\n"
		switch command := line[:min(4, len(line))]; {
		case command == "EHLO" && c.chance() < 0.7:
			reply = "250-chaos\r\n250 PIPELINING\r\n"
		case command == "DATA" && ready:
			reply = "354 go ahead\r\n"
		case command == "DATA":
			reply = "503 5.5.1 no recipients\r\n"
		case command == "RCPT" && !ready:
			reply = "503 5.5.1 no sender\r\n"
		case command == "QUIT":
			return
		}
		faulty, alive := c.answer(conn, reply, faults)
		if !alive {
			return
		}
		switch line[:4] {
		case "MAIL":
			ready = !faulty
		case "RCPT":
			ready = ready && !faulty
		case "DATA":
			if faulty || !ready {
				ready = false
				continue
			}
			if ready = false; !c.take(conn, lines) {
				return
			}
		}
	}
}

// take reads a mail, and keeps it or not, and says so or not.
func (c *faultyRelay) take(conn net.Conn, lines *bufio.Reader) (alive bool) {
	var mail strings.Builder
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return false
		}
		if line == ".\r\n" {
			break
		}
		mail.WriteString(line)
		if c.chance() < c.faults/30 { // some lines of each mail
			return false
		}
	}
	if c.chance() < c.faults/2 { // refused
		_, alive = c.answer(conn, "451 4.3.0 disk\r\n", dotFaults[:2])
		return alive
	}
	c.keep(c.name, mail.String())
	_, alive = c.answer(conn, "250 2.0.0 Ok: queued as 4XyZ12\r\n", dotFaults)
	return alive
}

func (l *ledger) keep(relay, mail string) {
	_, rest, _ := strings.Cut(mail, "\r\nMessage-ID: <")
	id, _, _ := strings.Cut(rest, "@")
	l.mu.Lock()
	defer l.mu.Unlock()
	l.taken[id]++
	l.by[relay]++
	if !strings.Contains(mail, "58203719") || !strings.HasSuffix(mail, "--\r\n") {
		l.broken = append(l.broken, id)
	}
}

func (l *ledger) times(id string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.taken[id]
}

// Of thousands of messages over connections that go wrong at every twelfth step,
// each is sent again for as long as the error says that it has not been sent:
// none is lost, none comes twice, over all relays together, none comes cut
// short. Those of class Unknown are not sent again, and counted.
func TestNothingLostNothingTwice(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name               string
		messages, maxConns int
		relays             []string
		tls                bool
	}{
		{"one relay", 10_000, 8, []string{"a.example:25"}, false},
		{"two relays", 5_000, 4, []string{"a.example:25", "b.example:25"}, false},
		{"two relays, TLS", 1_000, 4, []string{"a.example:465", "b.example:465"}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				taken := &ledger{taken: make(map[string]int), by: make(map[string]int)}
				relays := make(map[string]*faultyRelay)
				c := smtp.Config{From: "MyBank <codes@mybank.example>", Timeout: 2 * time.Second}
				for i, addr := range tt.relays {
					relay := &faultyRelay{ledger: taken, name: addr, faults: 1.0 / 12,
						random: rand.New(rand.NewPCG(1, uint64(2+i)))}
					r := smtp.Relay{Addr: addr, MaxConns: tt.maxConns, DangerouslyPlaintext: !tt.tls}
					if tt.tls {
						f, trusting := newFake(nil)
						relay.tls = &tls.Config{Certificates: []tls.Certificate{f.certificate}}
						r.TLSConfig = trusting.TLSConfig
						r.TLSConfig.ServerName = "example.com"
					}
					relays[addr] = relay
					if i > 0 {
						c.Fallbacks = append(c.Fallbacks, r)
						continue
					}
					c.Addr, c.MaxConns, c.DangerouslyPlaintext, c.TLSConfig = r.Addr, r.MaxConns,
						r.DangerouslyPlaintext, r.TLSConfig
				}
				c.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
					return relays[addr].dial(ctx, network, addr)
				}
				ch, err := smtp.New(c)
				if err != nil {
					t.Fatal(err)
				}
				tries, unknown := sendThrough(t, ch, taken, tt.messages)
				if err := ch.Close(); err != nil {
					t.Error(err)
				}
				for _, relay := range relays {
					relay.serve.Wait()
				}
				taken.check(t, tt.messages, tries, unknown)
				if len(taken.by) != len(relays) {
					t.Errorf("not all relays took part: %v", taken.by)
				}
			})
		})
	}
}

// sendThrough sends so many messages, eight at a time, and returns the ids of
// those of which nothing is known.
func sendThrough(t *testing.T, ch *smtp.Channel, taken *ledger, messages int) (tries int, unknown []string) {
	const senders = 8
	var (
		wg sync.WaitGroup
		mu sync.Mutex
	)
	for s := range senders {
		wg.Go(func() {
			for i := s; i < messages; i += senders {
				id := fmt.Sprint("chaos.", i)
				n, uncertain := sendUntil(t, ch, taken, id)
				mu.Lock()
				tries += n
				if uncertain {
					unknown = append(unknown, id)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return tries, unknown
}

// check looks for mails that came twice or cut short, once all is over.
func (l *ledger) check(t *testing.T, messages, tries int, unknown []string) {
	t.Helper()
	arrived := 0
	for _, id := range unknown {
		arrived += l.times(id)
	}
	t.Logf("%d messages in %d tries: %d certain, %d unknown, of which %d had arrived; taken %v", messages, tries,
		messages-len(unknown), len(unknown), arrived, l.by)
	t.Logf("unknown: %s", strings.Join(unknown, " "))
	if len(l.broken) > 0 {
		t.Errorf("cut short: %v", l.broken)
	}
	for id, times := range l.taken {
		if times > 1 {
			t.Errorf("%s came %d times", id, times)
		}
	}
	if lost := messages - len(unknown) + arrived - len(l.taken); lost != 0 {
		t.Errorf("%d are lost", lost)
	}
	if arrived == 0 || arrived == len(unknown) || tries < messages*21/20 {
		t.Error("not a test of much")
	}
}

// sendUntil sends a message until it is known to be sent, or no longer known
// not to be, and checks what is said of it against what the relay has.
func sendUntil(t *testing.T, ch *smtp.Channel, taken *ledger, id string) (tries int, uncertain bool) {
	m := message(id)
	m.Expires = time.Time{}
	for {
		tries++
		_, err := ch.Send(t.Context(), m)
		if err == nil {
			if taken.times(id) != 1 {
				t.Errorf("%s is said to be sent, and came %d times", id, taken.times(id))
			}
			return tries, false
		}
		var e *channel.Error
		if !errors.As(err, &e) {
			t.Errorf("error is a %T", err)
			return tries, true
		}
		if e.Class == channel.Unknown {
			return tries, true
		}
		if taken.times(id) != 0 {
			t.Errorf("%s is said not to be sent, and came: %v", id, err)
		}
		// Misconfigured is for "503 no sender" after two replies to MAIL.
		if e.Class != channel.Temporary && e.Class != channel.Misconfigured {
			t.Errorf("%s: %v", id, err)
		}
		time.Sleep(max(e.RetryAfter, 10*time.Millisecond))
	}
}
