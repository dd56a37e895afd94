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

// A host is an address of the SMSC. Its links connect one after the other.
type host struct {
	addr string
	tls  *tls.Config   // nil: plaintext
	turn chan struct{} // held while connecting

	// Guarded by Client.mu.
	refused error   // by which the last bind that was answered was, for its address
	lockout lockout // after that
}

// A lockout keeps binds away for a while after one that was refused for good: N
// binds with a wrong password would otherwise be N failures to the SMSC, which
// counts them. One for the credentials is the client's, as all its hosts know
// the same ones; one for the address is the host's.
type lockout struct {
	until    time.Time                  // no bind before, unless the credentials are others
	ask      time.Time                  // when they are asked for next, no later than until
	refusals []wire.Bind                // the credentials that were refused, until then
	pauses   backoff.ExponentialBackOff // between asking
}

// maxRefusals is how many credentials, one after the other, are tried in one
// RefusedWait: an SMSC that counts failures blocks the address after some.
const maxRefusals = 3

// wait is how long until the next bind, or until the credentials are asked for.
func (k *lockout) wait(now time.Time) (wait time.Duration, ask bool) {
	if !now.Before(k.until) {
		k.refusals = nil
		return 0, false
	}
	return max(min(k.until.Sub(now), k.ask.Sub(now)), 0), !now.Before(k.ask)
}

// bars reports whether a bind with these credentials is to wait.
func (k *lockout) bars(who wire.Bind, now time.Time) bool {
	return now.Before(k.until) && (len(k.refusals) >= maxRefusals || slices.Contains(k.refusals, who))
}

func (l *link) lockouts() [2]*lockout { return [...]*lockout{&l.client.lockout, &l.host.lockout} }

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
		wait, ask := l.wait()
		if wait == 0 && (!ask || l.rotated(ctx)) {
			return nil
		}
		h.leave()
		sleep(ctx, wait)
	}
}

// wait is that of both lockouts.
func (l *link) wait() (wait time.Duration, ask bool) {
	l.client.mu.Lock()
	defer l.client.mu.Unlock()
	now := time.Now()
	for _, k := range l.lockouts() {
		w, a := k.wait(now)
		wait, ask = max(wait, w), ask || a
	}
	return wait, ask
}

// rotated asks whether the credentials are others than those refused.
func (l *link) rotated(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, l.client.config.BindTimeout)
	defer cancel()
	who, err := l.credentials(ctx)
	l.client.mu.Lock()
	now := time.Now()
	for _, k := range l.lockouts() {
		if now.Before(k.until) && !now.Before(k.ask) {
			k.ask = now.Add(k.pauses.NextBackOff())
		}
	}
	l.client.mu.Unlock()
	return err == nil && !l.barred(who)
}

// barred reports whether a bind with these credentials is to wait.
func (l *link) barred(who wire.Bind) bool {
	l.client.mu.Lock()
	defer l.client.mu.Unlock()
	now := time.Now()
	return l.client.lockout.bars(who, now) || l.host.lockout.bars(who, now)
}

// alone waits until no other link of the client awaits the answer to a bind,
// and returns what to call when this one's has come. A host that does not
// answer holds up the binds to others for a fifth of BindTimeout only.
func (l *link) alone(ctx context.Context) (done func()) {
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
	c.receivers.Go(func() { s.handOver(ctx, c.inbound) })
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

// block keeps binds away after one that was refused for good, unless
// Config.Credentials soon tells others: from the host where it is for the
// address, else from all hosts.
func (l *link) block(who wire.Bind, err error) {
	config := &l.client.config
	wait := config.RefusedWait
	wait += rand.N(wait/4 + 1)
	l.client.mu.Lock()
	k := &l.client.lockout
	if errors.Is(err, StatusBindFailed) {
		k = &l.host.lockout
	}
	k.until = time.Now().Add(wait)
	k.ask = k.until
	if k.refusals = append(k.refusals, who); config.Credentials != nil && len(k.refusals) < maxRefusals {
		k.pauses = config.pauses()
		k.ask = time.Now().Add(k.pauses.NextBackOff())
	}
	l.client.mu.Unlock()
	l.client.log().Error("smpp: SMSC refuses the credentials or the address",
		"addr", l.host.addr, "system_id", who.SystemID, "error", err, "next_try", wait)
}

// unblock lets binds go on after one that was accepted.
func (l *link) unblock() {
	l.client.mu.Lock()
	defer l.client.mu.Unlock()
	l.client.lockout, l.host.lockout = lockout{}, lockout{}
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
