package smtp

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"net"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"
	"golang.org/x/time/rate"

	"github.com/otpcourier/otpcourier/channel"
)

// A breaker keeps messages from waiting for a relay that is down.
const (
	breakAfter = 5               // faults in a row
	breakPause = 5 * time.Second // before one message tries the relay again
	slow       = time.Second     // a relay may take: if the caller gives up before, the relay is not at fault
)

// maxProbe is how long a connection that was idle may take for its first reply,
// if the message has at least three times as long. A connection that a firewall
// has forgotten never answers.
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
	breaker   *gobreaker.TwoStepCircuitBreaker[struct{}]
	lastFault atomic.Pointer[channel.Error]
	scram     scramKeys
}

func newRelay(s *settings, config Relay) *relay {
	r := &relay{Relay: config, hello: s.HelloName, open: s.Dial, log: s.Logger.With(slog.String("relay", config.Addr))}
	r.pool = newPool(config.MaxConns, s.IdleTimeout)
	if config.Rate.PerSecond > 0 {
		r.bucket = rate.NewLimiter(rate.Limit(config.Rate.PerSecond), config.Rate.Burst)
	}
	r.breaker = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		MaxRequests: 1,
		Timeout:     breakPause,
		ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= breakAfter },
		IsExcluded:  func(err error) bool { return errors.Is(err, errNotCounted) },
	})
	return r
}

