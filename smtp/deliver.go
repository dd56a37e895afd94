package smtp

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/otpcourier/otpcourier/channel"
)

// slow is the time that a relay has: if the caller gives up earlier, the relay
// is not at fault.
const slow = time.Second

// maxProbe is the longest wait for the first reply over an idle connection. The
// message must have at least three times as long. If a firewall has forgotten
// the connection, it never answers.
const maxProbe = 5 * time.Second

var (
	errBroken = errors.New("not tried: it has failed several times in a row")
	errRate   = errors.New("Rate is used up for longer than the message may wait")
)

// A relay is a Relay in use.
type relay struct {
	Relay
	hello string
	open  func(ctx context.Context, network, addr string) (net.Conn, error)
	log   *slog.Logger

	pool      *pool
	bucket    *rate.Limiter // nil: no bound
	breaker   breaker
	suspicion suspicion
	lastFault atomic.Pointer[channel.Error]
	scram     scramKeys
}

func newRelay(s *settings, config Relay) *relay {
	r := &relay{Relay: config, hello: s.HelloName, open: s.Dial, log: s.Logger.With(slog.String("relay", config.Addr))}
	r.pool = newPool(config.MaxConns, s.IdleTimeout)
	if config.Rate.PerSecond > 0 {
		r.bucket = rate.NewLimiter(rate.Limit(config.Rate.PerSecond), config.Rate.Burst)
	}
	r.breaker.BreakerConfig = config.Breaker
	return r
}

// deliver offers the mail to the relays in turn. The result of a relay is final
// if the relay takes the mail, refuses it for a reason of the message, or leaves
// open whether it took it. If no relay is left, the mail waits for the relay
// whose Rate has room first. If all relays fail for reasons of their own,
// deliver returns the mildest error.
func (c *Channel) deliver(ctx context.Context, e envelope) (string, error) {
	var (
		mildest error
		limited *relay    // the relay with a used-up Rate that has room first
		room    time.Time // when limited has room
	)
	for i, r := range c.relays {
		last := i == len(c.relays)-1
		b := halfOfTime
		if last && limited == nil {
			b = allOfTime
		}
		text, err := r.deliver(ctx, e, b)
		if err == nil || severityOf(err) == final {
			return text, err
		}
		if at, used := roomAt(err); used && (limited == nil || at.Before(room)) {
			limited, room = r, at
		} else if !used {
			mildest = milder(mildest, err)
		}
		if last || ctx.Err() != nil {
			break
		}
		r.log.LogAttrs(ctx, slog.LevelWarn, "smtp: trying the next relay", slog.Any("error", err))
	}
	if limited == nil {
		return "", mildest
	}
	text, err := limited.deliver(ctx, e, allOfTimeWaiting)
	if err == nil || severityOf(err) == final {
		return text, err
	}
	return "", milder(mildest, err)
}

// A budget is the share of a message's time for one relay.
type budget uint8

const (
	halfOfTime       budget = iota // half of it, until the relay is ready for the content
	allOfTime                      // all of it
	allOfTimeWaiting               // all of it, also to wait for the relay's Rate
)

// A severity ranks the error of a relay by the chance that a later try of the
// same message succeeds, the best chance first.
type severity uint8

const (
	passing     severity = iota // the relay may accept the message later
	configured                  // the relay accepts the message once its configuration is right
	doubted                     // the relay refuses the message, perhaps for a reason of its own
	unsupported                 // the recipient needs SMTPUTF8, which the relay lacks
	final                       // another relay would do no better
)

func severityOf(err error) severity {
	switch class := channel.ClassOf(err); {
	case class == channel.Temporary, class == channel.Throttled:
		return passing
	case class == channel.Misconfigured:
		return configured
	case errors.Is(err, errNeedsUTF8):
		return unsupported
	}
	if r, refused := errors.AsType[reply](err); refused && r.doubtful {
		return doubted
	}
	return final
}

// milder returns the less severe of two errors, and the second if they are
// equal. The first may be nil.
func milder(one, two error) error {
	if one == nil || severityOf(two) <= severityOf(one) {
		return two
	}
	return one
}

// roomAt returns when a relay with a used-up Rate has room.
func roomAt(err error) (at time.Time, used bool) {
	e, ok := errors.AsType[*channel.Error](err)
	if !ok || !errors.Is(err, errRate) {
		return time.Time{}, false
	}
	return time.Now().Add(e.RetryAfter), true
}

