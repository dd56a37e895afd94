package smpp

import (
	"context"
	"sync"

	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp/internal/concat"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// maxInbound is the largest number of receipts and messages of one session that may
// wait for Config.Receipt and Config.Inbound. Further ones are answered with
// Config.RetryStatus, so that the SMSC repeats them.
const maxInbound = 1024

// An incoming is a receipt or a message that must be handed over and answered.
type incoming struct {
	session  *session
	response pdu.CommandID // 0: no answer is due
	seq      uint32
	receipt  channel.Receipt
	message  *wire.Message // nil: it is a receipt
}

// key returns the message id, or the address. Receipts and messages with one key
// are handed over one after the other.
func (d *incoming) key() string {
	if d.message != nil {
		return "from " + d.message.Source.Digits // an id has no blank
	}
	return d.receipt.ProviderID
}

// An inbox hands receipts and messages over: several at once, but those with one
// key one after the other, in the order of their arrival. It has no goroutine while
// it is empty. The sessions bound its length: each adds maxInbound at most.
type inbox struct {
	config *Config
	long   *concat.Reassembler
	ctx    context.Context // ends with the client
	spawn  func(func())    // starts a goroutine; the client waits for its end

	mu      sync.Mutex
	workers int                   // goroutines that run
	ready   []incoming            // oldest first; no two with one key
	behind  map[string][]incoming // by a key in ready or being handed over
}

func newInbox(ctx context.Context, c *Config, spawn func(func())) *inbox {
	return &inbox{config: c, long: concat.New(inboundLimits), ctx: ctx, spawn: spawn, behind: map[string][]incoming{}}
}

// add queues d. It never blocks.
func (b *inbox) add(d incoming) {
	key := d.key()
	b.mu.Lock()
	defer b.mu.Unlock()
	if waiting, busy := b.behind[key]; busy {
		b.behind[key] = append(waiting, d)
		return
	}
	b.behind[key] = nil
	b.ready = append(b.ready, d)
	if b.workers < b.config.Receivers {
		b.workers++
		b.spawn(b.work)
	}
}

// work hands items over until none is ready.
func (b *inbox) work() {
	for {
		d, ok := b.next()
		if !ok {
			return
		}
		d.session.handOver(b.ctx, d, b.long)
		b.done(d.key())
	}
}

// next returns the oldest item in ready. If there is none, the worker must end.
func (b *inbox) next() (incoming, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.ready) == 0 {
		b.ready = nil
		b.workers--
		return incoming{}, false
	}
	d := b.ready[0]
	b.ready[0] = incoming{}
	b.ready = b.ready[1:]
	return d, true
}

// done makes the next item with the key ready.
func (b *inbox) done(key string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	waiting := b.behind[key]
	if len(waiting) == 0 {
		delete(b.behind, key)
		return
	}
	b.ready = append(b.ready, waiting[0])
	b.behind[key] = waiting[1:]
}

// admit counts a receipt or message that must be answered. It refuses if too many
// wait, or if the session unbinds and could not answer any more.
func (s *session) admit() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unanswered >= maxInbound || s.state >= sessionDrained {
		return false
	}
	s.unanswered++
	return true
}

// enqueue queues d, or asks the SMSC to send it again.
func (s *session) enqueue(d incoming) {
	d.session = s
	if !s.admit() {
		s.log.Warn("smpp: receipt or message is not taken: too many wait, or the session ends", "most", maxInbound)
		if d.response != 0 {
			s.respond(d.response, s.config.RetryStatus, d.seq)
		}
		return
	}
	s.inbox.add(d)
}

// handOver passes a receipt to Config.Receipt, or a message to Config.Inbound, and
// answers it. After the end of the session the answer is lost, but the receipt is
// still true. It is handed over for ResponseTimeout more, or until ctx ends. Later
// receipts are dropped, because the SMSC repeats them over the next session.
// Otherwise a receiver that hangs would keep every session in memory.
func (s *session) handOver(ctx context.Context, d incoming, long *concat.Reassembler) {
	defer s.answered()
	if ctx.Err() != nil || s.endedFor() >= s.config.ResponseTimeout {
		return
	}
	status := StatusOK
	if err := s.handOverOne(ctx, d, long); err != nil {
		s.log.Warn("smpp: receipt or message was not taken, the SMSC will repeat it", "error", err)
		status = s.config.RetryStatus
	}
	if d.response != 0 {
		s.respond(d.response, status, d.seq)
	}
}

// answered ends an admit.
func (s *session) answered() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unanswered--
	s.checkDrained()
}
