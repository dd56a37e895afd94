package store

import (
	"context"
	"time"
)

// A Limit allows Most takings of Key within any span of length Per. Key names
// scope and span and holds nothing readable. Limits of one Key and different Per
// are counted apart; limits that differ only in Most, Shadow, N or Peek count the
// same takings.
type Limit struct {
	Key    string
	Most   int           // at least 1; a backend must count up to math.MaxInt32
	Per    time.Duration // over 0
	Shadow bool          // never refuses, only reports

	// N is how many takings Take takes, all or none, and Give returns. Zero
	// means one. A limit never allows an N over Most. N is never negative.
	N int

	// Peek makes Take only look: the limit refuses, or reports in Shadow, as
	// if it were to be taken from, and keeps no taking. Give returns nothing
	// to it.
	Peek bool
}

// Takings returns N, or one if that is zero.
func (l Limit) Takings() int { return max(l.N, 1) }

// A Decision is a Limiter's answer.
type Decision struct {
	Allowed    bool
	RetryAfter time.Duration // when refused: until every enforced limit would allow; else 0
	Over       []int         // indexes of the limits that were over, shadow ones included

	// Waits are, for each of Over, how long until that limit would allow.
	Waits []time.Duration
}

// A Limiter counts takings over sliding spans. Whatever the bursts and
// wherever a span begins, no more than Most takings fall into any Per; an
// approximation may refuse early, never late.
type Limiter interface {
	// Take takes N from each limit or, if an enforced one is over, from
	// none, atomically. A limit is over if N more would exceed Most. A shadow
	// limit that is over takes nothing and does not refuse.
	//
	// If several limits name one Key and Per, each takes its own N, in the
	// order of limits: a limit is over if its N, and what those before it
	// take, would exceed its Most.
	//
	// A Most under 1, a Per of 0 or less, and a negative N are errors that are
	// none of this package's; nothing was taken. ErrFull: there is no room to
	// count, and nothing was taken.
	Take(ctx context.Context, now time.Time, limits ...Limit) (Decision, error)

	// Give returns to each limit N of the takings that were made at taken, the
	// now of that Take; fewer if there are fewer. A limit that has no such
	// taking is left alone: a Give after a Take whose answer was lost is safe,
	// and so is a Give that is repeated. If Most is so large that a backend
	// counts approximately, other takings of about that time are returned.
	//
	// If taken is the zero time, Give returns the latest N takings of each
	// limit, whenever they were made; fewer if there are fewer. A caller that
	// repeats such a Give returns more.
	//
	// If several limits name one Key and Per, each returns its own N. Limits
	// out of range are errors, as for Take. A limit without takings leaves
	// nothing in the backend.
	Give(ctx context.Context, taken, now time.Time, limits ...Limit) error
}
