package smtp_test

import (
	"bufio"
	"context"
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

// A chaos is a relay that goes wrong at random: at any step it may refuse, hang
// up, or say nothing more, before or after it has taken the mail.
type chaos struct {
	faults float64 // the share of steps that go wrong
	serve  sync.WaitGroup

	mu     sync.Mutex
	random *rand.Rand
	taken  map[string]int // by Message-ID: how often
	broken []string       // mails that were not whole
}

func (c *chaos) dial(context.Context, string, string) (net.Conn, error) {
	client, server := net.Pipe()
	c.serve.Go(func() {
		defer server.Close()
		c.talk(server)
	})
	return client, nil
}

func (c *chaos) chance() float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.random.Float64()
}

// The faults. The first are such that a relay may show after it has taken a
// mail.
var (
	faults    = []string{hangUp, stall, "250 2.0.0\r\n250 twice\r\n", "25", "421 4.3.2 closing\r\n", "451 4.3.0 disk\r\n"}
	dotFaults = faults[:4]
)

// answer gives the reply, or a fault instead; false: the connection is over.
func (c *chaos) answer(conn net.Conn, reply string, faults []string) (faulty, alive bool) {
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

func (c *chaos) talk(conn net.Conn) {
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
func (c *chaos) take(conn net.Conn, lines *bufio.Reader) (alive bool) {
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
	c.keep(mail.String())
	_, alive = c.answer(conn, "250 2.0.0 Ok: queued as 4XyZ12\r\n", dotFaults)
	return alive
}

func (c *chaos) keep(mail string) {
	_, rest, _ := strings.Cut(mail, "\r\nMessage-ID: <")
	id, _, _ := strings.Cut(rest, "@")
	c.mu.Lock()
	defer c.mu.Unlock()
	c.taken[id]++
	if !strings.Contains(mail, "58203719") || !strings.HasSuffix(mail, "--\r\n") {
		c.broken = append(c.broken, id)
	}
}

func (c *chaos) times(id string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.taken[id]
}

// Of 10,000 messages over connections that go wrong at every twelfth step, each
// is sent again for as long as the error says that it has not been sent: none
// is lost, none comes twice, none comes cut short. Those of class Unknown are
// not sent again, and counted.
func TestNothingLostNothingTwice(t *testing.T) {
	t.Parallel()
	const messages, senders = 10_000, 8
	synctest.Test(t, func(t *testing.T) {
		relay := &chaos{faults: 1.0 / 12, random: rand.New(rand.NewPCG(1, 2)), taken: make(map[string]int)}
		ch, err := smtp.New(smtp.Config{
			Addr: "relay.example:25", DangerouslyPlaintext: true, Dial: relay.dial,
			From: "MyBank <codes@mybank.example>", Timeout: 2 * time.Second,
		})
		if err != nil {
			t.Fatal(err)
		}
		var (
			wg      sync.WaitGroup
			mu      sync.Mutex
			unknown []string
			tries   int
		)
		for s := range senders {
			wg.Go(func() {
				for i := s; i < messages; i += senders {
					id := fmt.Sprint("chaos.", i)
					n, uncertain := sendUntil(t, ch, relay, id)
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
		if err := ch.Close(); err != nil {
			t.Error(err)
		}
		relay.serve.Wait()

		arrived := 0
		for _, id := range unknown {
			arrived += relay.times(id)
		}
		t.Logf("%d messages in %d tries: %d certain, %d unknown, of which %d had arrived", messages, tries, messages-len(unknown), len(unknown), arrived)
		if len(relay.broken) > 0 {
			t.Errorf("cut short: %v", relay.broken)
		}
		for id, times := range relay.taken {
			if times > 1 {
				t.Errorf("%s came %d times", id, times)
			}
		}
		if arrived == 0 || arrived == len(unknown) || tries < messages*5/4 {
			t.Error("not a test of much")
		}
	})
}

// sendUntil sends a message until it is known to be sent, or no longer known
// not to be, and checks what is said of it against what the relay has.
func sendUntil(t *testing.T, ch *smtp.Channel, relay *chaos, id string) (tries int, uncertain bool) {
	m := message(id)
	m.Expires = time.Time{}
	for {
		tries++
		_, err := ch.Send(t.Context(), m)
		if err == nil {
			if relay.times(id) != 1 {
				t.Errorf("%s is said to be sent, and came %d times", id, relay.times(id))
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
		if relay.times(id) != 0 {
			t.Errorf("%s is said not to be sent, and came: %v", id, err)
		}
		if e.Class != channel.Temporary && e.Class != channel.Misconfigured { // such as "503 no sender" after two replies to MAIL
			t.Errorf("%s: %v", id, err)
		}
		time.Sleep(max(e.RetryAfter, 10*time.Millisecond))
	}
}