// deliver offers the mail to the relays in turn until one takes it, refuses it
// for a reason of the message, or leaves open whether it took it: that result is
// final, whatever the relays before replied. If no relay is left, the mail waits
// for the relay whose Rate has room first. If all relays fail for reasons of
// their own, deliver returns the mildest error.
func (c *Channel) deliver(ctx context.Context, e envelope) (string, error) {
	var (
		mildest error
		limited *relay    // whose Rate is used up: of several, the one that has room first
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

// A budget is how much of a message's time a relay may take.
type budget uint8

const (
	halfOfTime       budget = iota // half of it, until the message's content may go
	allOfTime                      // all of it
	allOfTimeWaiting               // all of it, also to wait for the relay's Rate
)

// A severity ranks the error of a relay by the chance that a later try of the
// same message succeeds, the best chance first.
type severity uint8

const (
	passing     severity = iota // the relay may take the message later
	configured                  // the relay takes the message once its configuration is right
	unsupported                 // the recipient needs SMTPUTF8, which the relay lacks
	final                       // no other relay would do better
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
	return final
}

// milder returns the less severe of two errors, of equals the second. The first
// may be nil.
func milder(one, two error) error {
	if one == nil || severityOf(two) <= severityOf(one) {
		return two
	}
	return one
}

// roomAt returns when a relay whose Rate is used up has room.
func roomAt(err error) (at time.Time, used bool) {
	e, ok := errors.AsType[*channel.Error](err)
	if !ok || !errors.Is(err, errRate) {
		return time.Time{}, false
	}
	return time.Now().Add(e.RetryAfter), true
}

// deliver gives the mail to r.
func (r *relay) deliver(ctx context.Context, e envelope, b budget) (string, error) {
	report, err := r.breaker.Allow()
	if err != nil {
		return "", r.openError()
	}
	begun := time.Now()
	text, err := r.attempt(ctx, e, b)
	report(r.outcome(ctx, err, time.Since(begun)))
	return text, err
}

// attempt offers the mail to r within the budget.
func (r *relay) attempt(ctx context.Context, e envelope, b budget) (string, error) {
	if err := r.throttle(ctx, b == allOfTimeWaiting); err != nil {
		return "", err
	}
	early := ctx
	if deadline, ok := ctx.Deadline(); ok && b == halfOfTime {
		var cancel context.CancelFunc
		early, cancel = context.WithTimeout(ctx, time.Until(deadline)/2)
		defer cancel()
	}
	if err := r.pool.acquire(early); err != nil {
		return "", failure(early, phaseQueue, err)
	}
	defer r.pool.release()
	return r.submit(ctx, early, e)
}

// throttle takes a token of the relay's Rate. If there is none, throttle waits for
// the next if wait is set, and else fails.
func (r *relay) throttle(ctx context.Context, wait bool) error {
	if r.bucket == nil {
		return nil
	}
	now := time.Now()
	r.warm(now)
	if r.bucket.AllowN(now, 1) {
		return nil
	}
	if !wait { // a reservation that is cancelled would hold up those behind it
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

// warm raises the bound of a relay to which mail comes from a new address.
func (r *relay) warm(now time.Time) {
	if r.Rate.WarmSince.IsZero() {
		return
	}
	if at := rate.Limit(r.Rate.at(now)); at != r.bucket.Limit() {
		r.bucket.SetLimitAt(now, at)
		r.bucket.SetBurstAt(now, min(r.Rate.Burst, max(1, int(at))))
	}
}

// at returns how many messages a second may go.
func (r Rate) at(now time.Time) float64 {
	days := now.Sub(r.WarmSince).Hours() / 24
	if r.WarmSince.IsZero() {
		return r.PerSecond
	}
	return min(r.PerSecond, r.WarmFrom*math.Exp2(max(0, days)))
}

// The outcomes for the breaker. nil is a success: the relay works, whatever it
// replies about a message.
var (
	errFault      = errors.New("smtp: the relay is at fault")
	errNotCounted = errors.New("smtp: the attempt shows nothing about the relay")
)

// outcome returns the outcome of an attempt for the breaker.
func (r *relay) outcome(ctx context.Context, err error, took time.Duration) error {
	e, failed := errors.AsType[*channel.Error](err)
	_, refused := errors.AsType[reply](err)
	switch {
	case !failed, errors.Is(err, errNeedsUTF8):
		return nil
	case e.Op == "smtp: "+string(phaseQueue), e.Op == "smtp: "+string(phaseRelay):
		return errNotCounted
	case ctx.Err() != nil && (took < slow || !errors.Is(ctx.Err(), context.DeadlineExceeded)):
		return errNotCounted
	case refused && !refusesClient(e):
		return nil
	}
	r.lastFault.Store(e)
	return errFault
}

// refusesClient reports a refusal to serve us, as opposed to one of a message.
func refusesClient(e *channel.Error) bool {
	r, _ := errors.AsType[reply](e)
	switch e.Op {
	case "smtp: " + string(phaseTLS), "smtp: " + string(phaseHello), "smtp: " + string(phaseAuth):
		return true
	}
	return r.code == 421 || r.code == 530
}

// openError is the error while the breaker is open: the last fault again.
func (r *relay) openError() error {
	e := channel.Error{Class: channel.Temporary, Op: "smtp: " + string(phaseRelay), RetryAfter: breakPause,
		Err: errBroken}
	if fault := r.lastFault.Load(); fault != nil {
		e.Code = fault.Code
		if fault.Class == channel.Misconfigured {
			e.Class = channel.Misconfigured
		}
	}
	return &e
}

// submit sends the mail over an idle connection, or a new one. An idle
// connection that turns out to be dead before it has taken anything is replaced
// once. All steps before the message's content end with early, whose deadline is
// not after that of ctx.
func (r *relay) submit(ctx, early context.Context, e envelope) (string, error) {
	deadline, _ := early.Deadline()
	if cn := r.pool.take(); cn != nil {
		probe := time.Now().Add(min(maxProbe, time.Until(deadline)/3))
		text, p, err := r.transact(ctx, cn, e, limits{first: probe, ready: deadline})
		if !isStale(ctx, p, err) {
			return text, transactionError(ctx, p, err)
		}
		r.log.LogAttrs(ctx, slog.LevelDebug, "smtp: idle connection was dead")
	}
	cn, err := r.connect(early)
	if err != nil {
		return "", err
	}
	text, p, err := r.transact(ctx, cn, e, limits{first: deadline, ready: deadline})
	return text, transactionError(ctx, p, err)
}

func (r *relay) connect(ctx context.Context) (*conn, error) {
	cn, p, err := r.dial(ctx)
	if err != nil {
		return nil, failure(ctx, p, err)
	}
	r.log.LogAttrs(ctx, slog.LevelDebug, "smtp: connected", slog.String("tls", cn.tlsVersion()))
	return cn, nil
}

// transact uses cn, and then puts it back or closes it. QUIT is for a server that
// still replies.
func (r *relay) transact(ctx context.Context, cn *conn, e envelope, l limits) (string, phase, error) {
	text, p, err := cn.transact(ctx, e, l)
	_, refused := replyOf(err)
	switch {
	case cn.isReusable():
		r.pool.put(cn)
	case refused && cn.state != stateDesynchronized:
		cn.quit()
	default:
		cn.close()
	}
	return text, p, err
}

// isStale reports that a reused connection was lost, or silent, or closed by
// the relay (421), before it took the sender.
func isStale(ctx context.Context, p phase, err error) bool {
	if err == nil || ctx.Err() != nil || p != phaseMail && p != phaseReset {
		return false
	}
	r, refused := replyOf(err)
	return !refused || r.code == 421 || p == phaseReset
}

// transactionError returns err, met in phase p, as an error of Send; nil for nil.
func transactionError(ctx context.Context, p phase, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errNeedsUTF8):
		return refuse(channel.InvalidRecipient, err)
	}
	return failure(ctx, p, err)
}
