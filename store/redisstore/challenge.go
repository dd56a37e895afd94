package redisstore

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

var _ store.Store = (*Store)(nil)

// challengeKeys returns the keys of a challenge and of the runs of failures of
// its bucket, which are in one slot. A user may have typed the ID: a part that does
// not look like one goes into the names as a digest.
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

// plain reports whether s looks like a part of an ID.
func plain(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			return false
		}
	}
	return s != "" && len(s) <= 64
}

// digest returns a name for s, of 128 bits.
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
	at := micros(now)
	call, subject := stamp(at), subjectField(r.Subject)
	next := nextSend(r.Waits, 1, at)
	packed := encode(r, subject, next, call[stampLayout.Nonce.at:])
	life := lifetime(micros(r.Expires) - at)
	cmd, err := s.run(ctx, scriptCreate, s.challengeKeys(r.ID), call, subject, packed, life)
	if err != nil {
		return err
	}
	answer, err := cmd.Text()
	if err != nil {
		return fmt.Errorf("redisstore: %w", err)
	}
	status, _, until, _, err := unpack(answer)
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

// nextSend returns when the send after so many sends is due, 0 if none is left.
func nextSend(waits []time.Duration, sends int, now int64) int64 {
	if sends > len(waits) {
		return 0
	}
	return now + max(waits[sends-1], 0).Microseconds()
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, id string, now time.Time) (*store.Record, error) {
	r, _, err := s.onChallenge(ctx, scriptGet, id, now)
	return r, err
}

// Attempt implements store.Store.
func (s *Store) Attempt(ctx context.Context, id string, now time.Time) (*store.Record, error) {
	r, did, err := s.onChallenge(ctx, scriptAttempt, id, now)
	if did {
		r.Attempts++
	}
	return r, err
}

// Finish implements store.Store.
func (s *Store) Finish(ctx context.Context, id string, o store.Outcome, now time.Time) (*store.Record, error) {
	if o != store.Verified && o != store.Cancelled {
		return nil, fmt.Errorf("redisstore: Finish as %v", o)
	}
	r, did, err := s.onChallenge(ctx, scriptFinish, id, now, string(rune(o)))
	if did {
		r.Outcome = o
	}
	return r, err
}

// Resend implements store.Store.
func (s *Store) Resend(ctx context.Context, id string, now time.Time) (*store.Record, error) {
	r, did, err := s.onChallenge(ctx, scriptResend, id, now)
	if did {
		r.Sends++
		r.Revision++
		r.NextSend = instant(nextSend(r.Waits, r.Sends, micros(now)))
	}
	return r, err
}

// Update implements store.Store.
func (s *Store) Update(
	ctx context.Context, id string, revision uint64, delivery []byte, now time.Time,
) (*store.Record, error) {
	given := string(delivery) // the client may read it after Update has returned
	r, did, err := s.onChallenge(ctx, scriptUpdate, id, now, revision, given)
	if did {
		r.Revision++
		r.Delivery = bytesOf(given)
	}
	return r, err
}

// onChallenge runs a script that returns the record as it was before. did: the script
// had its effect now, and the caller makes it in r too.
func (s *Store) onChallenge(
	ctx context.Context, sc *script, id string, now time.Time, args ...any,
) (r *store.Record, did bool, _ error) {
	if err := ctx.Err(); err != nil {
		return nil, false, err
	}
	first := append(make([]any, 0, 3), stamp(micros(now)))
	cmd, err := s.run(ctx, sc, s.challengeKeys(id), append(first, args...)...)
	if err != nil {
		return nil, false, err
	}
	answer, err := cmd.Text()
	if err != nil {
		return nil, false, fmt.Errorf("redisstore: %w", err)
	}
	status, again, until, packed, err := unpack(answer)
	if err != nil {
		return nil, false, err
	}
	if status == store.ErrNotFound { //nolint:errorlint // unpack wraps nothing
		return nil, false, status
	}
	if r, err = decode(id, packed); err != nil {
		return nil, false, err
	}
	r.LockedUntil = instant(until)
	return r, status == nil && !again, status
}

// unpack takes a reply apart, see replyRecord: a status, whether the call had its
// effect before, the end of the subject's lock or 0, and the record if there is one.
func unpack(answer string) (status error, again bool, until int64, record string, _ error) {
	if answer == "" {
		return store.ErrNotFound, false, 0, "", nil
	}
	if answer[0] == 0 || answer[0] >= 128 {
		return nil, false, 0, answer, nil
	}
	p := parser{rest: answer}
	head := p.byte()
	if head&headLocked != 0 {
		until = p.int64()
	}
	if p.bad || head >= headEnd {
		return nil, false, 0, "", unreadable("a challenge", nil)
	}
	return refusals[head&headStatus], head&headAgain != 0, until, p.rest, nil
}
