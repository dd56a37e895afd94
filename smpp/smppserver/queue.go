package smppserver

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/otpcourier/otpcourier/smpp"
)

// Errors of Server.Deliver and Config.OnReceipt.
var (
	// ErrReceiptQueueFull says that ReceiptQueue receipts wait for a system_id.
	ErrReceiptQueueFull = errors.New("smppserver: receipt queue is full")

	// ErrUndelivered says that a receipt was given up. The peer may have it
	// nevertheless, where only its answer was lost.
	ErrUndelivered = errors.New("smppserver: receipt was not delivered")
)

// receiptWindow is how many receipts of the queue await an answer in one
// session at a time.
const receiptWindow = 100

// postSweep is how often the queue is looked through for what is due.
const postSweep = time.Second

// Deliver queues a receipt for a system_id and returns at once. It is sent over
// a session bound as transceiver or receiver; when it is refused, not answered,
// or its session is lost, again, over whichever session there is then:
// ReceiptAttempts times in all, within ReceiptLife. So an ESME may receive it
// twice. Receipts usually go out in the order in which they were queued.
//
// The queue is kept in memory: what it holds at the end of the process is lost,
// and OnReceipt told so by Shutdown and Close, also of what is queued while they
// run.
func (s *Server) Deliver(systemID string, r DeliveryReceipt) error {
	if err := r.validate(); err != nil {
		return err
	}
	return s.post.add(&letter{systemID: systemID, receipt: r, expires: time.Now().Add(s.config.ReceiptLife)})
}

// deliverAll queues the receipts that a handler had for its message.
func (s *Server) deliverAll(m *Submit, id string) {
	for _, r := range m.receipts {
		ids := []string{r.ID}
		if r.ID == "" {
			r.From, r.To, r.ToTON = m.To, m.From, m.FromTON
			ids = append(append([]string(nil), m.PartIDs...), id)
		}
		for _, r.ID = range ids {
			if err := s.Deliver(m.SystemID, r); err != nil {
				s.config.Logger.Warn("smppserver: receipt is lost", "system_id", m.SystemID, "receipt", r, "error", err)
			}
		}
	}
}

// A letter is a receipt on its way.
type letter struct {
	systemID string
	receipt  DeliveryReceipt
	expires  time.Time
	after    time.Time // not sent again before; zero: at once
	attempts int
}

// A postOffice holds the receipts of every system_id until they are delivered.
// Its mutex is taken before a session's.
type postOffice struct {
	config *Config
	wake   chan struct{} // a letter waits for its time

	mu     sync.Mutex
	boxes  map[string]*box
	closed bool
}

// A box is what waits for one system_id, and the sessions that take it.
type box struct {
	ready    []*letter
	later    []*letter // wait for their time
	sent     int       // await an answer
	sessions []*postRound
}

// A postRound is a session and how many receipts await an answer in it.
type postRound struct {
	session *Session
	sent    int
	full    bool // took no more; tried again when something was answered, or a while later
}

func newPostOffice(c *Config) *postOffice {
	return &postOffice{config: c, wake: make(chan struct{}, 1), boxes: make(map[string]*box)}
}

// box returns the box of a system_id. p.mu is held.
func (p *postOffice) box(systemID string) *box {
	b := p.boxes[systemID]
	if b == nil {
		b = &box{}
		p.boxes[systemID] = b
	}
	return b
}

func (p *postOffice) add(l *letter) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ErrClosed
	}
	b := p.box(l.systemID)
	if len(b.ready)+len(b.later)+b.sent >= p.config.ReceiptQueue {
		return fmt.Errorf("%w: %d for %q", ErrReceiptQueueFull, p.config.ReceiptQueue, l.systemID)
	}
	b.ready = append(b.ready, l)
	p.pump(b)
	return nil
}

// enter lets a session take receipts, unless it is already on its way out.
func (p *postOffice) enter(s *Session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.stage.Load() != stageBound {
		return
	}
	b := p.box(s.bind.SystemID)
	b.sessions = append(b.sessions, &postRound{session: s})
	p.pump(b)
}

func (p *postOffice) leave(s *Session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.boxes[s.bind.SystemID]
	if b == nil {
		return
	}
	for i, round := range b.sessions {
		if round.session == s {
			b.sessions = append(b.sessions[:i:i], b.sessions[i+1:]...)
			break
		}
	}
	p.tidy(s.bind.SystemID, b)
}

