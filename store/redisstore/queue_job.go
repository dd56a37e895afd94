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

// encodeJob returns the stored form of a new job j, due at due:
//
//	the fields of jobLayout
//	NotBefore, a varint; Challenge: no script reads these
//
// Version: see jobLayout. A release that changes this format changes queueTag; of
// a job of another format decodeJob returns an error, and Run drops the job.
func encodeJob(j store.Job, due int64) string {
	at := &jobLayout
	b := make([]byte, at.Rest.at, at.Rest.at+binary.MaxVarintLen64+len(j.Challenge))
	at.Rank.put(b, uint64(rank(j.Priority)))
	at.Expires.put(b, uint64(micros(j.Expires)))
	at.Due.put(b, uint64(due))
	at.Nonce.put(b, nonce())
	b = binary.AppendUvarint(b, uint64(microsUp(j.NotBefore)))
	return string(append(b, j.Challenge...))
}

// dueThen returns an encoded job with its next time and its number of attempts.
func dueThen(job string, due int64, attempts int) string {
	b := []byte(job)
	jobLayout.Due.put(b, uint64(due))
	jobLayout.Attempts.put(b, uint64(attempts))
	return string(b)
}

var errJob = errors.New("redisstore: a job in the queue is damaged")

// decodeJob returns a job of encodeJob, and its number of attempts.
func decodeJob(s string) (j store.Job, attempts int, _ error) {
	at := &jobLayout
	if len(s) < at.Rest.at {
		return store.Job{}, 0, errJob
	}
	r, n, expires := at.Rank.get(s), at.Attempts.get(s), at.Expires.get(s)
	p := parser{rest: s[at.Rest.at:]}
	notBefore := p.uvarint()
	if p.bad || p.rest == "" || r < 1 || r > 3 || n > math.MaxInt32 || max(expires, notBefore) >= latest {
		return store.Job{}, 0, errJob
	}
	return store.Job{
		Challenge: p.rest, Priority: store.Priority(2 - int(r)),
		NotBefore: instant(int64(notBefore)), Expires: instant(int64(expires)),
	}, int(n), nil
}

// checkJob refuses a job that Enqueue must refuse.
func checkJob(j store.Job) error {
	switch {
	case j.Challenge == "" || j.Expires.IsZero():
		return errors.New("redisstore: job without Challenge or Expires")
	case !j.Priority.Valid():
		return fmt.Errorf("redisstore: job of priority %d", j.Priority)
	}
	return nil
}
