package redisstore

import (
	"bytes"
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

// challengeKeys returns the keys of the runs of failures of a challenge's bucket, and
// of the challenge, which are in one slot. A user may have typed the ID: a part that
// does not look like one goes into the names as a digest.
func (s *Store) challengeKeys(id string) []string {
	bucket, rest, _ := strings.Cut(id, "-")
	kind := "c"
	if !plain(rest) {
		kind, rest = "x", digest(id)
	}
	tag := bucketTag(bucket)
	return []string{s.key(tag, "f"), s.prefix + "{" + tag + "}" + kind + rest}
}

// runsKey returns the key of the runs of failures of a bucket.
func (s *Store) runsKey(bucket string) string { return s.key(bucketTag(bucket), "f") }

func bucketTag(bucket string) string {
	if plain(bucket) {
		return bucket
	}
	return digest(bucket)
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
func digest(s string) string { return string(appendDigest(nil, []byte(s))) }

// appendDigest appends a name for s, of 128 bits.
func appendDigest(to, s []byte) []byte {
	sum := sha256.Sum256(s)
	return base64.RawURLEncoding.AppendEncode(to, sum[:16])
}

// Create implements store.Store.
func (s *Store) Create(ctx context.Context, r *store.Record, now time.Time) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := check(r); err != nil {
		return err
	}
	at, subject := micros(now), subjectField(r.Subject)
	life := lifetime(micros(r.Expires) - at)
	a, err := s.challenge(ctx, scriptCreate, s.challengeKeys(r.ID), timeOnly(at), subject, encode(r, subject), life)
	if err != nil {
		return err
	}
	return created(r, a)
}

// created reads the answer to a Create of r.
func created(r *store.Record, a answer) error {
	switch {
	case a.status == store.ErrExists: //nolint:errorlint // one of refusals
		lives, _, err := decode(r.ID, a.record)
		if err != nil {
			return err
		}
		if !bytes.Equal(lives.Salt, r.Salt) {
			return a.status
		}
	case a.status == store.ErrLocked: //nolint:errorlint // one of refusals
		r.LockedUntil = instant(a.lockedUntil)
		return a.status
	case a.status != nil:
		return a.status
	}
	begin(r)
	return nil
}

// begin sets the fields of a record that has just been created.
func begin(r *store.Record) {
	r.Attempts, r.Revision, r.Outcome, r.LockedUntil = 0, 0, store.Open, time.Time{}
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, id string, now time.Time) (*store.Record, error) {
	r, _, err := s.onChallenge(ctx, scriptGet, id, timeOnly(micros(now)))
	return r, err
}

// Attempt implements store.Store.
func (s *Store) Attempt(ctx context.Context, id string, t store.Token, now time.Time) (*store.Record, error) {
	if t == 0 {
		return nil, errNoToken
	}
	r, a, err := s.onChallenge(ctx, scriptAttempt, id, stamp(micros(now), uint64(t)))
	switch {
	case a.again:
		r.Attempts = attemptOf(a.tokens, t)
	case a.done():
		r.Attempts++
	}
	return r, err
}

// errNoToken refuses a call without a token: all such calls would be repeats of one.
var errNoToken = errors.New("redisstore: the token is zero")

// Finish implements store.Store.
func (s *Store) Finish(
	ctx context.Context, id string, o store.Outcome, t store.Token, now time.Time,
) (*store.Record, error) {
	if o != store.Verified && o != store.Cancelled {
		return nil, fmt.Errorf("redisstore: Finish as %v", o)
	}
	if t == 0 {
		return nil, errNoToken
	}
	at := &finishLayout
	b := make([]byte, at.Closing.end())
	at.Time.put(b, uint64(micros(now)))
	closingLayout.Outcome.put(b[at.Closing.at:], uint64(o))
	closingLayout.Token.put(b[at.Closing.at:], uint64(t))
	sc := scriptVerify
	if o == store.Cancelled {
		sc = scriptCancel
	}
	r, a, err := s.onChallenge(ctx, sc, id, b)
	if a.done() {
		r.Outcome = o
	}
	return r, err
}

// Update implements store.Store.
func (s *Store) Update(
	ctx context.Context, id string, revision uint64, delivery []byte, now time.Time,
) (*store.Record, error) {
	given := bytes.Clone(delivery) // the client may read it after Update has returned
	at := &updateLayout
	b := appendStamp(make([]byte, 0, at.Revision.end()), micros(now), nonce())[:at.Revision.end()]
	at.Revision.put(b, revision)
	r, a, err := s.onChallenge(ctx, scriptUpdate, id, b, given)
	if a.done() {
		r.Revision++
		r.Delivery = nil
		if len(given) > 0 {
			r.Delivery = given
		}
	}
	return r, err
}

// CancelAll implements store.Store. The bucket is the part of the IDs before the first
// "-". If until is not after now, CancelAll does nothing.
func (s *Store) CancelAll(
	ctx context.Context, bucket, subject, group string, until, now time.Time,
) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := checkGroup(group); err != nil {
		return err
	}
	if strings.Contains(bucket, "-") {
		return fmt.Errorf("redisstore: CancelAll of a bucket %q", bucket)
	}
	if !now.Before(until) { // the challenges have expired
		return nil
	}
	at := &markLayout
	mark := make([]byte, at.Time.end())
	copy(mark, groupField(group))
	at.Ends.put(mark, uint64(microsUp(until)))
	at.Time.put(mark, uint64(micros(now)))
	_, err := s.run(ctx, scriptCancelAll, []string{s.runsKey(bucket)}, mark, subjectField(subject))
	return err
}

