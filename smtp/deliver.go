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
	slow       = time.Second     // a relay may take; less is no fault of its own where the caller gives up
)

// maxProbe is how long a connection that was idle may take for its first
// reply, where the message has three times as long: one that a firewall has
// forgotten never answers.
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
		IsExcluded:  func(err error) bool { return errors.Is(err, errNoVerdict) },
	})
	return r
}

// deliver offers the mail to the relays in turn until one takes it, refuses it
// for what it is, or leaves open whether it took it: that is the last word,
// whatever the relays before said. Where none is left, the mail waits for the
// relay whose Rate has room first. Where all fail for reasons of their own, the
// error is one after which trying again may help, if there was any, else the
// last.
func (c *Channel) deliver(ctx context.Context, e envelope) (string, error) {
	var (
		worst error
		full  *relay    // of those whose Rate is used up, the one that has room first
		room  time.Time // when that is
	)
	for i, r := range c.relays {
		last := i == len(c.relays)-1
		t := oneOfSeveral
		if last && full == nil {
			t = lastOne
		}
		said, err := r.deliver(ctx, e, t)
		if err == nil || !isRelays(err) {
			return said, err
		}
		if at, used := roomAt(err); used && (full == nil || at.Before(room)) {
			full, room = r, at
		} else if !used {
			worst = worse(worst, err)
		}
		if last || ctx.Err() != nil {
			break
		}
		r.log.LogAttrs(ctx, slog.LevelWarn, "smtp: trying the next relay", slog.Any("error", err))
	}
	if full == nil {
		return "", worst
	}
	said, err := full.deliver(ctx, e, waiting)
	if err == nil || !isRelays(err) {
		return said, err
	}
	return "", worse(worst, err)
}

// A turn is how much of a message's time a relay may take.
type turn uint8

const (
	oneOfSeveral turn = iota // half of it, until the message's content may go
	lastOne                  // all
	waiting                  // all, and some of it to wait for Rate
)

// worse is the one of two errors of relays that Send returns; the first may be
// nil.
func worse(one, two error) error {
	if one == nil || hope(two) >= hope(one) {
		return two
	}
	return one
}

// roomAt returns when a relay has room, whose Rate is used up.
func roomAt(err error) (at time.Time, used bool) {
	e, ok := errors.AsType[*channel.Error](err)
	if !ok || !errors.Is(err, errRate) {
		return time.Time{}, false
	}
	return time.Now().Add(e.RetryAfter), true
}

// mayPass reports that the same message may be taken later.
func mayPass(err error) bool {
	class := channel.ClassOf(err)
	return class == channel.Temporary || class == channel.Throttled
}

// isRelays reports that the message was not sent for a reason that another
// relay need not have.
func isRelays(err error) bool { return hope(err) > 0 }

// hope is how much there is, after an error of a relay's own, that the message
// can ever go; 0 for an error of another kind. A recipient who needs SMTPUTF8
// has none where all relays lack it.
func hope(err error) int {
	switch {
	case mayPass(err):
		return 3
	case channel.ClassOf(err) == channel.Misconfigured:
		return 2
	case errors.Is(err, errNeedsUTF8):
		return 1
	}
	return 0
}

// deliver gives the mail to r.
func (r *relay) deliver(ctx context.Context, e envelope, t turn) (string, error) {
	verdict, err := r.breaker.Allow()
	if err != nil {
		return "", r.broken()
	}
	begun := time.Now()
	said, err := r.inTurn(ctx, e, t)
	verdict(r.judge(ctx, err, time.Since(begun)))
	return said, err
}

