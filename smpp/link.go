package smpp

import (
	"context"
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/ajankovic/smpp/pdu"
	"github.com/cenkalti/backoff/v5"
)

// A link keeps one bind standing: it connects, serves the session until that
// ends, and connects again. Its goroutine belongs to the client.
type link struct {
	client *Client
	host   *host
	kind   pdu.CommandID // of the bind

	// Guarded by client.mu.
	session  *session  // bound and not retired, or nil
	since    time.Time // when session changed
	failure  error     // reason for session to be nil
	retiring bool      // a session is retired and has not ended
}

// submits reports whether messages may go over the link.
func (l *link) submits() bool { return l.kind != pdu.BindReceiverID }

// A host is an address of the SMSC. Its links connect one after the other.
type host struct {
	addr      string
	tls       *tls.Config   // nil: plaintext
	semaphore chan struct{} // held while a link connects

	// Guarded by Client.mu.
	refused error       // answer to the last answered bind, if it refused the address
	backoff bindBackoff // after that
}

func (h *host) release() { <-h.semaphore }

// bindAlone waits until no other link of the client awaits the answer to a bind,
// so that one refusal keeps the others from being tried. The caller must call
// done when its own answer has come. A host that does not answer delays the
// binds to others for a fifth of BindTimeout only.
func (l *link) bindAlone(ctx context.Context) (done func()) {
	c := l.client
	t := time.NewTimer(c.config.BindTimeout / 5)
	defer t.Stop()
	select {
	case c.binding <- struct{}{}:
		return func() { <-c.binding }
	case <-t.C:
	case <-ctx.Done():
	}
	return func() {}
}

// newLinks returns a link for each bind of the Config, spread over its hosts.
func (c *Client) newLinks() []*link {
	var hosts []*host
	for i, addr := range c.config.addrs() {
		hosts = append(hosts, &host{addr: addr, tls: c.config.hostTLS[i], semaphore: make(chan struct{}, 1)})
	}
	kinds := []pdu.CommandID{pdu.BindTransceiverID}
	if c.config.Pair {
		kinds = []pdu.CommandID{pdu.BindTransmitterID, pdu.BindReceiverID}
	}
	var links []*link
	for i := range c.config.Binds {
		for _, kind := range kinds {
			links = append(links, &link{client: c, host: hosts[i%len(hosts)], kind: kind})
		}
	}
	return links
}

// run keeps the link bound until connecting ends. When ctx ends, it closes the
// connection.
func (l *link) run(ctx, connecting context.Context) {
	config := &l.client.config
	pauses := config.pauses()
	for {
		s, err := l.connect(ctx, connecting)
		bound := time.Now()
		if err == nil {
			err = l.serve(ctx, s)
		} else if connecting.Err() == nil {
			l.client.failed(l, err)
		}
		switch {
		case connecting.Err() != nil:
			return
		case s != nil && time.Since(bound) > config.ReconnectMax:
			pauses.Reset()
		case !refusedForLong(err): // else the bind backoff decides
			sleep(connecting, l.pause(err, &pauses))
		}
	}
}

// serve runs a bound session until it ends, and returns the cause.
func (l *link) serve(ctx context.Context, s *session) error {
	c := l.client
	s.pace = c.pace
	s.onRetire = func(cause error) { c.detach(l, s, cause) }
	c.receivers.Go(func() { s.handOver(ctx, c.inbound) })
	c.attach(l, s)
	stop := context.AfterFunc(ctx, func() { s.end(ErrClosed) })
	defer stop()
	age := c.config.MaxSession - rand.N(c.config.MaxSession/100+1) // so that not all binds end at once
	aged := time.AfterFunc(age, func() { s.retire(errAged) })
	defer aged.Stop()
	c.log().Info("smpp: bound", "addr", l.host.addr, "as", bindName(l.kind))
	err := s.serve()
	c.ended(l)
	c.log().Info("smpp: session ended", "addr", l.host.addr, "as", bindName(l.kind), "cause", err)
	return err
}

// pause returns how long to wait after a connection failed with err.
func (l *link) pause(err error, pauses *backoff.ExponentialBackOff) time.Duration {
	wait := pauses.NextBackOff()
	if errors.Is(err, StatusAlreadyBound) { // the SMSC has not given up the last session yet
		longest := l.client.config.ReconnectMax
		wait = longest/2 + rand.N(longest)
	}
	l.client.log().Warn("smpp: not bound", "addr", l.host.addr, "as", bindName(l.kind), "error", err, "next_try", wait)
	return wait
}