var _ store.Forgetter = (*Store)(nil)

// Forget implements store.Forgetter. The bucket is as in CancelAll.
func (s *Store) Forget(ctx context.Context, bucket, subject string, _ time.Time) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if strings.Contains(bucket, "-") {
		return fmt.Errorf("redisstore: Forget in a bucket %q", bucket)
	}
	_, err := s.run(ctx, scriptForget, []string{s.runsKey(bucket)}, subjectField(subject))
	return err
}

// onChallenge runs a script that returns the record from before the call. If the answer is
// done, the caller must make the same change in r.
func (s *Store) onChallenge(
	ctx context.Context, sc *script, id string, args ...any,
) (r *store.Record, a answer, _ error) {
	if err := ctx.Err(); err != nil {
		return nil, answer{}, err
	}
	a, err := s.challenge(ctx, sc, s.challengeKeys(id), args...)
	if err != nil {
		return nil, answer{}, err
	}
	if a.status == store.ErrNotFound { //nolint:errorlint // unpack wraps nothing
		return nil, a, a.status
	}
	if r, a.tokens, err = decode(id, a.record); err != nil {
		return nil, answer{}, err
	}
	r.LockedUntil = instant(a.lockedUntil)
	if a.cancelled {
		r.Outcome = store.Cancelled
	}
	return r, a, a.status
}

// challenge runs a script of challenges.
func (s *Store) challenge(ctx context.Context, sc *script, keys []string, args ...any) (answer, error) {
	text, err := s.text(ctx, sc, keys, args...)
	if err != nil {
		return answer{}, err
	}
	return unpack(text)
}

// An answer is the reply of a script of challenges, see replyRecord.
type answer struct {
	answered    bool  // the zero answer is none
	status      error // why the call was refused
	again       bool  // the call had its effect before
	cancelled   bool  // CancelAll has cancelled the challenge
	lockedUntil int64 // the end of the subject's lock, or 0
	record      string
	tokens      string // of its attempts
}

// done reports whether the call had its effect now.
func (a answer) done() bool { return a.answered && a.status == nil && !a.again }

// unpack takes a reply apart.
func unpack(text string) (answer, error) {
	a := answer{answered: true}
	if text == "" {
		a.status = store.ErrNotFound
		return a, nil
	}
	if text[0] == 0 {
		a.record = text
		return a, nil
	}
	p := parser{rest: text}
	head := p.byte()
	if head&headLocked != 0 {
		a.lockedUntil = p.int64()
	}
	status := int(head & headStatus)
	if p.bad || head >= headEnd || status >= len(refusals) {
		return answer{}, unreadable("a challenge", nil)
	}
	a.status, a.again, a.cancelled = refusals[status], head&headAgain != 0, head&headCancelled != 0
	a.record = p.rest
	return a, nil
}
