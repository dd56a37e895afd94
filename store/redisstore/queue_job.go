package redisstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/otpcourier/otpcourier/store"
)

// rank is a priority in the scripts: 1 for High, 2, 3 for Low.
func rank(p store.Priority) int { return 2 - int(p) }

// encodeJob returns what the queue keeps of j, which is due at due:
//
//	the fields of jobLayout
//	what no script reads: NotBefore and Step as varints; Challenge, after its
//	length; ID
//
// Version: see jobLayout. A release that changes this format changes queueTag; of
// a job of another format decodeJob returns an error, and Run drops the job.
func encodeJob(j store.Job, due int64) string {
	at := &jobLayout
	b := make([]byte, at.Rest.at, 48+len(j.Challenge)+len(j.ID))
	at.Rank.put(b, uint64(rank(j.Priority)))
	at.Attempt.put(b, uint64(j.Attempt))
	at.Expires.put(b, uint64(micros(j.Expires)))
	at.Due.put(b, uint64(due))
	b = binary.AppendUvarint(b, uint64(microsUp(j.NotBefore)))
	b = binary.AppendVarint(b, int64(j.Step))
	return string(append(appendString(b, j.Challenge), j.ID...))
}

// dueThen returns an encoded job with another time at which it is due.
func dueThen(job string, due int64) string {
	b := []byte(job)
	jobLayout.Due.put(b, uint64(due))
	return string(b)
}

var errJob = errors.New("redisstore: a job in the queue is damaged")

// decodeJob reads what encodeJob wrote.
func decodeJob(s string) (store.Job, error) {
	at := &jobLayout
	if len(s) < at.Rest.at {
		return store.Job{}, errJob
	}
	r, attempt, expires := at.Rank.get(s), at.Attempt.get(s), at.Expires.get(s)
	p := parser{rest: s[at.Rest.at:]}
	notBefore, step, challenge := p.uvarint(), p.uvarint(), p.string()
	if p.bad || p.rest == "" || r < 1 || r > 3 || attempt > math.MaxInt32 || max(expires, notBefore) >= latest {
		return store.Job{}, errJob
	}
	return store.Job{
		ID: p.rest, Challenge: challenge, Step: int(step>>1) ^ -int(step&1),
		Priority: store.Priority(2 - int(r)), Attempt: int(attempt),
		NotBefore: instant(int64(notBefore)), Expires: instant(int64(expires)),
	}, nil
}

// checkJob refuses a job that Enqueue must refuse.
func checkJob(j store.Job) error {
	switch {
	case j.ID == "" || j.Expires.IsZero():
		return errors.New("redisstore: job without ID or Expires")
	case !j.Priority.Valid():
		return fmt.Errorf("redisstore: job of priority %d", j.Priority)
	}
	return nil
}
