package otptest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/channel"
)

// lockDomain is the domain for the messages of Service.Lock.
const lockDomain = "lock.otptest.example"

// patience is the longest time that Wait waits.
const patience = 10 * time.Second

// An Inbox keeps the messages of all recipients. An address must be in the
// message's form: a number in E.164, an e-mail address in any case, or an ID of
// push or chat.
type Inbox struct {
	t        testing.TB
	receipts channel.Receipts

	mu     sync.Mutex
	came   chan struct{} // closed when a message comes
	all    []received
	class  channel.Class // the class with which messages are refused; zero: they are accepted
	locks  []received    // to lockDomain
	serial int
}

// A received is a message with its route.
type received struct {
	channel.Message
	address  string
	route    string
	provider string
	waited   bool // Wait has returned it
}

func newInbox(t testing.TB) *Inbox { return &Inbox{t: t, came: make(chan struct{})} }

// routes returns one route for each kind of address, all into the same Inbox.
func (i *Inbox) routes() (all []channel.Route) {
	for _, r := range []struct {
		name string
		kind channel.Address
	}{{"sms", channel.Phone}, {"email", channel.Email}, {"push", channel.Push}, {"chat", channel.Chat}} {
		send := func(_ context.Context, m *channel.Message) (channel.Submission, error) {
			return i.take(r.name, r.kind, m)
		}
		all = append(all, channel.Route{Name: r.name, Channel: channel.Func(send), Address: r.kind})
	}
	return all
}

func (i *Inbox) take(route string, kind channel.Address, m *channel.Message) (channel.Submission, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	own := *m
	own.Allow = nil
	i.serial++
	r := received{Message: own, address: m.To.Of(kind), route: route, provider: fmt.Sprintf("otptest-%d", i.serial)}
	switch {
	case strings.HasSuffix(r.address, "@"+lockDomain):
		i.locks = append(i.locks, r)
	case i.class != 0:
		return channel.Submission{}, &channel.Error{Class: i.class, Op: "otptest: send", Code: "told to fail"}
	default:
		i.all = append(i.all, r)
	}
	close(i.came)
	i.came = make(chan struct{})
	return channel.Submission{State: channel.Sent, ProviderIDs: []string{r.provider}}, nil
}

// Fail refuses every later message with this class. With zero, messages are
// accepted again.
func (i *Inbox) Fail(class channel.Class) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.class = class
}

// Code returns the code of the latest message to an address. If there is none,
// the test fails at once.
func (i *Inbox) Code(to string) string {
	i.t.Helper()
	return i.latest(to).Code
}

// Last returns the latest message. If there is none, the test fails at once.
func (i *Inbox) Last() channel.Message {
	i.t.Helper()
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.all) == 0 {
		i.t.Fatal("otptest: no message has come")
	}
	return i.all[len(i.all)-1].Message
}

// All returns every message, the latest last.
func (i *Inbox) All() []channel.Message {
	i.mu.Lock()
	defer i.mu.Unlock()
	all := make([]channel.Message, len(i.all))
	for n, r := range i.all {
		all[n] = r.Message
	}
	return all
}

// Wait returns the first message to an address that no earlier Wait has
// returned. If there is none, it waits for one up to 10 s. If none comes, the
// test fails at once.
func (i *Inbox) Wait(to string) channel.Message {
	i.t.Helper()
	m, err := i.wait(to)
	if err != nil {
		i.t.Fatal("otptest:", err)
	}
	return m
}

func (i *Inbox) wait(to string) (channel.Message, error) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		m, came, ok := i.unread(to)
		if ok {
			return m, nil
		}
		select {
		case <-came:
		case <-timer.C:
			return channel.Message{}, fmt.Errorf("no message to %s has come within %v, and %d to others",
				channel.Mask(to), patience, len(i.All()))
		}
	}
}

// unread returns a message for Wait, or a channel that the next message closes.
func (i *Inbox) unread(to string) (m channel.Message, came <-chan struct{}, ok bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, list := range [][]received{i.all, i.locks} {
		for n := range list {
			if r := &list[n]; strings.EqualFold(r.address, to) && !r.waited {
				r.waited = true
				return r.Message, nil, true
			}
		}
	}
	return channel.Message{}, i.came, false
}

// Delivered reports the latest message to an address as delivered, as a
// provider's receipt does.
func (i *Inbox) Delivered(to string) {
	i.t.Helper()
	i.report(to, channel.Receipt{State: channel.Delivered})
}

// Undelivered reports the latest message to an address as failed.
func (i *Inbox) Undelivered(to string) {
	i.t.Helper()
	i.report(to, channel.Receipt{State: channel.Failed, Class: channel.Unreachable, Code: "told to fail"})
}

func (i *Inbox) report(to string, rc channel.Receipt) {
	i.t.Helper()
	m := i.latest(to)
	rc.ProviderID, rc.At = m.provider, time.Now()
	if err := i.receipts.For(m.route)(context.Background(), rc); err != nil {
		i.t.Fatal("otptest: the receipt was not taken:", err)
	}
}

func (i *Inbox) latest(to string) received {
	i.t.Helper()
	i.mu.Lock()
	defer i.mu.Unlock()
	for n := len(i.all) - 1; n >= 0; n-- {
		if strings.EqualFold(i.all[n].address, to) {
			return i.all[n]
		}
	}
	i.t.Fatalf("otptest: no message to %s has come, and %d to others", channel.Mask(to), len(i.all))
	return received{}
}
