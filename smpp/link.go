package smpp

import (
	"context"
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/ajankovic/smpp/pdu"
	"github.com/cenkalti/backoff/v5"

	"github.com/otpcourier/otpcourier/smpp/internal/wire"
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

	refused error // by which the last bind that was answered was, for long; guarded by Client.mu

	// Guarded by turn.
	until    time.Time                  // no bind before, unless the credentials are others
	ask      time.Time                  // when they are asked for next, no later than until
	refusals []wire.Bind                // the credentials that were refused, until then
	pauses   backoff.ExponentialBackOff // between asking
}

// maxRefusals is how many credentials, one after the other, are tried in one
// RefusedWait: an SMSC that counts failures blocks the address after some.
const maxRefusals = 3

// enter waits until a bind may be tried. leave of the host must follow a nil
// error.
func (l *link) enter(ctx context.Context) error {
	h := l.host
	for {
		select {
		case h.turn <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		if time.Until(h.until) <= 0 {
			h.refusals = nil
			return nil
		}
		if time.Until(h.ask) <= 0 && l.rotated(ctx) {
			return nil
		}
		wait := min(time.Until(h.until), time.Until(h.ask))
		h.leave()
		sleep(ctx, wait)
	}
}

// rotated asks whether the credentials are others than those refused. The
// caller has the host's turn.
func (l *link) rotated(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, l.client.config.BindTimeout)
	defer cancel()
	who, err := l.credentials(ctx)
	l.host.ask = time.Now().Add(l.host.pauses.NextBackOff())
	return err == nil && !slices.Contains(l.host.refusals, who)
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

// block keeps all links from the host after a bind that was refused for good,
// unless Config.Credentials soon tells others. The caller has the host's turn.
func (l *link) block(who wire.Bind, err error) {
	h, config := l.host, &l.client.config
	wait := config.RefusedWait
	wait += rand.N(wait/4 + 1)
	h.until = time.Now().Add(wait)
	h.ask = h.until
	if h.refusals = append(h.refusals, who); config.Credentials != nil && len(h.refusals) < maxRefusals {
		h.pauses = config.pauses()
		h.ask = time.Now().Add(h.pauses.NextBackOff())
	}
	l.client.log().Error("smpp: SMSC refuses the credentials or the address",
		"addr", h.addr, "system_id", who.SystemID, "error", err, "next_try", wait)
}

// pauses are those between failed connections.
func (c *Config) pauses() backoff.ExponentialBackOff {
	b := backoff.ExponentialBackOff{
		InitialInterval: c.ReconnectMin, MaxInterval: c.ReconnectMax, Multiplier: 2, RandomizationFactor: 0.5,
	}
	b.Reset()
	return b
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
