package redisstore

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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
