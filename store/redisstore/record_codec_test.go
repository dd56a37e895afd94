package redisstore

import (
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
		Waits: []time.Duration{time.Second, time.Minute}, Delivery: []byte("delivery")}
}

func TestRecordCodec(t *testing.T) {
	t.Parallel()
	for _, want := range []*store.Record{sample(), {ID: "aaa-2", Expires: time.Unix(1, 0).UTC()},
		{ID: "aaa-3", Expires: time.Unix(1, 1).UTC(), Lock: -1}} {
		got, err := decode(want.ID, string(encode(want, subjectField(want.Subject), 0, nonce())))
		want.Sends = 1
		if d := cmp.Diff(want, got); d != "" || err != nil {
			t.Errorf("error %v, %s", err, d)
		}
	}
}

// FuzzDecode: what a server says cannot make decode panic, or claim memory
// without bound.
func FuzzDecode(f *testing.F) {
	whole := encode(sample(), subjectField("s"), 5, nonce())
	for n := range whole {
		f.Add(string(whole[:n]))
	}
	f.Add(string(whole))
	f.Fuzz(func(t *testing.T, packed string) {
		r, err := decode("aaa-1", packed)
		if (r == nil) == (err == nil) {
			t.Errorf("%v, error %v", r, err)
		}
		if err != nil {
			return
		}
		size := len(r.Salt) + len(r.Sealed) + len(r.Delivery) + len(r.Key) + len(r.Subject)
		if r.Attempts < 0 || r.Sends < 0 || size > len(packed) {
			t.Errorf("%+v", r)
		}
	})
}

// FuzzUnpack: nor can it make unpack panic, or give more than it was given.
func FuzzUnpack(f *testing.F) {
	for _, answer := range []string{"", "\x00abcd", "\x02\x00abcd", "\x0d\x00\x00\x00\x00\x00\x00\x00\x01\x00abcd",
		"\x08abcd", "\x10\x00abcd", "\xffabcd"} {
		f.Add(answer)
	}
	f.Fuzz(func(t *testing.T, answer string) {
		_, _, _, record, err := unpack(answer)
		if !strings.HasSuffix(answer, record) || err == nil && len(record) < len(answer)-9 {
			t.Errorf("record %q of %q, error %v", record, answer, err)
		}
	})
}
