package store

import (
	"context"
	"time"
)

// A Limit allows Most takings of Key within any span of length Per. Key names
// scope and span, and must hold nothing readable.
type Limit struct {
	Key    string
	Most   int           // at least 1
	Per    time.Duration // over 0
	Shadow bool          // never refuses, only reports
}

// A Decision is a Limiter's answer.
type Decision struct {
	Allowed    bool
	RetryAfter time.Duration // until every enforced limit would allow; 0 if Allowed
	Over       []int         // indexes of the limits that were over, also of shadow limits
}

// A Limiter counts takings over sliding spans. Whatever the bursts and
// wherever a span begins, no more than Most takings fall into any Per; an
// approximation may refuse early, never late.
type Limiter interface {
	// Take takes one from each limit or, if an enforced one is over, from
	// none, atomically. A shadow limit that is over takes nothing and does not
	// refuse.
	//
	// ErrFull: there is no room to count, and nothing was taken.
	Take(ctx context.Context, now time.Time, limits ...Limit) (Decision, error)

	// Give returns one taking to each limit: a message that never went out
	// costs nothing. A Give without a Take must not raise a limit above Most.
	Give(ctx context.Context, now time.Time, limits ...Limit) error
}
