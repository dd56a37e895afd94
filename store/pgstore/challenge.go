package pgstore

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/otpcourier/otpcourier/store"
)

var (
	_ store.Store     = (*Store)(nil)
	_ store.Forgetter = (*Store)(nil)
)

// refusals are the errors that the statuses of the functions mean.
var refusals = [...]error{
	nil, store.ErrExpired, store.ErrClosed, store.ErrLocked, store.ErrExhausted, store.ErrConflict,
	store.ErrExists,
}

func refusal(status int) error {
	if status < 0 || status >= len(refusals) {
		return fmt.Errorf("pgstore: status %d", status)
	}
	return refusals[status]
}

const (
	maxGroup   = 16   // octets of a group
	maxSubject = 1024 // octets of a subject: an index has no room for long ones
)

// check refuses a record that cannot be stored without a change.
func check(r *store.Record) error {
	switch {
	case r.ID == "":
		return errors.New("pgstore: record without ID")
	case min(r.MaxAttempts, r.MaxFailures, r.MaxRun) < 0 ||
		max(r.MaxAttempts, r.MaxFailures, r.MaxRun) > math.MaxInt32:
		return fmt.Errorf("pgstore: MaxAttempts %d, MaxFailures %d or MaxRun %d outside 0 to 2^31-1",
			r.MaxAttempts, r.MaxFailures, r.MaxRun)
	case r.RunLife < 0 || max(r.RunLife, r.Lock, -r.Lock) > longest:
		return fmt.Errorf("pgstore: RunLife %v or Lock %v outside 0 to 50 years", r.RunLife, r.Lock)
	case r.Expires.Unix() <= 0 || nanos(r.Expires) == latest:
		return errors.New("pgstore: Expires outside the years 1970 to 2199")
	case !instant(createdNanos(r.Created)).Equal(r.Created):
		return errors.New("pgstore: Created outside the years 1678 to 2262")
	}
	return checkSubject(r.Subject, r.Group)
}

// checkSubject refuses a subject longer than maxSubject, or a group longer than maxGroup.
func checkSubject(subject, group string) error {
	if len(subject) > maxSubject || len(group) > maxGroup {
		return fmt.Errorf("pgstore: Subject of %d octets, over %d, or Group of %d, over %d",
			len(subject), maxSubject, len(group), maxGroup)
	}
	return nil
}

// octets returns s for a column of type bytea, which is not NULL.
func octets[T string | []byte](s T) []byte { return append([]byte{}, s...) }

// orNil returns b, or nil if it is empty.
func orNil(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return b
}

// Create implements store.Store. A call that is refused or repeated takes a second statement.
func (s *Store) Create(ctx context.Context, r *store.Record, now time.Time) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := check(r); err != nil {
		return err
	}
	within, cancel := s.within(ctx)
	defer cancel()
	args := rowOf(r, now)
	made, err := s.exec(within, s.sql.create, args...)
	var status int
	var locked int64
	if err == nil && made == 0 {
		err = s.row(within, []any{&status, &locked}, s.sql.createAny, args...)
	}
	if err != nil {
		return err
	}
	s.tidy(ctx, sweepEvery, now)
	return created(r, status, locked)
}

// rowOf returns the arguments of a statement that creates r.
func rowOf(r *store.Record, now time.Time) []any {
	return []any{
		digest(r.ID), createdNanos(r.Created), nanos(r.Expires), int64(r.Lock), int64(r.RunLife), r.MaxAttempts,
		r.MaxFailures, r.MaxRun, octets(r.Subject), octets(r.Group), octets(r.Salt), encodeFixed(r), octets(r.Delivery),
		nanos(now),
	}
}

// created sets what the store keeps of r, and returns the error of its creation.
func created(r *store.Record, status int, locked int64) error {
	err := refusal(status)
	switch {
	case err == nil:
		r.Attempts, r.Revision, r.Outcome, r.LockedUntil = 0, 0, store.Open, time.Time{}
	case errors.Is(err, store.ErrLocked):
		r.LockedUntil = instant(locked)
	}
	return err
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, id string, now time.Time) (*store.Record, error) {
	return s.onChallenge(ctx, s.sql.get, id, nanos(now))
}