// tidy forgets an empty box. p.mu is held.
func (p *postOffice) tidy(systemID string, b *box) {
	if len(b.sessions)+len(b.ready)+len(b.later)+b.sent == 0 {
		delete(p.boxes, systemID)
	}
}

// pump sends what is ready, as far as the sessions have room. p.mu is held;
// nothing here blocks.
func (p *postOffice) pump(b *box) {
	for len(b.ready) > 0 {
		round := b.least()
		if round == nil {
			p.ring()
			return
		}
		l := b.ready[0]
		err := round.session.deliver(&l.receipt, func(status smpp.Status, err error) { p.answered(round, l, status, err) })
		if err != nil { // or ending, and leave is under way
			round.full = true
			continue
		}
		b.ready[0] = nil
		b.ready = b.ready[1:]
		l.attempts++
		round.sent++
		b.sent++
	}
}

// least returns the session with the most room, nil if none has any.
func (b *box) least() *postRound {
	var best *postRound
	for _, r := range b.sessions {
		if !r.full && r.sent < receiptWindow && (best == nil || r.sent < best.sent) {
			best = r
		}
	}
	return best
}

func (p *postOffice) ring() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// answered takes the answer to a letter, or that there is none.
func (p *postOffice) answered(round *postRound, l *letter, status smpp.Status, err error) {
	if status != smpp.StatusOK {
		err = status
	}
	p.mu.Lock()
	b := p.box(l.systemID)
	b.sent--
	round.sent--
	round.full = false
	now := time.Now()
	lost := err != nil && (p.closed || l.attempts >= p.config.ReceiptAttempts || !now.Before(l.expires))
	switch {
	case err == nil || lost:
	case errors.Is(err, errSessionEnded): // another session may have it at once
		b.ready = append([]*letter{l}, b.ready...)
	default:
		l.after = now.Add(p.config.ReceiptRetry)
		b.later = append(b.later, l)
		p.ring()
	}
	p.pump(b)
	p.tidy(l.systemID, b)
	p.mu.Unlock()
	switch {
	case err == nil:
		p.tell(l, nil)
	case lost:
		p.tell(l, err)
	}
}

// tell says how a letter ended.
func (p *postOffice) tell(l *letter, err error) {
	if err != nil {
		err = fmt.Errorf("%w after %d attempts: %w", ErrUndelivered, l.attempts, err)
		p.config.Logger.Warn("smppserver: receipt given up", "system_id", l.systemID, "receipt", l.receipt, "error", err)
	}
	if p.config.OnReceipt != nil {
		p.config.OnReceipt(l.systemID, l.receipt, err)
	}
}

// run sends what has waited for its time and gives up what waited too long, as
// long as anything waits. In the end it gives up the rest.
func (p *postOffice) run(ctx context.Context) {
	defer p.close()
	timer := time.NewTimer(postSweep)
	defer timer.Stop()
	for {
		select {
		case <-p.wake:
			timer.Reset(postSweep)
			select {
			case <-timer.C:
				p.sweep(time.Now())
			case <-ctx.Done():
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

var (
	errReceiptExpired = errors.New("its time is over")
	errReceiptDropped = errors.New("server is closed")
)

func (p *postOffice) sweep(now time.Time) {
	var lost []*letter
	p.mu.Lock()
	for systemID, b := range p.boxes {
		for _, round := range b.sessions {
			round.full = false
		}
		later := b.later
		b.later = nil
		for _, l := range later {
			if l.after.After(now) {
				b.later = append(b.later, l)
			} else {
				b.ready = append(b.ready, l)
			}
		}
		b.ready, lost = split(b.ready, now, lost)
		b.later, lost = split(b.later, now, lost)
		p.pump(b)
		p.tidy(systemID, b)
		if len(b.later) > 0 {
			p.ring()
		}
	}
	p.mu.Unlock()
	for _, l := range lost {
		p.tell(l, errReceiptExpired)
	}
}

// split takes out what has expired.
func split(letters []*letter, now time.Time, lost []*letter) (kept, expired []*letter) {
	for _, l := range letters {
		if now.Before(l.expires) {
			kept = append(kept, l)
		} else {
			lost = append(lost, l)
		}
	}
	return kept, lost
}

func (p *postOffice) close() {
	p.mu.Lock()
	p.closed = true
	var lost []*letter
	for _, b := range p.boxes {
		lost = append(append(lost, b.ready...), b.later...)
		b.ready, b.later = nil, nil
	}
	p.mu.Unlock()
	for _, l := range lost {
		p.tell(l, errReceiptDropped)
	}
}
