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
	session *session  // bound and not retired; nil: none is
	since   time.Time // when session changed
	failure error     // why it is nil
	parting bool      // a session is retired and has not ended
}

// submits reports whether messages may go over the link.
func (l *link) submits() bool { return l.kind != pdu.BindReceiverID }

// A host is an address of the SMSC. Its links bind one after the other, and
// after a bind that was refused for good none of them does for a while: N
// binds with a wrong password would otherwise be N failures to the SMSC, which
// counts them.
type host struct {
	addr string
	tls  *tls.Config   // nil: plaintext
	turn chan struct{} // held while connecting

	until   time.Time // no bind before; guarded by turn
	refused error     // by which the last bind was; guarded by Client.mu
}

// enter waits until a bind may be tried. leave must follow a nil error.
func (h *host) enter(ctx context.Context) error {
	for {
		select {
		case h.turn <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		wait := time.Until(h.until)
		if wait <= 0 {
			return nil
		}
		h.leave()
		sleep(ctx, wait)
	}
}

func (h *host) leave() { <-h.turn }

// links are the binds that c asks for, spread over its hosts.
func (c *Client) newLinks() []*link {
	var hosts []*host
	for i, addr := range c.config.addrs() {
		hosts = append(hosts, &host{addr: addr, tls: c.config.hostTLS[i], turn: make(chan struct{}, 1)})
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

// run keeps the link bound until connecting ends, and closes what is open when
// ctx ends.
func (l *link) run(ctx, connecting context.Context) {
	config := &l.client.config
	pauses := backoff.ExponentialBackOff{
		InitialInterval: config.ReconnectMin, MaxInterval: config.ReconnectMax,
		Multiplier: 2, RandomizationFactor: 0.5,
	}
	pauses.Reset()
	for {
		s, err := l.connect(connecting)
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
		case !refusedForLong(err): // otherwise the host says when
			sleep(connecting, l.pause(err, &pauses))
		}
	}
}

// serve runs a bound session until it ends, and returns why.
func (l *link) serve(ctx context.Context, s *session) error {
	c := l.client
	s.pace = c.pace
	s.onRetire = func(cause error) { c.detach(l, s, cause) }
	c.receivers.Go(func() { s.handOver(ctx, c.parts) })
	c.attach(l, s)
	stop := context.AfterFunc(ctx, func() { s.end(ErrClosed) })
	defer stop()
	age := c.config.MaxSession - rand.N(c.config.MaxSession/100+1) // so that binds do not all part at once
	aged := time.AfterFunc(age, func() { s.retire(errAged) })
	defer aged.Stop()
	c.log().Info("smpp: bound", "addr", l.host.addr, "as", bindName(l.kind))
	err := s.serve()
	c.parted(l)
	c.log().Info("smpp: session ended", "addr", l.host.addr, "as", bindName(l.kind), "cause", err)
	return err
}

// pause is how long to wait after a connection failed with err.
func (l *link) pause(err error, pauses *backoff.ExponentialBackOff) time.Duration {
	wait := pauses.NextBackOff()
	if errors.Is(err, StatusAlreadyBound) { // until the SMSC has given up the session before
		longest := l.client.config.ReconnectMax
		wait = longest/2 + rand.N(longest)
	}
	l.client.log().Warn("smpp: not bound", "addr", l.host.addr, "as", bindName(l.kind), "error", err, "next_try", wait)
	return wait
}

// block keeps all links from the host after a bind that was refused for good.
// The caller has the host's turn.
func (l *link) block(err error) {
	wait := l.client.config.RefusedWait
	wait += rand.N(wait/4 + 1)
	l.host.until = time.Now().Add(wait)
	l.client.log().Error("smpp: SMSC refuses the credentials or the address",
		"addr", l.host.addr, "system_id", l.client.config.SystemID, "error", err, "next_try", wait)
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
