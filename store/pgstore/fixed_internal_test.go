package pgstore

import (
	"bytes"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/store"
)

// TestFixed: decodeFixed returns what encodeFixed was given, and refuses a part of it.
func TestFixed(t *testing.T) {
	t.Parallel()
	for _, r := range []store.Record{
		{Expires: time.Unix(1, 0).UTC()},
		{
			Subject: "subject", Group: "group", Key: "key", Salt: []byte("salt"), Sealed: []byte("sealed"),
			Created: time.Unix(-1, 7).UTC(), Expires: time.Unix(1, 9).UTC(), NewCode: true, MaxAttempts: 1,
			MaxFailures: math.MaxInt32, Lock: -longest, MaxRun: 3, RunLife: longest,
		},
		{Subject: string(make([]byte, maxSubject)), Expires: time.Unix(2, 0).UTC()},
	} {
		whole := encodeFixed(&r)
		got, err := decodeFixed(whole)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&r, got); diff != "" {
			t.Error(diff)
		}
		for n := range len(whole) - len(r.Sealed) {
			if got, err := decodeFixed(whole[:n]); err == nil {
				t.Errorf("%d octets of %d: %+v", n, len(whole), got)
			}
		}
		whole[0]++
		if got, err := decodeFixed(whole); err == nil {
			t.Errorf("another version: %+v", got)
		}
	}
}

// FuzzDecodeFixed: what a table holds cannot make decodeFixed panic, and a record is of these octets.
func FuzzDecodeFixed(f *testing.F) {
	f.Add(encodeFixed(&store.Record{Subject: "subject", Key: "key", Salt: []byte("salt"), Sealed: []byte("sealed")}))
	f.Add([]byte{})
	f.Add(bytes.Repeat([]byte{255}, 80))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeFixed(b)
		if (r == nil) == (err == nil) {
			t.Errorf("%v, error %v", r, err)
		}
		if err == nil && len(r.Subject)+len(r.Group)+len(r.Key)+len(r.Salt)+len(r.Sealed) > len(b) {
			t.Errorf("%+v of %d octets", r, len(b))
		}
	})
}
