package otp_test

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp/internal/delivery"
	"github.com/otpcourier/otpcourier/store"
)

// historyPatience is how long after its time something may be done: the longest pause of a
// job that failed is 32 s, and it may have failed before.
const historyPatience = 75 * time.Second

func (h *history) breach(r *historyRecord, format string, args ...any) {
	h.broken = append(h.broken, fmt.Sprintf("%.7s: ", r.ID)+fmt.Sprintf(format, args...))
}

// check holds the rules against what happened.
func (h *history) check() {
	h.broken = append(h.broken, h.wrong...)
	for id, r := range h.w.records {
		var person *historySend
		for _, s := range h.people {
			if h.procs[0].svc.HistoryID(s.id) == id {
				person = s
			}
		}
		var calls []*historyCall
		for _, c := range h.w.calls {
			if c.challenge == id {
				calls = append(calls, c)
			}
		}
		h.checkWrites(r)
		h.checkCalls(r, calls)
		h.checkAnswered(r)
		if person != nil {
			h.checkCodes(r, person)
			h.checkEnd(r, person)
			h.checkLimits(r, person, calls)
		}
	}
}

// checkCodes: one code per challenge is verified, and once; and no more guesses are
// compared than there are attempts.
func (h *history) checkCodes(r *historyRecord, s *historySend) {
	if len(s.verified) > 1 {
		h.breach(r, "verified %d times", len(s.verified))
	}
	if len(s.verified) == 1 && r.outcome != store.Verified {
		h.breach(r, "verified, and the record is %v", r.outcome)
	}
	if len(r.attempts) > r.MaxAttempts {
		h.breach(r, "%d guesses were compared, of %d", len(r.attempts), r.MaxAttempts)
	}
}

// checkWrites: what a record may never do.
func (h *history) checkWrites(r *historyRecord) {
	claims := map[int]int{} // by step, without an outcome
	for _, w := range r.writes {
		b, a := w.before, w.after
		began := a.Attempt != b.Attempt && a.Phase == delivery.Sending
		switch {
		case began:
			claims[a.Attempt.Step]++
		case b.Phase == delivery.Sending && a.Phase == delivery.Due && a.Attempt == b.Attempt:
			claims[a.Attempt.Step]--
		}
		switch {
		case claims[a.Attempt.Step] > 2:
			h.breach(r, "taken over twice, event %d", w.i)
		case b.Reached > 0 && a.Reached != b.Reached:
			h.breach(r, "a Delivered is lost, event %d", w.i)
		case began && b.Phase == delivery.Delivered && a.Send <= b.Send:
			h.breach(r, "begun after it was delivered, event %d", w.i)
		case a.Attempt.Step == b.Attempt.Step && a.State < b.State:
			h.breach(r, "the state of a message goes back, event %d", w.i)
		case a.Attempt.Step > 3*(a.Sends+1): // one Send at most is repeated
			h.breach(r, "step %d, more than routes and sends", a.Attempt.Step)
		}
	}
}

// claimOf returns the write by which a call's process claimed its step.
func (r *historyRecord) claimOf(c *historyCall) (claim historyWrite) {
	for _, w := range r.writes {
		if w.i < c.begin && w.proc == c.proc && w.after.Phase == delivery.Sending && w.after.Attempt.Step == c.step &&
			w.after.Attempt != w.before.Attempt {
			claim = w
		}
	}
	return claim
}

// recordedBy returns the event by which the outcome of a call was recorded, 0: none.
func (r *historyRecord) recordedBy(c *historyCall, claim historyWrite) int {
	for _, w := range r.writes {
		if c.end > 0 && w.i > c.end && w.proc == c.proc && w.before.Attempt == claim.after.Attempt &&
			w.before.Phase == delivery.Sending &&
			(w.after.Phase != delivery.Sending || w.after.Attempt != w.before.Attempt) {
			return w.i
		}
	}
	return 0
}

// checkCalls: what may be handed to a channel.
func (h *history) checkCalls(r *historyRecord, calls []*historyCall) {
	for i, c := range calls {
		claim := r.claimOf(c)
		switch {
		case claim.i == 0:
			h.breach(r, "sent without a claim, event %d", c.begin)
			continue
		case claim.closed:
			h.breach(r, "begun after the end, event %d", c.begin)
		}
		if late := slices.IndexFunc(c.dates, func(t time.Time) bool { return !t.Before(r.Expires) }); late >= 0 {
			h.breach(r, "a provider was called after the code had expired, event %d", c.begin)
		}
		if i == len(calls)-1 {
			h.checkFollowed(r, c, claim, r.recordedBy(c, claim))
		}
		for _, e := range calls[:i] {
			died := h.procs[e.proc-1].died
			alive := died.IsZero() || died.After(c.at)
			if alive && (e.ended.IsZero() || e.ended.After(c.at)) {
				h.breach(r, "two senders, events %d and %d", e.begin, c.begin)
			}
			if e.step == c.step && e.sent != 0 && r.knownSent(e, claim.i) {
				h.breach(r, "a step is sent again that was recorded as sent, events %d and %d", e.begin, c.begin)
			}
		}
	}
}

