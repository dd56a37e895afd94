package smtp

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/otpcourier/otpcourier/channel"
)

// An extraError is the refusal of a connection while others work. It is not a
// failure: the message waits for one of the others.
type extraError struct{ error }

func (e extraError) Unwrap() error { return e.error }

// submit sends the mail over an idle connection, or a new one. All steps before
// the mail's content end with early, whose deadline is no later than ctx's.
func (r *relay) submit(ctx, early context.Context, e envelope) (string, error) {
	var refusal error // of a connection of the mail's own
	for range maxExtra {
		cn, err := r.pool.acquire(early, refusal != nil)
		if err != nil {
			return "", queueError(early, err, refusal)
		}
		text, err := r.use(ctx, early, e, cn)
		extra, ok := errors.AsType[extraError](err)
		if !ok {
			return text, err
		}
		refusal = extra.error
	}
	return "", refusal
}

// maxExtra is how often the relay may refuse a mail a connection of its own, or
// end its connection. After that the mail itself may be the reason.
const maxExtra = 5

// queueError returns the error of a mail without a connection.
func queueError(ctx context.Context, err, refusal error) error {
	if errors.Is(err, errNoOthers) {
		return refusal
	}
	return failure(ctx, phaseQueue, err)
}

// use sends the mail in a slot of the pool, over its connection, if cn is not
// nil. A dead connection is replaced once, if it has not taken anything.
func (r *relay) use(ctx, early context.Context, e envelope, cn *conn) (text string, err error) {
	var kept *conn
	defer func() { r.pool.release(kept) }()
	deadline, _ := early.Deadline()
	if cn != nil {
		probe := time.Now().Add(min(maxProbe, time.Until(deadline)/3))
		text, p, err := r.transact(ctx, cn, e, limits{first: probe, ready: deadline}, &kept)
		if !isStale(ctx, p, err) {
			return r.result(ctx, text, p, err, e)
		}
		r.log.LogAttrs(ctx, slog.LevelDebug, "smtp: idle connection was dead")
		if kept != nil {
			kept.quit()
			kept = nil
		}
		r.pool.reopen()
	}
	cn, err = r.connect(early)
	if err != nil {
		return "", err
	}
	text, p, err := r.transact(ctx, cn, e, limits{first: deadline, ready: deadline}, &kept)
	if isStale(ctx, p, err) { // before its first transaction
		return "", r.asExtra(ctx, failure(ctx, p, err), false)
	}
	return r.result(ctx, text, p, err, e)
}

// result returns the result of submit for a transaction that ended in phase p.
func (r *relay) result(ctx context.Context, text string, p phase, err error, e envelope) (string, error) {
	err = r.transactionError(ctx, p, err, e)
	if refused, ok := errors.AsType[reply](err); ok && refused.limitsConnections() {
		return "", r.asExtra(ctx, err, false)
	}
	return text, err
}

// connect opens a connection.
func (r *relay) connect(ctx context.Context) (*conn, error) {
	limited, stop := r.whileAlone(ctx)
	defer stop()
	opening := true
	defer func() {
		if opening { // a callback of the caller panicked
			r.pool.opened()
		}
	}()
	cn, p, err := r.dial(limited)
	opening = false
	if err != nil {
		if limited.Err() != nil && ctx.Err() == nil {
			p, err = phaseDial, errSlow
		}
		err = failure(ctx, p, err)
		if ctx.Err() != nil {
			r.pool.opened()
			return nil, err
		}
		return nil, r.asExtra(ctx, err, true)
	}
	r.pool.opened()
	r.log.LogAttrs(ctx, slog.LevelDebug, "smtp: connected", slog.String("tls", cn.tlsVersion()))
	return cn, nil
}

var errSlow = errors.New("given up, because other connections work")

// whileAlone returns a context for opening a connection. Opening may take its
// time. But if other connections work, the context ends after a while: they may
// be all that the relay allows.
func (r *relay) whileAlone(ctx context.Context) (limited context.Context, stop func()) {
	limited, cancel := context.WithCancel(ctx)
	deadline, _ := ctx.Deadline()
	patience := max(min(maxProbe, time.Until(deadline)/3), time.Millisecond)
	go func() {
		tick := time.NewTicker(patience)
		defer tick.Stop()
		for {
			select {
			case <-limited.Done():
				return
			case <-tick.C:
			}
			if r.pool.hasOthers() {
				cancel()
				return
			}
		}
	}()
	return limited, cancel
}

// asExtra returns err, the refusal of a connection, as an extraError if other
// connections work.
func (r *relay) asExtra(ctx context.Context, err error, opening bool) error {
	limit := r.pool.refused(opening, channel.ClassOf(err) == channel.Temporary)
	if limit == 0 {
		return err
	}
	r.log.LogAttrs(ctx, slog.LevelInfo, "smtp: the relay allows no further connection",
		slog.Int("connections", limit), slog.Any("error", err))
	return extraError{err}
}

// transact uses cn, and then closes it or sets kept to it, for the pool to keep
// or to leave: a QUIT needs a server that still replies.
func (r *relay) transact(ctx context.Context, cn *conn, e envelope, l limits, kept **conn) (string, phase, error) {
	text, p, err := cn.transact(ctx, e, l)
	reply, refused := replyOf(err)
	tooMany := refused && reply.limitsConnections()
	switch {
	case cn.isReusable() && !tooMany:
		*kept = cn
	case refused && cn.state != stateDesynchronized:
		cn.refusals = maxRefusals // to be left
		*kept = cn
	default:
		cn.close()
	}
	return text, p, err
}

// isStale reports whether the connection was lost or silent, or the relay
// closed it (421), before it accepted the sender.
func isStale(ctx context.Context, p phase, err error) bool {
	if err == nil || ctx.Err() != nil || p != phaseMail && p != phaseReset {
		return false
	}
	r, refused := replyOf(err)
	return !refused || r.code == 421 || p == phaseReset
}

// transactionError returns err, from phase p, as an error of Send; nil for nil.
func (r *relay) transactionError(ctx context.Context, p phase, err error, of envelope) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errNeedsUTF8):
		return refuse(channel.InvalidRecipient, err)
	}
	if _, refused := replyOf(err); refused && p == phaseMail && of.utf8 {
		p = phaseRcpt // MAIL asked for SMTPUTF8, which only this recipient needs
	}
	e := failure(ctx, p, err)
	if refused, ok := errors.AsType[reply](e); ok && refused.doubtful && r.suspicion.refused(refused, p, of.to) {
		e.Class = channel.Misconfigured
	}
	return e
}
