package redistest

import (
	"bytes"
	"context"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// A Proxy passes connections on to a server, and harms them on request.
type Proxy struct {
	Addr string // to give to a client

	to       string
	listener net.Listener
	wg       sync.WaitGroup

	mu      sync.Mutex
	conns   map[net.Conn]bool
	down    bool
	lose    int // so many replies more
	every   int // and one of so many; 0: none
	seen    int
	only    [][]byte // to these commands
	lost    int
	stopped bool
}

// NewProxy starts a proxy in front of addr, and ends it with the test.
func NewProxy(t testing.TB, addr string) *Proxy {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{Addr: l.Addr().String(), to: addr, listener: l, conns: map[net.Conn]bool{}}
	p.wg.Go(p.accept)
	t.Cleanup(p.stop)
	return p
}

func (p *Proxy) stop() {
	p.mu.Lock()
	p.stopped = true
	p.mu.Unlock()
	_ = p.listener.Close()
	p.Cut()
	p.wg.Wait()
}

// LoseReplies loses the replies to the next n requests that begin with one of
// commands, or to any requests if there are no commands. The server runs the request,
// and then the connection ends in the place of the reply.
func (p *Proxy) LoseReplies(n int, commands ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lose, p.every, p.only, p.lost = n, 0, patterns(commands), 0
}

// LoseEvery loses the reply to each n-th such request, until it or LoseReplies
// is called again.
func (p *Proxy) LoseEvery(n int, commands ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lose, p.every, p.seen, p.only, p.lost = 0, n, 0, patterns(commands), 0
}

// patterns are what requests of the commands contain.
func patterns(commands []string) (all [][]byte) {
	for _, c := range commands {
		all = append(all, []byte("\r\n$"+strconv.Itoa(len(c))+"\r\n"+strings.ToLower(c)+"\r\n"))
	}
	return all
}

// Lost returns how many replies were lost since LoseReplies or LoseEvery.
func (p *Proxy) Lost() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lost
}

// Cut ends all connections.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
}

// Down cuts all connections and refuses new ones until Up.
func (p *Proxy) Down() {
	p.mu.Lock()
	p.down = true
	p.mu.Unlock()
	p.Cut()
}

// Up ends Down.
func (p *Proxy) Up() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = false
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.wg.Go(func() { p.serve(client) })
	}
}

// keep has Cut end a connection, unless it is too late for that.
func (p *Proxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped || p.down {
		return false
	}
	p.conns[c] = true
	return true
}

func (p *Proxy) forget(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
	_ = c.Close()
}

func (p *Proxy) serve(client net.Conn) {
	defer func() { _ = client.Close() }()
	server, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", p.to)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	if !p.keep(client) {
		return
	}
	defer p.forget(client)
	var losing atomic.Bool
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		p.requests(server, client, &losing)
		_ = server.Close() // ends the loop below, too
	})
	replies(client, server, &losing)
	_ = client.Close()
}

// requests passes on the words of the client, and tells of requests whose reply
// is to be lost before the server can answer them.
func (p *Proxy) requests(server io.Writer, client io.Reader, losing *atomic.Bool) {
	b := make([]byte, 64<<10)
	for {
		n, err := client.Read(b)
		if err != nil {
			return
		}
		if !losing.Load() && p.loses(b[:n]) {
			losing.Store(true)
		}
		if _, err := server.Write(b[:n]); err != nil {
			return
		}
	}
}

// loses reports whether the reply to a request is one of those to be lost.
func (p *Proxy) loses(request []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lose == 0 && p.every == 0 || !p.meant(request) {
		return false
	}
	p.seen++
	switch {
	case p.lose > 0:
		p.lose--
	case p.every == 0 || p.seen%p.every != 0:
		return false
	}
	p.lost++
	return true
}

func (p *Proxy) meant(request []byte) bool {
	lower := bytes.ToLower(request)
	return p.only == nil || slices.ContainsFunc(p.only, func(c []byte) bool { return bytes.Contains(lower, c) })
}

// replies passes on the words of the server until there is a reply to lose.
func replies(client io.Writer, server io.Reader, losing *atomic.Bool) {
	b := make([]byte, 64<<10)
	for {
		n, err := server.Read(b)
		if err != nil {
			return
		}
		if losing.Load() {
			return
		}
		if _, err := client.Write(b[:n]); err != nil {
			return
		}
	}
}
