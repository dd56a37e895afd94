package redisstore

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/store"
)

func sample() *store.Record {
	now := time.Unix(1_700_000_000, 123_456_789).UTC()
	return &store.Record{ID: "aaa-1", Subject: "subject", Key: "k1", Salt: []byte("salt"), Sealed: []byte("sealed"),
		Created: now,
		Expires: now.Add(time.Minute), NewCode: true, MaxAttempts: 5, MaxFailures: 10, Lock: time.Hour,
		Group: "group", Delivery: []byte("delivery")}
}

func TestRecordCodec(t *testing.T) {
	t.Parallel()
	for _, want := range []*store.Record{sample(), {ID: "aaa-2", Expires: time.Unix(1, 0).UTC()},
		{ID: "aaa-3", Expires: time.Unix(1, 1).UTC(), Lock: -1, Group: "\x00group of 16 by\x00"},
		{ID: "aaa-4", Expires: time.Unix(1, 1).UTC(), Lock: math.MinInt64, Created: time.Unix(-1e11, 7).UTC()}} {
		got, tokens, err := decode(want.ID, string(encode(want, subjectField(want.Subject))))
		if d := cmp.Diff(want, got); d != "" || err != nil || tokens != "" {
			t.Errorf("error %v, tokens %q, %s", err, tokens, d)
		}
	}
}

// TestRecordGrows: the tokens of the attempts follow the record, and Finish's comes
// last, whatever the tokens are.
func TestRecordGrows(t *testing.T) {
	t.Parallel()
	packed := string(encode(sample(), subjectField("s")))
	for n, token := range []store.Token{1, 256, 1 << 63, 2, 1} {
		packed += stamp(0, uint64(token))[8:]
		r, tokens, err := decode("aaa-1", packed)
		if err != nil || r.Attempts != n+1 || r.Outcome != store.Open {
			t.Fatalf("%+v, error %v, want %d attempts", r, err, n+1)
		}
		if got := attemptOf(tokens, token); got != n+1 && n < 4 {
			t.Errorf("token %d: attempt %d, want %d", token, got, n+1)
		}
	}
	r, _, err := decode("aaa-1", packed+"\x02"+stamp(0, 256)[8:])
	if err != nil || r.Attempts != 5 || r.Outcome != store.Cancelled || string(r.Delivery) != "delivery" {
		t.Errorf("%+v, error %v, want it cancelled", r, err)
	}
}

// FuzzDecode: what a server says cannot make decode panic, or claim memory
// without bound.
func FuzzDecode(f *testing.F) {
	whole := encode(sample(), subjectField("s"))
	for n := range whole {
		f.Add(string(whole[:n]))
	}
	f.Add(string(whole))
	f.Fuzz(func(t *testing.T, packed string) {
		r, _, err := decode("aaa-1", packed)
		if (r == nil) == (err == nil) {
			t.Errorf("%v, error %v", r, err)
		}
		if err != nil {
			return
		}
		size := len(r.Salt) + len(r.Sealed) + len(r.Delivery) + len(r.Key) + len(r.Subject)
		if r.Attempts < 0 || size > len(packed) {
			t.Errorf("%+v", r)
		}
	})
}

// FuzzUnpack: nor can it make unpack panic, or give more than it was given.
func FuzzUnpack(f *testing.F) {
	for _, answer := range []string{"", "\x00abcd", "\x02\x00abcd", "\x0d\x00\x00\x00\x00\x00\x00\x00\x01\x00abcd",
		"\x08abcd", "\x10\x00abcd", "\x27abcd", "\xffabcd"} {
		f.Add(answer)
	}
	f.Fuzz(func(t *testing.T, answer string) {
		a, err := unpack(answer)
		if !strings.HasSuffix(answer, a.record) || err == nil && len(a.record) < len(answer)-9 {
			t.Errorf("record %q of %q, error %v", a.record, answer, err)
		}
	})
}