// errNoToken refuses a call without a token: all such calls would be repeats of one.
var errNoToken = errors.New("pgstore: the token is zero")

// Finish implements store.Store. Calls as Verified that come at one time share statements. Such a call
// takes a second statement if it is refused or repeated, or if another challenge of the subject was
// closed that has not expired.
func (s *Store) Finish(
	ctx context.Context, id string, o store.Outcome, t store.Token, now time.Time,
) (*store.Record, error) {
	if o != store.Verified && o != store.Cancelled {
		return nil, fmt.Errorf("pgstore: Finish as %v", o)
	}
	if t == 0 {
		return nil, errNoToken
	}
	args := []any{int(o), int64(t), nanos(now)}
	if o == store.Cancelled {
		return s.onChallenge(ctx, s.sql.finishAny, id, args...)
	}
	r, err := together(ctx, s, s.finishes, finishing{id, t, now}, s.sql.finishAny, id, args...)
	s.tidyAfter(ctx, err, now)
	return r, err
}

// Update implements store.Store. Calls that come at one time share statements. A call takes a second
// one if it is refused, if the challenge is closed, if the subject is locked, or if there was a
// CancelAll.
func (s *Store) Update(
	ctx context.Context, id string, revision uint64, delivery []byte, now time.Time,
) (*store.Record, error) {
	u := updating{id, int64(revision), octets(delivery), now}
	return together(ctx, s, s.updates, u, s.sql.updateAny, id, u.revision, u.delivery, nanos(now))
}

// CancelAll implements store.Store. If until is not after now, CancelAll does nothing.
func (s *Store) CancelAll(
	ctx context.Context, bucket, subject, group string, until, now time.Time,
) error {
	if err := checkBucket(bucket, subject, group); err != nil {
		return err
	}
	if !now.Before(until) { // the challenges have expired
		return ctx.Err()
	}
	_, err := s.exec(ctx, s.sql.cancelAll, octets(subject), octets(group), nanos(until), nanos(now))
	return err
}

// Forget implements store.Forgetter.
func (s *Store) Forget(ctx context.Context, bucket, subject string, _ time.Time) error {
	if err := checkBucket(bucket, subject, ""); err != nil {
		return err
	}
	_, err := s.exec(ctx, s.sql.forget, octets(subject))
	return err
}

// checkBucket refuses a bucket and subject that CancelAll and Forget cannot use. The subject
// alone finds its row; the bucket is for stores spread over servers.
func checkBucket(bucket, subject, group string) error {
	if strings.Contains(bucket, "-") {
		return fmt.Errorf("pgstore: a bucket %q", bucket)
	}
	return checkSubject(subject, group)
}

// onChallenge runs a function that returns a challenge. The first of its arguments is the
// digest of the ID.
func (s *Store) onChallenge(ctx context.Context, sql, id string, args ...any) (*store.Record, error) {
	var status, outcome int
	var locked int64
	var a answer
	fields := []any{&status, &outcome, &locked, &a.attempts, &a.revision, &a.fixed, &a.delivery}
	err := s.row(ctx, fields, sql, append([]any{digest(id)}, args...)...)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, store.ErrNotFound
	case err != nil:
		return nil, err
	}
	r, err := a.record(id)
	if err != nil {
		return nil, err
	}
	r.Outcome, r.LockedUntil = store.Outcome(outcome), instant(locked)
	return r, refusal(status)
}

// An answer is a challenge, as the statements return it: functions with the number of its attempts,
// others with the charges of its subject.
type answer struct {
	attempts        int
	charges         []byte
	revision        int64
	fixed, delivery []byte
}

// fields are openColumns.
func (a *answer) fields() []any { return []any{&a.charges, &a.revision, &a.fixed, &a.delivery} }

// record returns the challenge, as open and its subject not locked.
func (a *answer) record(id string) (*store.Record, error) {
	r, err := decodeFixed(a.fixed)
	if err != nil {
		return nil, err
	}
	r.ID, r.Delivery, r.Revision = id, orNil(a.delivery), uint64(a.revision)
	r.Attempts = a.attempts + attempts(a.charges, id, nanos(r.Expires))
	return r, nil
}
