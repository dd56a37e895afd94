package gatewaytest

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// PhoneConfig describes a phone. The zero value is a phone with one SIM that
// acts by itself.
type PhoneConfig struct {
	// ID is the deviceId, at most 21 characters. Default "phone-1", and so on.
	ID string

	// Name is shown by the list of devices. Default: the ID.
	Name string

	// SIMs are the numbers of its SIM cards by slot. An empty number is a card
	// whose number the phone does not know. Default: none listed.
	SIMs []string

	// Key signs webhooks. Default: "key of " and the ID.
	Key string

	// Passphrase opens encrypted messages. Default: none, so that they fail.
	Passphrase string

	// Client posts the webhooks. Default: a client of the server's own, which
	// trusts the system's certificates only.
	Client *http.Client

	// Plan is for messages without a plan of On or Next.
	Plan Plan

	// Manual makes the phone do nothing by itself: the test must call Take,
	// Report and Post.
	Manual bool

	// Repeat is the pause before a webhook without a 2xx answer is posted
	// again. It doubles each time, up to an hour. Default 10 s.
	Repeat time.Duration
}

// A Phone fetches messages from the server, sends them, and reports their
// states.
type Phone struct {
	server *Server
	config PhoneConfig
	added  time.Time
	wake   chan struct{} // holds a token if there may be work

	// Guarded by server.mu.
	offline bool
	seen    time.Time // when it went offline, or the time of SetLastSeen
	texts   []Text
	on      map[string][]Plan
	next    []Plan
	posts   []Posted
}

// A Text is an SMS that a phone has sent.
type Text struct {
	MessageID string
	To, Body  string // decrypted
	SIM       int    // 0: the phone's own choice
	At        time.Time
}

// AddPhone registers a phone.
func (s *Server) AddPhone(c PhoneConfig) *Phone {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.ID == "" {
		c.ID = fmt.Sprintf("phone-%d", len(s.phones)+1)
	}
	if c.Name == "" {
		c.Name = c.ID
	}
	if c.Key == "" {
		c.Key = "key of " + c.ID
	}
	if c.Client == nil {
		c.Client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 30 * time.Second}
	}
	if c.Repeat <= 0 {
		c.Repeat = 10 * time.Second
	}
	switch {
	case len(c.ID) > 21:
		panic("gatewaytest: PhoneConfig.ID has more than 21 characters")
	case slices.ContainsFunc(s.phones, func(p *Phone) bool { return p.config.ID == c.ID }):
		panic("gatewaytest: PhoneConfig.ID is taken")
	case s.config.Kind == OnPhone && len(s.phones) > 0:
		panic("gatewaytest: a phone's own server has one phone")
	}
	p := &Phone{server: s, config: c, added: time.Now(), wake: make(chan struct{}, 1), on: make(map[string][]Plan)}
	s.phones = append(s.phones, p)
	if !c.Manual && !s.closed {
		s.wg.Go(p.run)
	}
	return p
}

// ID returns the deviceId.
func (p *Phone) ID() string { return p.config.ID }

// Key returns the key that signs the phone's webhooks.
func (p *Phone) Key() string { return p.config.Key }

// Texts returns the SMS sent so far, in order. A message to two numbers counts
// as two.
func (p *Phone) Texts() []Text {
	p.server.mu.Lock()
	defer p.server.mu.Unlock()
	return slices.Clone(p.texts)
}

// Wait returns the SMS once n were sent in all. If ctx ends first, it returns
// the SMS so far and ctx's error.
func (p *Phone) Wait(ctx context.Context, n int) ([]Text, error) {
	var got []Text
	err := p.server.wait(ctx, "texts", n, func() int {
		got = p.Texts()
		return len(got)
	})
	return got, err
}

// SetOffline takes the phone off the network, or brings it back. Offline it
// fetches nothing and keeps its reports; the server last saw it when it went
// offline.
func (p *Phone) SetOffline(offline bool) {
	p.server.mu.Lock()
	defer p.server.mu.Unlock()
	p.offline, p.seen = offline, time.Now()
	p.server.announce()
	p.wakeUp()
}

// SetLastSeen takes the phone off the network as SetOffline does, since t.
func (p *Phone) SetLastSeen(t time.Time) {
	p.server.mu.Lock()
	defer p.server.mu.Unlock()
	p.offline, p.seen = true, t
}

// lastSeen returns now for a phone on the network. server.mu is held.
func (p *Phone) lastSeen(now time.Time) time.Time {
	if p.offline {
		return p.seen
	}
	return now
}

func (p *Phone) wakeUp() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Take fetches the messages that wait for the phone, oldest first, each message
// once, as the phone does when it polls. A message with a pending cancellation
// is confirmed as Cancelled and left out.
func (p *Phone) Take() []Message {
	s := p.server
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.offline {
		return nil
	}
	var all []Message
	for _, m := range s.messages {
		if m.DeviceID != p.config.ID || m.taken {
			continue
		}
		if m.State == Cancelling {
			m.taken = true
			m.set(Cancelled, "", time.Now())
		}
		if m.State == Pending {
			m.taken = true
			all = append(all, m.Message)
		}
	}
	return all
}

// Report reports a message's state to the server, forwards or backwards, as a
// phone might. The reason is for Failed. It posts no webhook.
func (p *Phone) Report(id string, state State, reason string) {
	s := p.server
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.find1(id, p.config.ID)
	if m == nil {
		panic("gatewaytest: Report: the server has no such message for this phone")
	}
	now := time.Now()
	if m.reported.IsZero() {
		m.reported = now
	}
	m.taken = true
	m.set(state, reason, now)
}

// Send sends the SMS of a message after Take, and decrypts it if necessary. It
// reports nothing.
func (p *Phone) Send(m Message) error {
	c := p.open(m)
	if c.err == nil {
		p.transmit(m, c)
	}
	return c.err
}

// A content is a decrypted message, or err if it could not be opened.
type content struct {
	text    string
	numbers []string
	err     error
}

func (p *Phone) open(m Message) content {
	c := content{text: m.Text, numbers: slices.Clone(m.Numbers)}
	if !m.Encrypted {
		return c
	}
	c.text, c.err = decrypt(m.Text, p.config.Passphrase)
	for i := range c.numbers {
		if c.err != nil {
			break
		}
		c.numbers[i], c.err = decrypt(m.Numbers[i], p.config.Passphrase)
	}
	return c
}

func (p *Phone) transmit(m Message, c content) {
	p.server.mu.Lock()
	defer p.server.mu.Unlock()
	for _, to := range c.numbers {
		p.texts = append(p.texts, Text{MessageID: m.ID, To: to, Body: c.text, SIM: m.SIM, At: time.Now()})
	}
	p.server.announce()
}
