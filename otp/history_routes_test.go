package otp_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/failover"
)

// A historyProvider is the other end of a route.
type historyProvider func(ctx context.Context, m *channel.Message) historyHop

// A historyHop is what a provider does with a message: it really sends it or not, and
// answers with ids or with an error.
type historyHop struct {
	sent  bool
	state channel.State
	ids   []string
	err   error
	panic bool
	dies  bool // its process, before it has the answer
}

// historyRoutes is the failover of one process. It notes each call.
type historyRoutes struct {
	*failover.Channel
	p *historyProc
}

// newHistoryRoutes returns a failover over the routes A, B and C, of which C leads to a
// mailbox and the others to a phone.
func newHistoryRoutes(p *historyProc, await time.Duration, provider func(route string) historyProvider) *historyRoutes {
	var routes []channel.Route
	for _, name := range []string{"A", "B", "C"} {
		kind := channel.Phone
		if name == "C" {
			kind = channel.Email
		}
		routes = append(routes, channel.Route{Name: name, Address: kind, Await: await,
			Channel: historyRoute{p, name, kind, provider(name)}})
	}
	f, err := failover.New(failover.Config{Router: failover.List(routes...)})
	if err != nil {
		panic(err)
	}
	return &historyRoutes{f, p}
}

// historyCallKey is under what a failover's context has its call.
type historyCallKey struct{}

func (c *historyRoutes) Send(ctx context.Context, m *channel.Message) (channel.Submission, error) {
	p, w := c.p, c.p.w
	p.live()
	public, rest, _ := strings.Cut(m.ID, ".")
	k := &historyCall{challenge: p.svc.HistoryID(public), proc: p.n, at: time.Now(), resultless: true}
	_, _ = fmt.Sscanf(rest, "%d", &k.step)
	w.mu.Lock()
	k.begin = w.note("p%d sends %.7s step %d", p.n, k.challenge, k.step)
	w.calls = append(w.calls, k)
	w.codes[k.challenge] = append(w.codes[k.challenge], m.Code)
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		k.ended = time.Now()
		k.end = w.note("p%d has sent %.7s step %d by %q, more %v, await %s: %v", p.n, k.challenge, k.step, k.sub.Route,
			k.sub.More, clock(k.sub.Await), k.err)
		w.mu.Unlock()
	}()
	sub, err := c.Channel.Send(context.WithValue(ctx, historyCallKey{}, k), m)
	p.live()
	w.mu.Lock()
	k.sub, k.err, k.resultless = sub, err, false
	w.mu.Unlock()
	return sub, err
}

// A historyRoute is the channel of one route.
type historyRoute struct {
	p        *historyProc
	name     string
	kind     channel.Address
	provider historyProvider
}

func (r historyRoute) Send(ctx context.Context, m *channel.Message) (channel.Submission, error) {
	p, w := r.p, r.p.w
	p.live()
	k := ctx.Value(historyCallKey{}).(*historyCall)
	w.mu.Lock()
	k.dates = append(k.dates, time.Now())
	w.mu.Unlock()
	h := r.provider(ctx, m)
	w.mu.Lock()
	if h.sent {
		k.sent |= r.kind
	}
	w.note("p%d route %s: step %d sent %v, ids %v, %v", p.n, r.name, k.step, h.sent, h.ids, h.err)
	w.mu.Unlock()
	p.live()
	if h.dies {
		p.die()
	}
	if h.panic {
		panic("a code is in here: " + m.Code)
	}
	return channel.Submission{ProviderIDs: h.ids, State: h.state}, h.err
}

// Cancel notes that a message was withdrawn.
func (r historyRoute) Cancel(_ context.Context, m *channel.Message, s channel.Submission) error {
	_, rest, _ := strings.Cut(m.ID, ".")
	step, _, _ := strings.Cut(rest, "-")
	r.p.w.mu.Lock()
	defer r.p.w.mu.Unlock()
	r.p.w.recalls = append(r.p.w.recalls, step+"/"+s.Route)
	return nil
}

// The answers of providers.

func taken(ids ...string) historyHop { return historyHop{sent: true, ids: ids} }

func refused(class channel.Class) historyHop {
	return historyHop{err: &channel.Error{Class: class, Op: "provider: send"}}
}

// busyFor is not Throttled, for which a failover has a jitter of its own: a seed would not tell
// what happens.
func busyFor(d time.Duration) historyHop {
	return historyHop{err: &channel.Error{Class: channel.Temporary, Op: "provider: send", RetryAfter: d}}
}

// lost is the answer of a provider that may have sent the message.
func lost(sent bool) historyHop {
	return historyHop{sent: sent, err: &channel.Error{Class: channel.Unknown, Op: "provider: send"}}
}

// odd is what a faulty channel answers: a nil *channel.Error, an error without a class, or
// a panic.
func odd(n int) historyHop {
	switch n {
	case 0:
		var none *channel.Error
		return historyHop{sent: true, err: none}
	case 1:
		return historyHop{sent: true, err: errors.New("no class")}
	}
	return historyHop{sent: true, panic: true}
}

// hang waits until ctx ends.
func hang(ctx context.Context) historyHop {
	<-ctx.Done()
	return lost(false)
}
