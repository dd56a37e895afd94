package redisstore

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
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

// encodeJob writes what the queue keeps of j:
//
//	rank attempts expires notBefore step length-of-challenge challenge ID
//
// The scripts read the first three.
func encodeJob(j store.Job) string {
	b := make([]byte, 0, 64+len(j.Challenge)+len(j.ID))
	b = strconv.AppendInt(b, int64(rank(j.Priority)), 10)
	for _, n := range []int64{int64(j.Attempt), micros(j.Expires), dueAt(j.NotBefore), int64(j.Step), int64(len(j.Challenge))} {
		b = strconv.AppendInt(append(b, ' '), n, 10)
	}
	b = append(append(b, ' '), j.Challenge...)
	return string(append(append(b, ' '), j.ID...))
}

var errJob = errors.New("redisstore: a job in the queue is damaged")

// decodeJob reads what encodeJob wrote.
func decodeJob(s string) (store.Job, error) {
	var n [6]int64
	for i := range n {
		field, rest, ok := strings.Cut(s, " ")
		v, err := strconv.ParseInt(field, 10, 64)
		if !ok || err != nil || v < 0 && i != 4 || v >= latest {
			return store.Job{}, errJob
		}
		n[i], s = v, rest
	}
	length := n[5]
	if n[0] < 1 || n[0] > 3 || n[1] > math.MaxInt32 || length >= int64(len(s)) || s[length] != ' ' {
		return store.Job{}, errJob
	}
	return store.Job{
		ID: s[length+1:], Challenge: s[:length], Step: int(n[4]), Priority: store.Priority(2 - n[0]),
		NotBefore: instant(n[3]), Expires: instant(n[2]), Attempt: int(n[1]),
	}, nil
}

// checkJob refuses what is no job.
func checkJob(j store.Job) error {
	switch {
	case j.ID == "" || j.Expires.IsZero():
		return errors.New("redisstore: job without ID or Expires")
	case j.Priority < store.Low || j.Priority > store.High:
		return fmt.Errorf("redisstore: job of priority %d", j.Priority)
	}
	return nil
}