func (r *relay) inTurn(ctx context.Context, e envelope, t turn) (string, error) {
	if err := r.throttle(ctx, t == waiting); err != nil {
		return "", err
	}
	early := ctx
	if deadline, ok := ctx.Deadline(); ok && t == oneOfSeveral {
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

// throttle takes a place of the relay's Rate, and waits for it if that is
// wanted.
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
	place := r.bucket.ReserveN(now, 1)
	delay := place.DelayFrom(now)
	if deadline, _ := ctx.Deadline(); now.Add(delay).After(deadline) {
		place.CancelAt(now)
		return usedUp(delay)
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		place.Cancel()
		return failure(ctx, phaseQueue, context.Cause(ctx))
	}
}

// usedUp is the error of a relay that has room only after a delay.
func usedUp(delay time.Duration) error {
	return &channel.Error{Class: channel.Throttled, Op: "smtp: " + string(phaseRelay), RetryAfter: delay, Err: errRate}
}

// warm raises the bound of a relay whose address is new.
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

// What the breaker is told besides nil, which is a relay that does its work,
// whatever it says of a message.
var (
	errFault     = errors.New("smtp: the relay is at fault")
	errNoVerdict = errors.New("smtp: it did not come to that")
)

func (r *relay) judge(ctx context.Context, err error, took time.Duration) error {
	e, failed := errors.AsType[*channel.Error](err)
	_, refused := errors.AsType[reply](err)
	switch {
	case !failed, errors.Is(err, errNeedsUTF8):
		return nil
	case e.Op == "smtp: "+string(phaseQueue), e.Op == "smtp: "+string(phaseRelay):
		return errNoVerdict
	case ctx.Err() != nil && (took < slow || !errors.Is(ctx.Err(), context.DeadlineExceeded)):
		return errNoVerdict
	case refused && !isOfRelay(e):
		return nil
	}
	r.lastFault.Store(e)
	return errFault
}

// isOfRelay tells a refusal to serve us from one of a message.
func isOfRelay(e *channel.Error) bool {
	r, _ := errors.AsType[reply](e)
	switch e.Op {
	case "smtp: " + string(phaseTLS), "smtp: " + string(phaseHello), "smtp: " + string(phaseAuth):
		return true
	}
	return r.code == 421 || r.code == 530
}

// broken is the error while the breaker is open: the last fault again.
func (r *relay) broken() error {
	e := channel.Error{Class: channel.Temporary, Op: "smtp: " + string(phaseRelay), RetryAfter: breakPause, Err: errBroken}
	if fault := r.lastFault.Load(); fault != nil {
		e.Code = fault.Code
		if fault.Class == channel.Misconfigured {
			e.Class = channel.Misconfigured
		}
	}
	return &e
}

// submit sends the mail over an idle connection, or a new one. An idle
// connection that turns out to be dead before it has taken anything is
// replaced once. What precedes the message's content ends with early, which is
// a part of ctx.
func (r *relay) submit(ctx, early context.Context, e envelope) (string, error) {
	ready, _ := early.Deadline()
	if cn := r.pool.take(); cn != nil {
		probe := time.Now().Add(min(maxProbe, time.Until(ready)/3))
		said, p, err := r.transact(ctx, cn, e, limits{first: probe, ready: ready})
		if !isStale(ctx, p, err) {
			return said, wrap(ctx, p, err)
		}
		r.log.LogAttrs(ctx, slog.LevelDebug, "smtp: idle connection was dead")
	}
	cn, err := r.connect(early)
	if err != nil {
		return "", err
	}
	said, p, err := r.transact(ctx, cn, e, limits{first: ready, ready: ready})
	return said, wrap(ctx, p, err)
}

func (r *relay) connect(ctx context.Context) (*conn, error) {
	cn, p, err := r.dial(ctx)
	if err != nil {
		return nil, failure(ctx, p, err)
	}
	r.log.LogAttrs(ctx, slog.LevelDebug, "smtp: connected", slog.String("tls", cn.tlsVersion()))
	return cn, nil
}

// transact uses cn and puts it back or closes it.
func (r *relay) transact(ctx context.Context, cn *conn, e envelope, l limits) (string, phase, error) {
	said, p, err := cn.transact(ctx, e, l)
	_, refused := replyOf(err)
	switch {
	case cn.meter.excess:
		cn.close()
	case err == nil, cn.clean:
		r.pool.put(cn)
	case refused:
		cn.quit()
	default:
		cn.close()
	}
	return said, p, err
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

func wrap(ctx context.Context, p phase, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errNeedsUTF8):
		return refuse(channel.InvalidRecipient, err)
	}
	return failure(ctx, p, err)
}