// deliver sends the mail to r.
func (r *relay) deliver(ctx context.Context, e envelope, b budget) (string, error) {
	wait, ok := r.breaker.allow()
	if !ok {
		return "", r.openError(wait)
	}
	v, to := notCounted, e.to
	defer func() { r.breaker.report(v, to) }()
	begun := time.Now()
	text, err := r.attempt(ctx, e, b)
	v = r.verdict(ctx, err, time.Since(begun))
	if v == works && err == nil {
		r.suspicion.accepted()
	}
	return text, err
}

// attempt offers the mail to r within the budget.
func (r *relay) attempt(ctx context.Context, e envelope, b budget) (string, error) {
	if err := r.throttle(ctx, b == allOfTimeWaiting); err != nil {
		return "", err
	}
	var err error
	if e.data, err = e.mail.forRelay(r); err != nil {
		return "", composeError(err)
	}
	early := ctx
	if deadline, ok := ctx.Deadline(); ok && b == halfOfTime {
		var cancel context.CancelFunc
		early, cancel = context.WithTimeout(ctx, time.Until(deadline)/2)
		defer cancel()
	}
	return r.submit(ctx, early, e)
}

// throttle takes a token of the relay's Rate. If there is none, it waits for the
// next if wait is set, and fails otherwise.
func (r *relay) throttle(ctx context.Context, wait bool) error {
	if r.bucket == nil {
		return nil
	}
	now := time.Now()
	r.warm(now)
	if r.bucket.AllowN(now, 1) {
		return nil
	}
	if !wait { // a cancelled reservation would delay the later ones
		missing := max(0, 1-r.bucket.TokensAt(now))
		return usedUp(time.Duration(missing / float64(r.bucket.Limit()) * float64(time.Second)))
	}
	reservation := r.bucket.ReserveN(now, 1)
	delay := reservation.DelayFrom(now)
	if deadline, _ := ctx.Deadline(); now.Add(delay).After(deadline) {
		reservation.CancelAt(now)
		return usedUp(delay)
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		reservation.Cancel()
		return failure(ctx, phaseQueue, context.Cause(ctx))
	}
}

// usedUp is the error of a relay that has room only after a delay.
func usedUp(delay time.Duration) error {
	return &channel.Error{Class: channel.Throttled, Op: "smtp: " + string(phaseRelay), RetryAfter: delay, Err: errRate}
}

// warm raises the rate of a relay with a new sending address.
func (r *relay) warm(now time.Time) {
	if r.Rate.WarmSince.IsZero() {
		return
	}
	if at := rate.Limit(r.Rate.at(now)); at != r.bucket.Limit() {
		r.bucket.SetLimitAt(now, at)
		r.bucket.SetBurstAt(now, min(r.Rate.Burst, max(1, int(at))))
	}
}

// at returns the messages per second at that time.
func (r Rate) at(now time.Time) float64 {
	days := now.Sub(r.WarmSince).Hours() / 24
	if r.WarmSince.IsZero() {
		return r.PerSecond
	}
	return min(r.PerSecond, r.WarmFrom*math.Exp2(max(0, days)))
}

// verdict returns the result of an attempt for the breaker.
func (r *relay) verdict(ctx context.Context, err error, took time.Duration) verdict {
	e, failed := errors.AsType[*channel.Error](err)
	if !failed || errors.Is(err, errNeedsUTF8) {
		return works
	}
	p := phase(strings.TrimPrefix(e.Op, "smtp: "))
	reply, refused := errors.AsType[reply](err)
	v := faultyFor
	switch {
	case p == phaseQueue, p == phaseRelay, p == phaseMessage:
		return notCounted
	case ctx.Err() != nil && (took < slow || !errors.Is(ctx.Err(), context.DeadlineExceeded)):
		return notCounted
	case p == phaseDial, p == phaseTLS, p == phaseHello, p == phaseAuth:
		v = faulty
	case !refused: // perhaps because of the recipient, who is in the same write as MAIL
	case reply.code == 530 && e.Class == channel.Misconfigured, reply.code == 421 && !p.namesRecipient():
		v = faulty
	case reply.code == 421:
	default: // the refusal concerns the message
		return works
	}
	r.lastFault.Store(e)
	return v
}

// openError returns the error while the breaker is open: the last fault again.
func (r *relay) openError(wait time.Duration) error {
	e := channel.Error{Class: channel.Temporary, Op: "smtp: " + string(phaseRelay), RetryAfter: wait, Err: errBroken}
	if fault := r.lastFault.Load(); fault != nil {
		e.Code = fault.Code
		if fault.Class == channel.Misconfigured {
			e.Class = channel.Misconfigured
		}
	}
	return &e
}
