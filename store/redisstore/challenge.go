package redisstore

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

var _ store.Store = (*Store)(nil)

// How a script's reply begins.
const (
	done byte = iota
	exists
	expired
	closed
	exhausted
	locked
	tooSoon
	conflict
)

// refusals are what the scripts' replies mean.
var refusals = [...]error{
	done: nil, exists: store.ErrExists, expired: store.ErrExpired, closed: store.ErrClosed, exhausted: store.ErrExhausted,
	locked: store.ErrLocked, tooSoon: store.ErrTooSoon, conflict: store.ErrConflict,
}

// challengeKeys returns the keys of a challenge and of the runs of failures of
// its bucket, which are in one slot. What a user may have typed is no part of
// a name unless it looks like an ID.
func (s *Store) challengeKeys(id string) []string {
	bucket, rest, _ := strings.Cut(id, "-")
	tag, name := bucket, "c"+rest
	if !plain(bucket) {
		tag = digest(bucket)
	}
	if !plain(rest) {
		name = "x" + digest(id)
	}
	return []string{s.key(tag, name), s.key(tag, "f")}
}

func plain(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			return false
		}
	}
	return s != "" && len(s) <= 64
}

// digest names what has no name of its own, in 128 bits.
func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// Create implements store.Store.
func (s *Store) Create(ctx context.Context, r *store.Record, now time.Time) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := check(r); err != nil {
		return err
	}
	at, id := micros(now), nonce()
	next := nextSend(r.Waits, at)
	subject := subjectField(r.Subject)
	cmd, err := s.run(ctx, scriptCreate, s.challengeKeys(r.ID), at, id, subject, encode(r, subject, next, id), lifetime(micros(r.Expires)-at))
	if err != nil {
		return err
	}
	answer, err := cmd.Text()
	if err != nil {
		return fmt.Errorf("redisstore: %w", err)
	}
	status, until, _, err := unpack(answer)
	switch {
	case err != nil:
		return err
	case status == store.ErrLocked: //nolint:errorlint // one of refusals
		r.LockedUntil = instant(until)
		return status
	case status != nil:
		return status
	}
	r.Sends, r.NextSend, r.Attempts, r.Revision = 1, instant(next), 0, 0
	r.Outcome, r.LockedUntil = store.Open, time.Time{}
	return nil
}

// nextSend returns when the second send is due, or 0.
func nextSend(waits []time.Duration, now int64) int64 {
	if len(waits) == 0 {
		return 0
	}
	return now + max(waits[0], 0).Microseconds()
}

// slack is how much longer than asked for Redis keeps things: the clocks of
// the processes decide what has expired, and may differ by as much.
const slack = time.Minute

// lifetime returns the milliseconds of life of a key that is of use for so
// many microseconds.
func lifetime(micros int64) int64 {
	return max(micros, 0)/1000 + 1 + slack.Milliseconds()
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, id string, now time.Time) (*store.Record, error) {
	return s.onChallenge(ctx, scriptGet, id, now)
}

// Attempt implements store.Store.
func (s *Store) Attempt(ctx context.Context, id string, now time.Time) (*store.Record, error) {
	return s.onChallenge(ctx, scriptAttempt, id, now, nonce())
}

// Finish implements store.Store.
func (s *Store) Finish(ctx context.Context, id string, o store.Outcome, now time.Time) (*store.Record, error) {
	if o != store.Verified && o != store.Cancelled {
		return nil, fmt.Errorf("redisstore: Finish as %v", o)
	}
	return s.onChallenge(ctx, scriptFinish, id, now, nonce(), int(o))
}

// Resend implements store.Store.
func (s *Store) Resend(ctx context.Context, id string, now time.Time) (*store.Record, error) {
	return s.onChallenge(ctx, scriptResend, id, now, nonce())
}

// Update implements store.Store.
func (s *Store) Update(ctx context.Context, id string, revision uint64, delivery []byte, now time.Time) (*store.Record, error) {
	return s.onChallenge(ctx, scriptUpdate, id, now, nonce(), revision, delivery)
}

// onChallenge runs a script that answers with the record as it is then.
func (s *Store) onChallenge(ctx context.Context, sc *script, id string, now time.Time, args ...any) (*store.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	words := append(make([]any, 0, 8), micros(now))
	cmd, err := s.run(ctx, sc, s.challengeKeys(id), append(words, args...)...)
	if err != nil {
		return nil, err
	}
	answer, err := cmd.Text()
	if err != nil {
		return nil, fmt.Errorf("redisstore: %w", err)
	}
	status, until, packed, err := unpack(answer)
	if err != nil {
		return nil, err
	}
	if status == store.ErrNotFound { //nolint:errorlint // unpack wraps nothing
		return nil, status
	}
	r, err := decode(id, packed)
	if err != nil {
		return nil, err
	}
	r.LockedUntil = instant(until)
	return r, status
}

// unpack takes apart what the scripts answer: a status, the end of the
// subject's lock or 0, and the record where there is one.
func unpack(answer string) (status error, until int64, record string, _ error) {
	if answer == "" {
		return store.ErrNotFound, 0, "", nil
	}
	p := parser{rest: answer}
	code, until, at := p.byte(), p.int64(), p.int16()
	bytes := p.take(int(p.byte()))
	record = p.rest
	if p.bad || int(code) >= len(refusals) || at+len(bytes) > len(record) {
		return nil, 0, "", errors.New("redisstore: a reply that cannot be read")
	}
	if bytes != "" {
		record = record[:at] + bytes + record[at+len(bytes):]
	}
	return refusals[code], until, record, nil
}
