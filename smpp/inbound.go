package smpp

import (
	"context"
	"log/slog"

	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// maxInbound is how many receipts may wait for Config.Receipt. Beyond it the
// SMSC is asked to try later.
const maxInbound = 1024

// A delivery is a receipt that is to be handed over and then answered.
type delivery struct {
	response pdu.CommandID
	seq      uint32
	receipt  channel.Receipt
}

// receive takes a deliver_sm or data_sm. It never blocks: the reader must go
// on, and the SMSC counts on an answer (unanswered, it repeats without end).
func (s *session) receive(f wire.Frame) {
	decode := wire.DecodeMessage
	if f.ID == pdu.DataSmID {
		decode = wire.DecodeDataSM
	}
	m, err := decode(f.Body)
	if err != nil {
		s.log.Warn("smpp: malformed message from the SMSC", idAttr(f), slog.Any("error", err))
		s.respond(f.Response(), StatusInvalidCmdLength, f.Seq)
		return
	}
	r, ok := s.config.receipt(m)
	switch {
	case !ok:
		s.log.Debug("smpp: message dropped that is no delivery receipt", idAttr(f))
	case r.ProviderID == "":
		s.log.Warn("smpp: delivery receipt without a message id", "code", r.Code)
	case s.config.Receipt != nil:
		s.enqueue(delivery{f.Response(), f.Seq, r})
		return
	}
	s.respond(f.Response(), StatusOK, f.Seq)
}

func (s *session) enqueue(d delivery) {
	select {
	case s.inbound <- d:
	default:
		s.log.Warn("smpp: receipts come faster than they are handled", "waiting", maxInbound)
		s.respond(d.response, StatusReceiverTemporary, d.seq)
	}
}

// handOver gives receipts to Config.Receipt, in order, and answers them. It
// goes on after the session has ended, when answers reach nobody, until what
// was received is handed over or ctx ends: the receipts are true all the same.
func (s *session) handOver(ctx context.Context) {
	for d := range s.inbound {
		if ctx.Err() != nil {
			return
		}
		status := StatusOK
		if err := s.handOverOne(ctx, d.receipt); err != nil {
			s.log.Warn("smpp: receipt was not taken, the SMSC will repeat it", "error", err)
			status = StatusReceiverTemporary
		}
		s.respond(d.response, status, d.seq)
	}
}

func (s *session) handOverOne(ctx context.Context, r channel.Receipt) error {
	ctx, cancel := context.WithTimeout(ctx, s.config.ResponseTimeout)
	defer cancel()
	return s.config.Receipt(ctx, r)
}
