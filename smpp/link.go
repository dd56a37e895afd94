package smpp

import (
	"context"
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/ajankovic/smpp/pdu"
	"github.com/cenkalti/backoff/v5"
)

// A link maintains one bind: it connects, serves the session until it ends, and
// connects again. Its goroutine belongs to the client.
type link struct {
	client *Client
	host   *host
	kind   pdu.CommandID // of the bind

	refusal Refusal // the meaning of the SMSC's answer to the last bind; zero: no refusal
	refused bool    // the last answer to a bind blamed the credentials or the address

	standby bool // to one of StandbyAddrs
	turn    int  // index of the host's next address, with Config.AllAddresses

	count bindCounters // over all sessions

	// Guarded by client.mu.
	session  *session  // bound and not retired, or nil
	since    time.Time // the last change of session
	failure  error     // the reason if session is nil
	retiring bool      // a session is retired and has not ended
}

// submits reports whether messages may go over the link.
func (l *link) submits() bool { return l.kind != pdu.BindReceiverID }

// A host is an address of the SMSC. Its links connect one after the other. The
// receivers of Config.Pair have hosts of their own, so that a refused receiver
// does not keep transmitters from binding.
type host struct {
	addr      string
	tls       *tls.Config   // nil: plaintext
	semaphore chan struct{} // held while a link connects

	// Guarded by Client.mu.
	refused error        // answer to the last answered bind, if it was RefusedCredentials
	backoff bindBackoff  // after that
	retry   retryBackoff // after RefusedAccepted
}

func (h *host) release() { <-h.semaphore }

// newLinks returns a link for each bind of the Config, spread over its hosts.
// The links to Addr and Addrs come before those to StandbyAddrs.
func (c *Client) newLinks() []*link {
	links := c.linksTo(c.config.addrs(), false)
	if len(c.config.StandbyAddrs) > 0 {
		links = append(links, c.linksTo(c.config.StandbyAddrs, true)...)
	}
	return links
}

func (c *Client) linksTo(addrs []string, standby bool) []*link {
	hosts := c.newHosts(addrs)
	kind, receivers := pdu.BindTransceiverID, []*host(nil)
	switch {
	case c.config.TransmitterOnly:
		kind = pdu.BindTransmitterID
	case c.config.Pair && c.config.ReceiverAddr != "":
		kind, receivers = pdu.BindTransmitterID, c.newHosts([]string{c.config.ReceiverAddr})
	case c.config.Pair:
		kind, receivers = pdu.BindTransmitterID, c.newHosts(addrs)
	}
	var links []*link
	for i := range c.config.Binds {
		turn := i / len(hosts)
		links = append(links, &link{client: c, host: hosts[i%len(hosts)], kind: kind, standby: standby, turn: turn})
		if receivers != nil {
			links = append(links, &link{
				client: c, host: receivers[i%len(receivers)], kind: pdu.BindReceiverID, standby: standby, turn: turn,
			})
		}
	}
	return links
}

func (c *Client) newHosts(addrs []string) []*host {
	var hosts []*host
	for _, addr := range addrs {
		hosts = append(hosts, &host{addr: addr, tls: c.config.hostTLS[addr], semaphore: make(chan struct{}, 1)})
	}
	return hosts
}

// run keeps the link bound until connecting ends. When ctx ends, it closes the
// connection.
func (l *link) run(ctx, connecting context.Context) {
	config := &l.client.config
	pauses := config.pauses()
	for {
		l.awaitNeed(connecting)
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
		case l.refusal <= RefusedForNow: // else the host's backoff decides
			sleep(connecting, l.pause(err, &pauses))
		}
	}
}

// serve runs a bound session until it ends, and returns the cause.
func (l *link) serve(ctx context.Context, s *session) error {
	c := l.client
	s.pace = c.pace
	s.onRetire = func(cause error) { c.detach(l, s, cause) }
	s.inbox, s.ledger, s.count, s.host = c.inbox, c.ledger, &l.count, l.host.addr
	s.onCollision = func(id string) {
		c.emit(Event{Kind: EventCollision, Addr: l.host.addr, MessageID: maskID(id)})
	}
	c.attach(l, s)
	stop := context.AfterFunc(ctx, func() { s.end(ErrClosed) })
	defer stop()
	age := c.config.MaxSession - rand.N(c.config.MaxSession/100+1) // so that not all binds end at once
	aged := time.AfterFunc(age, func() { s.retire(errAged) })
	defer aged.Stop()
	if l.standby {
		var watch sync.WaitGroup
		defer watch.Wait()
		watch.Go(func() { l.watchPrimaries(s) })
	}
	c.log().Info("smpp: bound", "addr", l.host.addr, "as", bindName(l.kind))
	err := s.serve()
	c.ended(l)
	c.log().Info("smpp: session ended", "addr", l.host.addr, "as", bindName(l.kind), "cause", err)
	return err
}

// pause returns the pause after a connection failed with err.
func (l *link) pause(err error, pauses *backoff.ExponentialBackOff) time.Duration {
	wait := pauses.NextBackOff()
	if errors.Is(err, StatusAlreadyBound) { // the SMSC still holds the last session
		longest := l.client.config.ReconnectMax
		wait = longest/2 + rand.N(longest)
	}
	l.client.log().Warn("smpp: not bound", "addr", l.host.addr, "as", bindName(l.kind), "error", err, "next_try", wait)
	return wait
}
