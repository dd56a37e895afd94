package smppserver

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// Errors of Server.Deliver, Server.DeliverMessage, Config.OnReceipt and
// Config.OnMessage.
var (
	// ErrReceiptQueueFull is returned if Config.ReceiptQueue receipts and parts
	// of messages wait for the system_id.
	ErrReceiptQueueFull = errors.New("smppserver: receipt queue is full")

	// ErrUndelivered is the error of a receipt or message that the server gave
	// up. The peer may have it, if only its answer was lost.
	ErrUndelivered = errors.New("smppserver: receipt was not delivered")
)

// sweepInterval is the interval of the search for due receipts.
const sweepInterval = time.Second

// Deliver queues a receipt for a system_id and returns at once. The receipt is
// sent over any session of the system_id bound as transceiver or receiver. If
// it is refused or not answered, or if its session is lost, it is sent again:
// Config.ReceiptAttempts times in all, within Config.ReceiptLife. So an ESME
// may receive it twice. Receipts usually go out in the order in which they were
// queued.
//
// The queue is in memory. If the process ends, its receipts are lost. Shutdown
// and Close call Config.OnReceipt for each of them, also for receipts queued
// meanwhile.
func (s *Server) Deliver(systemID string, r DeliveryReceipt) error {
	if err := r.validate(); err != nil {
		return err
	}
	return s.receipts.add(systemID, &r)
}

// deliverAll queues the receipts of a handler for its message.
func (s *Server) deliverAll(m *Submit, id string) {
	for _, r := range m.receipts {
		ids := []string{r.ID}
		if r.ID == "" {
			if !m.WantsReceipt(r.Stat) {
				continue
			}
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

// An outgoing is a receipt for an ESME, or a part of a message.
type outgoing interface {
	// message returns the PDU for a peer of this interface_version, and whether
	// it is data_sm instead of deliver_sm.
	message(now time.Time, version uint8) (m *wire.Message, byDataSM bool)

	// report reports its end to the Config's function.
	report(c *Config, systemID string, err error)
}

// A queuedReceipt is a receipt, or a part of a message, until it is acknowledged or
// given up.
type queuedReceipt struct {
	systemID string
	outgoing
	expires  time.Time // end of its ReceiptLife
	after    time.Time // end of the pause before another try; zero: it is sent at once
	attempts int       // number of tries
}

// A receiptQueue holds the receipts of every system_id until they are
// acknowledged or given up. Its mutex is taken before a session's.
type receiptQueue struct {
	config *Config
	wake   chan struct{} // run must look again

	mu       sync.Mutex
	accounts map[string]*accountQueue // by system_id
	closed   bool
}

// An accountQueue holds the receipts of one system_id, and the sessions over
// which they may go.
type accountQueue struct {
	ready     []*queuedReceipt
	paused    []*queuedReceipt // until the end of their pause
	sent      int              // number of receipts that await an answer
	receivers []*receiver
}

// A receiver is a session for receipts.
type receiver struct {
	session *Session
	sent    int  // number of receipts from the queue that await an answer in it
	full    bool // it has no room; tried again after an answer, or at the next sweep
}

func newReceiptQueue(c *Config) *receiptQueue {
	return &receiptQueue{config: c, wake: make(chan struct{}, 1), accounts: make(map[string]*accountQueue)}
}

// account returns the queue of a system_id. q.mu is held.
func (q *receiptQueue) account(systemID string) *accountQueue {
	a := q.accounts[systemID]
	if a == nil {
		a = &accountQueue{}
		q.accounts[systemID] = a
	}
	return a
}

// add queues all or none.
func (q *receiptQueue) add(systemID string, all ...outgoing) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return ErrClosed
	}
	a := q.account(systemID)
	defer q.dropIfEmpty(systemID, a)
	if len(a.ready)+len(a.paused)+a.sent+len(all) > q.config.ReceiptQueue {
		return fmt.Errorf("%w: %d for %q", ErrReceiptQueueFull, q.config.ReceiptQueue, systemID)
	}
	expires := time.Now().Add(q.config.ReceiptLife)
	for _, v := range all {
		a.ready = append(a.ready, &queuedReceipt{systemID: systemID, outgoing: v, expires: expires})
	}
	q.send(a)
	return nil
}

// enter makes a session available for receipts, unless it is unbinding.
func (q *receiptQueue) enter(s *Session) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if s.state.Load() != stateBound {
		return
	}
	a := q.account(s.bind.SystemID)
	a.receivers = append(a.receivers, &receiver{session: s})
	q.send(a)
}

// leave makes a session unavailable for receipts.
func (q *receiptQueue) leave(s *Session) {
	q.mu.Lock()
	defer q.mu.Unlock()
	a := q.accounts[s.bind.SystemID]
	if a == nil {
		return
	}
	for i, to := range a.receivers {
		if to.session == s {
			a.receivers = append(a.receivers[:i:i], a.receivers[i+1:]...)
			break
		}
	}
	q.dropIfEmpty(s.bind.SystemID, a)
}

