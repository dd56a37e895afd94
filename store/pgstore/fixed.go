package pgstore

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

// fixedVersion begins the column fixed of a challenge. A release that changes the format must change
// it, and read the format before, too.
const fixedVersion = 1

var errFixed = errors.New("pgstore: a challenge of another release, or damaged")

// encodeFixed returns the part of r that never changes, except its ID:
//
//	version, 1 octet
//	Created, Expires, Lock, RunLife: 8 octets each
//	MaxAttempts, MaxFailures, MaxRun: 4 octets each
//	NewCode, 1 octet
//	Subject, Group, Key and Salt, each after its length as a varint; Sealed
//
// Some of it is in columns of its own, too, which the statements compare.
func encodeFixed(r *store.Record) []byte {
	b := make([]byte, 0, 64+len(r.Subject)+len(r.Group)+len(r.Key)+len(r.Salt)+len(r.Sealed))
	b = append(b, fixedVersion)
	for _, n := range []int64{createdNanos(r.Created), nanos(r.Expires), int64(r.Lock), int64(r.RunLife)} {
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	for _, n := range []int{r.MaxAttempts, r.MaxFailures, r.MaxRun} {
		b = binary.BigEndian.AppendUint32(b, uint32(n))
	}
	newCode := byte(0)
	if r.NewCode {
		newCode = 1
	}
	b = append(b, newCode)
	for _, s := range []string{r.Subject, r.Group, r.Key, string(r.Salt)} {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	return append(b, r.Sealed...)
}

// decodeFixed is the inverse of encodeFixed. The record keeps b.
func decodeFixed(b []byte) (*store.Record, error) {
	f := fixedReader{b: b}
	version := f.next(1)
	r := &store.Record{
		Created: instant(f.int64()), Expires: instant(f.int64()), Lock: time.Duration(f.int64()),
		RunLife: time.Duration(f.int64()), MaxAttempts: f.int32(), MaxFailures: f.int32(), MaxRun: f.int32(),
		NewCode: f.next(1)[0] == 1,
		Subject: string(f.text()), Group: string(f.text()), Key: string(f.text()), Salt: orNil(f.text()),
	}
	r.Sealed = orNil(f.b)
	if f.short || version[0] != fixedVersion {
		return nil, errFixed
	}
	return r, nil
}

// A fixedReader reads b from its beginning.
type fixedReader struct {
	b     []byte
	short bool // b ended early
}

// next returns n octets, or zeros if b is too short.
func (f *fixedReader) next(n int) []byte {
	if len(f.b) < n {
		f.b, f.short = nil, true
		return make([]byte, n)
	}
	part := f.b[:n:n]
	f.b = f.b[n:]
	return part
}

func (f *fixedReader) int64() int64 { return int64(binary.BigEndian.Uint64(f.next(8))) }

func (f *fixedReader) int32() int { return int(binary.BigEndian.Uint32(f.next(4))) }

// text returns octets after their length.
func (f *fixedReader) text() []byte {
	n, size := binary.Uvarint(f.b)
	if size <= 0 || n > uint64(len(f.b)-size) {
		f.b, f.short = nil, true
		return nil
	}
	f.b = f.b[size:]
	return f.next(int(n))
}
