package redisstore

import (
	"math"
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
		{ID: "abc-1/2/silence", Challenge: "abc-1", Step: 2, Priority: store.High, NotBefore: at,
			Expires: at.Add(time.Hour), Attempt: 3},
		{ID: "x", Expires: at},
		{ID: " a b\n\x00", Challenge: "3 4 \xff", Step: math.MinInt, Priority: store.Low,
			Expires: time.UnixMicro(latest - 1).UTC(), Attempt: 1 << 30},
	} {
		got, err := decodeJob(encodeJob(j, 7))
		if d := cmp.Diff(j, got); d != "" || err != nil {
			t.Errorf("%v\n%s", err, d)
		}
	}
	// What is not a whole microsecond is not due before its time.
	odd := store.Job{ID: "x", NotBefore: at.Add(1), Expires: at.Add(time.Hour)}
	if got, err := decodeJob(encodeJob(odd, 7)); err != nil || !got.NotBefore.Equal(at.Add(time.Microsecond)) {
		t.Errorf("NotBefore %v, error %v; want %v", got.NotBefore, err, at.Add(time.Microsecond))
	}
	good := encodeJob(store.Job{ID: "x", Challenge: "c", Expires: at}, 7)
	if again, err := decodeJob(dueThen(good, 8)); err != nil || again.ID != "x" ||
		dueThen(dueThen(good, 8), 7) != good {
		t.Errorf("due later: %+v, %v", again, err)
	}
	for n := range good {
		if j, err := decodeJob(good[:n]); err == nil {
			t.Errorf("%q is read as %+v", good[:n], j)
		}
	}
	for n, bad := range map[int]string{0: "\x00", 1: "\xff", 5: "\x00\x20", 21: "\xff\xff\xff\xff\xff\xff\xff\x7f"} {
		if j, err := decodeJob(good[:n] + bad + good[min(n+len(bad), len(good)-1):]); err == nil {
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
	for j := (store.Job{ID: "j", Attempt: 1}); ; j.Attempt++ {
		began := time.Now()
		j.Expires = began.Add(time.Hour)
		v := r.resultOf(streamEntry{}, j, true)
		if v.end != endAgain {
			if waited < 30*time.Minute || v.end != endFailed {
				t.Errorf("%s after %d attempts, %v", v.end, j.Attempt, waited)
			}
			return
		}
		waited += instant(int64(jobLayout.Due.get(v.job))).Sub(began).Truncate(time.Second)
	}
}

func FuzzDecodeJob(f *testing.F) {
	for _, j := range []store.Job{
		{ID: "abc-1/2/silence", Challenge: "abc-1", Step: 2, Expires: time.Unix(1e9, 0)},
		{ID: "x", Step: -7, Priority: store.Low, NotBefore: time.Unix(1e9, 0), Attempt: math.MaxInt32},
	} {
		whole := encodeJob(j, 7)
		f.Add(whole)
		f.Add(whole[:len(whole)-len(j.ID)])
	}
	f.Fuzz(func(t *testing.T, s string) {
		j, err := decodeJob(s)
		if err != nil {
			return
		}
		again, err := decodeJob(encodeJob(j, 7))
		if err != nil || !cmp.Equal(j, again) {
			t.Errorf("%q: %+v, then %+v, %v", s, j, again, err)
		}
	})
}
