package redisstore

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/otpcourier/otpcourier/store"
)

func TestJobCodec(t *testing.T) {
	t.Parallel()
	at := time.UnixMicro(1_763_712_345_678_901).UTC()
	for _, j := range []store.Job{
		{Challenge: "abc-1", Priority: store.High, NotBefore: at, Expires: at.Add(time.Hour)},
		{Challenge: "x", Expires: at},
		{Challenge: " a b\n\x00 \xff", Priority: store.Low, Expires: time.UnixMicro(latest - 1).UTC()},
	} {
		got, attempts, err := decodeJob(encodeJob(j, 7))
		if d := cmp.Diff(j, got); d != "" || err != nil || attempts != 0 {
			t.Errorf("%v, %d attempts\n%s", err, attempts, d)
		}
	}
	// What is not a whole microsecond is not due before its time.
	odd := store.Job{Challenge: "x", NotBefore: at.Add(1), Expires: at.Add(time.Hour)}
	if got, _, err := decodeJob(encodeJob(odd, 7)); err != nil || !got.NotBefore.Equal(at.Add(time.Microsecond)) {
		t.Errorf("NotBefore %v, error %v; want %v", got.NotBefore, err, at.Add(time.Microsecond))
	}
	good := encodeJob(store.Job{Challenge: "x", Expires: at}, 7)
	if again, n, err := decodeJob(dueThen(good, 8, 3)); err != nil || again.Challenge != "x" || n != 3 ||
		dueThen(dueThen(good, 8, 3), 7, 0) != good {
		t.Errorf("due later: %+v, %d attempts, %v", again, n, err)
	}
	if encodeJob(store.Job{Challenge: "x", Expires: at}, 7) == good {
		t.Error("two jobs are equal: the queue would keep one of them")
	}
	for n := range good {
		if j, _, err := decodeJob(good[:n]); err == nil {
			t.Errorf("%q is read as %+v", good[:n], j)
		}
	}
	for n, bad := range map[int]string{0: "\x00", 1: "\xff", 5: "\x00\x20", 29: "\xff\xff\xff\xff\xff\xff\xff\x7f"} {
		if j, _, err := decodeJob(good[:n] + bad + good[min(n+len(bad), len(good)-1):]); err == nil {
			t.Errorf("%q at %d is read as %+v", bad, n, j)
		}
	}
}

// A job that always fails is not given up before a code of 30 min has ended.
func TestJobAttempts(t *testing.T) {
	t.Parallel()
	client := redis.NewClient(&redis.Options{})
	defer func() { _ = client.Close() }()
	s, err := New(Config{Client: client})
	if err != nil {
		t.Fatal(err)
	}
	r := newRunner(s, 1, nil)
	var waited time.Duration
	job := encodeJob(store.Job{Challenge: "c", Expires: time.Now().Add(time.Hour)}, 7)
	for {
		j, attempts, err := decodeJob(job)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		j.Expires = began.Add(time.Hour)
		v := r.failureOf(handedJob{Job: j, encoded: job, attempts: attempts + 1})
		if v.end != endAgain {
			if waited < 30*time.Minute || v.end != endFailed {
				t.Errorf("%s after %d attempts, %v", v.end, attempts+1, waited)
			}
			return
		}
		job = v.job
		waited += instant(int64(jobLayout.Due.get(job))).Sub(began).Truncate(time.Second)
	}
}

// TestAgainForgetsFailures: a job that comes again as its handler said has not failed
// yet; one that would come again when it has expired is done.
func TestAgainForgetsFailures(t *testing.T) {
	t.Parallel()
	now := time.Now()
	job := dueThen(encodeJob(store.Job{Challenge: "c", Expires: now.Add(time.Hour)}, 7), 7, 5)
	j, _, err := decodeJob(job)
	if err != nil {
		t.Fatal(err)
	}
	handed := handedJob{Job: j, encoded: job, attempts: 6}
	for name, c := range map[string]struct {
		again time.Time
		end   string
	}{
		"done":          {time.Time{}, endDone},
		"in a minute":   {now.Add(time.Minute), endAgain},
		"a minute ago":  {now.Add(-time.Minute), endAgain},
		"at its end":    {j.Expires, endDone},
		"after its end": {j.Expires.Add(time.Second), endDone},
	} {
		v := resultOf(handed, c.again)
		if v.end != c.end || (v.job == "") != (v.end == endDone) {
			t.Errorf("%s: %+v, want %s", name, v, c.end)
		}
		if v.end == endDone {
			continue
		}
		due := instant(int64(jobLayout.Due.get(v.job)))
		early := due.Before(now.Truncate(time.Microsecond)) || c.again.After(now) && due.Before(c.again)
		if _, attempts, err := decodeJob(v.job); err != nil || attempts != 0 || early {
			t.Errorf("%s: due %v with %d attempts, error %v", name, due, attempts, err)
		}
	}
}

func FuzzDecodeJob(f *testing.F) {
	for _, j := range []store.Job{
		{Challenge: "abc-1", Expires: time.Unix(1e9, 0)},
		{Challenge: "x", Priority: store.Low, NotBefore: time.Unix(1e9, 0)},
	} {
		whole := encodeJob(j, 7)
		f.Add(whole)
		f.Add(whole[:len(whole)-len(j.Challenge)])
	}
	f.Fuzz(func(t *testing.T, s string) {
		j, attempts, err := decodeJob(s)
		if err != nil {
			return
		}
		encoded := encodeJob(j, 7)
		again, n, err := decodeJob(dueThen(encoded, 8, attempts))
		if err != nil || !cmp.Equal(j, again) || n != attempts || !strings.HasSuffix(encoded, j.Challenge) {
			t.Errorf("%q: %+v, then %+v, %v", s, j, again, err)
		}
	})
}
