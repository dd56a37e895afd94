package redisstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

// dueAt is micros, but never before t.
func dueAt(t time.Time) int64 {
	n := micros(t)
	if n > 0 && t.Nanosecond()%1000 != 0 {
		n++
	}
	return min(n, latest-1)
}

// rank is a priority in the scripts: 1 for High, 2, 3 for Low.
func rank(p store.Priority) int { return 2 - int(p) }

// encodeJob writes what the queue keeps of j, which is due then:
//
//	rank, 1 byte; Attempt, 4; Expires, 8; due, 8; NotBefore and Step as
//	varints; Challenge, after its length; ID
//
// The scripts read the first four, which are big-endian.
func encodeJob(j store.Job, due int64) string {
	b := make([]byte, 0, 48+len(j.Challenge)+len(j.ID))
	b = binary.BigEndian.AppendUint32(append(b, byte(rank(j.Priority))), uint32(j.Attempt))
	b = binary.BigEndian.AppendUint64(b, uint64(micros(j.Expires)))
	b = binary.BigEndian.AppendUint64(b, uint64(due))
	b = binary.AppendUvarint(b, uint64(dueAt(j.NotBefore)))
	b = binary.AppendVarint(b, int64(j.Step))
	return string(append(appendString(b, j.Challenge), j.ID...))
}

// dueThen returns an encoded job that is due then.
func dueThen(job string, due int64) string {
	return job[:atDue] + string(binary.BigEndian.AppendUint64(nil, uint64(due))) + job[atDue+8:]
}

const atDue = 13

var errJob = errors.New("redisstore: a job in the queue is damaged")

// decodeJob reads what encodeJob wrote.
func decodeJob(s string) (store.Job, error) {
	p := parser{rest: s}
	r, attempt, expires, _ := p.byte(), p.int32(), p.int64(), p.int64()
	notBefore, step, challenge := p.uvarint(), p.uvarint(), p.string()
	if p.bad || p.rest == "" || r < 1 || r > 3 || attempt > math.MaxInt32 || expires < 0 || expires >= latest || notBefore >= latest {
		return store.Job{}, errJob
	}
	return store.Job{
		ID: p.rest, Challenge: challenge, Step: int(step>>1) ^ -int(step&1), Priority: store.Priority(2 - int(r)),
		NotBefore: instant(int64(notBefore)), Expires: instant(expires), Attempt: attempt,
	}, nil
}

// checkJob refuses what is no job.
func checkJob(j store.Job) error {
	switch {
	case j.ID == "" || j.Expires.IsZero():
		return errors.New("redisstore: job without ID or Expires")
	case !j.Priority.Valid():
		return fmt.Errorf("redisstore: job of priority %d", j.Priority)
	}
	return nil
}