// knownSent reports whether the record said that a call's message was sent before event i.
func (r *historyRecord) knownSent(c *historyCall, i int) bool {
	claim := r.claimOf(c)
	return slices.ContainsFunc(r.writes, func(w historyWrite) bool {
		return c.end > 0 && w.i > c.end && w.i < i && w.before.Attempt == claim.after.Attempt &&
			w.before.Phase == delivery.Sending && w.after.Phase == delivery.Sent
	})
}

// checkLimits: what went out is counted and, if nothing failed, nothing else is. A message counts that may
// have gone out beside another of its step.
func (h *history) checkLimits(r *historyRecord, s *historySend, calls []*historyCall) {
	exact := h.pl.faults.none() && r.outcome == store.Open && r.delivery.Phase != delivery.Due &&
		r.delivery.Phase != delivery.Sending && r.delivery.Send == r.delivery.Sends
	for _, kind := range []channel.Address{channel.Phone, channel.Email} {
		if s.to.Of(kind) == "" {
			continue
		}
		sent, may := map[int]bool{}, 0 // steps; messages
		for _, c := range calls {
			if c.sent&kind != 0 {
				sent[c.step] = true
			}
			may += c.may(kind)
			if c.resultless {
				may++
			}
		}
		n := h.w.counted(h.procs[0].svc.HistoryLimitKey(kind.String(), s.to.Of(kind), time.Hour))
		switch {
		case n < len(sent):
			h.breach(r, "%d messages went to the %v, and %d are counted", len(sent), kind, n)
		case exact && n != min(may, h.pl.most):
			h.breach(r, "%d messages went to the %v, and %d are counted, although nothing failed", may, kind, n)
		}
	}
}

// checkEnd: what was promised, and due for long, was done.
func (h *history) checkEnd(r *historyRecord, s *historySend) {
	d := r.delivery
	if s.arrived && d.Reached == 0 {
		h.breach(r, "an acknowledged Delivered is lost")
	}
	last := r.Expires.Add(-4 * time.Second)
	if d.Next(delivery.Challenge{Open: r.outcome == store.Open, Expires: r.Expires}, last).Do != delivery.Send {
		return
	}
	since := d.At
	switch {
	case d.Send < d.Sends:
		since = d.Asked
	case since.IsZero():
		since = r.writes[len(r.writes)-1].at
	}
	if last.Sub(since) < historyPatience {
		return
	}
	workers := h.pl.async || h.pl.takeover > 0
	promised := h.pl.takeover > 0
	if !promised && !s.acked.Before(since) {
		promised = h.pl.async || d.Phase == delivery.Sent || d.Send < d.Sends
	}
	if d.Phase == delivery.Sending && !workers && d.Send == d.Sends {
		promised = false // nobody takes over
	}
	if promised {
		h.breach(r, "due since %v, and never done", clock(since))
	}
}

// checkFollowed holds, without asking the machine, that a message is followed by another
// if its receipt was awaited and stayed away, or if there was no time for each route, or
// if it was refused for now.
func (h *history) checkFollowed(r *historyRecord, c *historyCall, claim historyWrite, recorded int) {
	f, end := h.pl.faults, r.Expires.Add(-4*time.Second)
	workers := h.pl.async || h.pl.takeover > 0
	if d := r.delivery; d.Phase == delivery.Sending && d.Doubt { // two senders of the next step died
		return
	}
	if r.outcome != store.Open || r.delivery.Reached > 0 || recorded == 0 || f.before+f.after > 0 && !workers {
		return
	}
	failed := c.err != nil
	limited := failed && !slices.ContainsFunc(c.sub.Hops, func(a channel.Hop) bool { return a.Code != "limited" })
	busy := failed && c.may(channel.Phone)+c.may(channel.Email) == 0 && !limited &&
		(channel.ClassOf(c.err) == channel.Temporary || channel.ClassOf(c.err) == channel.Throttled)
	switch {
	case !c.sub.Await.IsZero() && end.Sub(c.sub.Await) > historyPatience:
		h.breach(r, "nobody followed a silence, event %d", c.begin)
	case failed && c.sub.More && len(c.sub.Hops) > 0 && h.pl.takeover > 0 && end.Sub(c.ended) > historyPatience:
		h.breach(r, "routes were left, and nobody tried them, event %d", c.begin)
	case busy && h.pl.async && claim.after.Attempt.Number == 1 && end.Sub(c.ended) > historyPatience+retryAfter(c.err):
		h.breach(r, "nobody tried again, event %d", c.begin)
	}
}

func retryAfter(err error) time.Duration {
	var e *channel.Error
	if errors.As(err, &e) {
		return e.RetryAfter
	}
	return 0
}

// checkAnswered holds that the backend's own counts agree with the world's.
func (h *history) checkAnswered(r *historyRecord) {
	if n := uint64(len(r.writes) - 1); r.Revision != n {
		h.breach(r, "revision %d after %d changes", r.Revision, n)
	}
}
