package redisstore

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/otpcourier/otpcourier/store"
)

func TestJobText(t *testing.T) {
	t.Parallel()
	at := time.UnixMicro(1_763_712_345_678_901).UTC()
	for _, j := range []store.Job{
		{ID: "abc-1/2/silence", Challenge: "abc-1", Step: 2, Priority: store.High, NotBefore: at, Expires: at.Add(time.Hour), Attempt: 3},
		{ID: "x", Expires: at},
		{ID: " a b\n\x00", Challenge: "3 4 \xff", Step: -1, Priority: store.Low, Expires: time.UnixMicro(latest - 1).UTC(), Attempt: 1 << 30},
	} {
		got, err := decodeJob(encodeJob(j))
		if d := cmp.Diff(j, got); d != "" || err != nil {
			t.Errorf("%v\n%s", err, d)
		}
	}
	// What is not a whole microsecond is not due before its time.
	odd := store.Job{ID: "x", NotBefore: at.Add(1), Expires: at.Add(time.Hour)}
	if got, err := decodeJob(encodeJob(odd)); err != nil || !got.NotBefore.Equal(at.Add(time.Microsecond)) {
		t.Errorf("NotBefore %v, error %v; want %v", got.NotBefore, err, at.Add(time.Microsecond))
	}
	for _, bad := range []string{"", "1", "1 0 5 0 0", "4 0 5 0 0 1 c x", "0 0 5 0 0 1 c x", "1 -1 5 0 0 1 c x", "1 0 5 0 0 9 c x", "1 0 5 0 0 0 c x", "1 0 9007199254740992 0 0 1 c x", "1 4294967296 5 0 0 1 c x"} {
		if j, err := decodeJob(bad); err == nil {
			t.Errorf("%q is read as %+v", bad, j)
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
		v := r.verdict(entry{}, j, true)
		if v.verb != verbAgain {
			if waited < 30*time.Minute || v.verb != reasonFailed {
				t.Errorf("%s after %d attempts, %v", v.verb, j.Attempt, waited)
			}
			return
		}
		waited += instant(v.due).Sub(began).Truncate(time.Second)
	}
}

func FuzzDecodeJob(f *testing.F) {
	f.Add(encodeJob(store.Job{ID: "abc-1/2/silence", Challenge: "abc-1", Step: 2, Expires: time.Unix(1e9, 0)}))
	f.Add("1 0 5 0 0 1 c x")
	f.Add("3 2147483647 5 6 -7 0  ")
	f.Fuzz(func(t *testing.T, s string) {
		j, err := decodeJob(s)
		if err != nil {
			return
		}
		again, err := decodeJob(encodeJob(j))
		if err != nil || !cmp.Equal(j, again) {
			t.Errorf("%q: %+v, then %+v, %v", s, j, again, err)
		}
		if strings.Count(s, " ") < 6 {
			t.Errorf("%q is too short", s)
		}
	})
}