// dropIfEmpty forgets an account with neither receipts nor sessions. q.mu is
// held.
func (q *receiptQueue) dropIfEmpty(systemID string, a *accountQueue) {
	if len(a.receivers)+len(a.ready)+len(a.paused)+a.sent == 0 {
		delete(q.accounts, systemID)
	}
}

// send sends the ready receipts for which the sessions have room. q.mu is held;
// nothing here blocks.
func (q *receiptQueue) send(a *accountQueue) {
	for len(a.ready) > 0 {
		to := a.least(q.config.ReceiptWindow)
		if to == nil {
			q.wakeUp()
			return
		}
		r := a.ready[0]
		err := to.session.deliver(r.outgoing, func(status smpp.Status, err error) { q.answered(to, r, status, err) })
		if err != nil { // no room, or the session ends and leave is running
			to.full = true
			continue
		}
		a.ready[0] = nil
		a.ready = a.ready[1:]
		r.attempts++
		to.sent++
		a.sent++
	}
}

// least returns the session with the most room, or nil if none has room.
func (a *accountQueue) least(window int) *receiver {
	var best *receiver
	for _, r := range a.receivers {
		if !r.full && r.sent < window && (best == nil || r.sent < best.sent) {
			best = r
		}
	}
	return best
}

func (q *receiptQueue) wakeUp() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// answered records the answer to a receipt, or the reason why there is none.
func (q *receiptQueue) answered(to *receiver, r *queuedReceipt, status smpp.Status, err error) {
	if status != smpp.StatusOK {
		err = status
	}
	q.mu.Lock()
	a := q.account(r.systemID)
	a.sent--
	to.sent--
	to.full = false
	now := time.Now()
	lost := err != nil && (q.closed || r.attempts >= q.config.ReceiptAttempts || !now.Before(r.expires))
	switch {
	case err == nil || lost:
	case errors.Is(err, errSessionEnded): // another session may have it at once
		a.ready = append([]*queuedReceipt{r}, a.ready...)
	default:
		r.after = now.Add(q.config.ReceiptRetry)
		a.paused = append(a.paused, r)
		q.wakeUp()
	}
	q.send(a)
	q.dropIfEmpty(r.systemID, a)
	q.mu.Unlock()
	switch {
	case err == nil:
		q.report(r, nil)
	case lost:
		q.report(r, err)
	}
}

// report reports the end of a receipt, or of a part of a message.
func (q *receiptQueue) report(r *queuedReceipt, err error) {
	if err != nil {
		err = fmt.Errorf("%w after %d attempts: %w", ErrUndelivered, r.attempts, err)
		q.config.Logger.Warn("smppserver: given up", "system_id", r.systemID, "receipt", r.outgoing, "error", err)
	}
	r.outgoing.report(q.config, r.systemID, err)
}

// run sends a receipt after its pause, and gives it up after its ReceiptLife,
// until ctx ends. Then it gives up the rest. It sleeps while no receipt waits.
func (q *receiptQueue) run(ctx context.Context) {
	defer q.close()
	timer := time.NewTimer(sweepInterval)
	defer timer.Stop()
	for {
		select {
		case <-q.wake:
			timer.Reset(sweepInterval)
			select {
			case <-timer.C:
				q.sweep(time.Now())
			case <-ctx.Done():
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

var (
	errReceiptExpired = errors.New("Config.ReceiptLife has passed")
	errReceiptDropped = errors.New("server is closed")
)

func (q *receiptQueue) sweep(now time.Time) {
	var lost []*queuedReceipt
	q.mu.Lock()
	for systemID, a := range q.accounts {
		for _, to := range a.receivers {
			to.full = false
		}
		paused := a.paused
		a.paused = nil
		for _, r := range paused {
			if r.after.After(now) {
				a.paused = append(a.paused, r)
			} else {
				a.ready = append(a.ready, r)
			}
		}
		a.ready, lost = split(a.ready, now, lost)
		a.paused, lost = split(a.paused, now, lost)
		q.send(a)
		q.dropIfEmpty(systemID, a)
		if len(a.paused) > 0 {
			q.wakeUp()
		}
	}
	q.mu.Unlock()
	for _, r := range lost {
		q.report(r, errReceiptExpired)
	}
}

// split appends the expired receipts to lost, and returns the others apart.
func split(receipts []*queuedReceipt, now time.Time, lost []*queuedReceipt) (kept, expired []*queuedReceipt) {
	for _, r := range receipts {
		if now.Before(r.expires) {
			kept = append(kept, r)
		} else {
			lost = append(lost, r)
		}
	}
	return kept, lost
}

func (q *receiptQueue) close() {
	q.mu.Lock()
	q.closed = true
	var lost []*queuedReceipt
	for _, a := range q.accounts {
		lost = append(append(lost, a.ready...), a.paused...)
		a.ready, a.paused = nil, nil
	}
	q.mu.Unlock()
	for _, r := range lost {
		q.report(r, errReceiptDropped)
	}
}
