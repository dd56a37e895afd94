package store

import (
	"context"
	"time"
)

// A Limit allows at most Most takings of Key within any span of the length Per. Limits
// with the same Key and Per count the same takings, even if Most, Shadow, N or Peek
// differ. Limits with another Per are counted separately.
//
// A Key may be a thing, [Of], and the name of one of the thing's counts. For example, two
// keys "a number" + Of + "sms" and "a number" + Of + "voice" are two counts of one thing. A
// backend may keep the counts of a thing together, which is faster if calls name them
// together. A thing should have few, 16 at most: a call may read all of them.
type Limit struct {
	Key    string        // names scope and span; any octets, each of which counts; nothing readable
	Most   int           // at least 1; a backend must count up to math.MaxInt32
	Per    time.Duration // over 0
	Shadow bool          // the limit only reports, and never refuses

	// N is the number of takings that Take takes, all or none, and that Give returns.
	// Zero means one; N must not be negative. If N is over Most, the limit refuses.
	N int

	// Peek makes Take only look: the limit refuses or reports like any other, but
	// takes nothing. Give returns nothing to it.
	Peek bool
}

// Of separates, in the Key of a Limit, a thing and the name of one of its counts.
const Of = "\x1f"

// Takings returns N, or one if N is zero.
func (l Limit) Takings() int { return max(l.N, 1) }

// A Decision is a Limiter's answer.
type Decision struct {
	Allowed    bool
	RetryAfter time.Duration   // if refused: the longest wait of the enforced limits; else 0
	Over       []int           // indexes of the limits that were over, including shadow limits
	Waits      []time.Duration // for each of Over, the time until that limit would allow; Per, if none helps
}

// A Limiter counts takings over sliding spans: no more than Most takings may fall into any
// span of the length Per, wherever it begins. An approximation may refuse too early, but
// must not allow too much. Its methods must neither change nor keep the limits passed, and
// a [Decision] belongs to the caller.
type Limiter interface {
	// Take takes N from each limit, in one atomic step. If an enforced limit is over,
	// Take takes nothing from any limit, and the Decision is not Allowed. A limit is
	// over if N more would exceed Most. A shadow limit that is over takes nothing and
	// does not refuse.
	//
	// If several limits have one Key and Per, each takes its own N, in their order: a
	// limit is over if its N, and the takings of the limits before it, would exceed
	// its Most. A limit that takes nothing, since it peeks or is over, is not counted
	// among these. If N and these alone exceed Most, no wait helps, and the wait is Per.
	//
	// ErrFull: there is no room to count. For a Most under 1, a Per of 0 or less, or a
	// negative N, Take returns an error without a sentinel. With an error nothing was
	// taken.
	Take(ctx context.Context, now time.Time, limits ...Limit) (Decision, error)

	// Give returns to each limit N of the takings made at taken, the now of their Take;
	// fewer if there are fewer. A limit without such takings is left alone. So a Give
	// is safe after a Take whose answer was lost, and safe to repeat. If Most is so
	// large that a backend counts approximately, other takings of about that time are
	// returned.
	//
	// If taken is the zero time, Give returns the latest N takings of each limit;
	// fewer if there are fewer. Such a Give is not safe to repeat: it returns more.
	//
	// If several limits have one Key and Per, each returns its own N. Limits out of
	// range are errors, as for Take, and then nothing is returned to any limit. A limit
	// without takings must leave nothing in the backend.
	Give(ctx context.Context, taken, now time.Time, limits ...Limit) error
}

// An Opener is a [Store] and [Limiter] that takes from limits and creates a challenge in
// one atomic step, and so in one round trip. It is optional: without one, a caller calls
// Take and then Create, and Give if Create refuses. A wrapper that embeds a backend and
// changes Take or Create must change Open, too.
type Opener interface {
	Limiter

	// Open takes from limits as Take does and, if they allow it, creates r as Create
	// does: both or neither. If a limit is over, the Decision says so, the error is nil,
	// and nothing is created.
	//
	// If a record of the same ID and the same Salt exists, the call is a repeat: it is
	// allowed, and takes and changes nothing. So a caller whose answer was lost may call
	// again, and the limits count once.
	//
	// ErrExists and ErrLocked, in this order, come before the limits: nothing is taken.
	// ErrFull. An error that is errors.ErrUnsupported means that the backend cannot take
	// these limits and create this record in one step: if they are on different servers,
	// or if a limit is Shadow or Peek. Nothing was done; the caller calls Take and
	// Create.
	Open(ctx context.Context, r *Record, now time.Time, limits ...Limit) (Decision, error)
}
