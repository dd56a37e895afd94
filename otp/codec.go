package otp

import (
	"encoding/binary"
	"errors"
)

// errCodec means that a record holds octets this version did not write.
var errCodec = errors.New("otp: the challenge's record is damaged")

// The functions put append to b, and reader takes off again, the two kinds of
// value that records are made of.

func putUint(b []byte, n uint64) []byte { return binary.AppendUvarint(b, n) }

func flag(set bool) uint64 {
	if set {
		return 1
	}
	return 0
}

func putString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func putStrings(b []byte, list []string) []byte {
	b = putUint(b, uint64(len(list)))
	for _, s := range list {
		b = putString(b, s)
	}
	return b
}

// A reader remembers that something was wrong, so that it is asked once.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) uint() uint64 {
	n, size := binary.Uvarint(r.b)
	if size <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[size:]
	return n
}

func (r *reader) bytes() []byte {
	n := r.uint()
	if n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return nil
	}
	s := r.b[:n]
	r.b = r.b[n:]
	return s
}

func (r *reader) string() string { return string(r.bytes()) }

func (r *reader) strings() []string {
	n := r.uint()
	if n > uint64(len(r.b)) { // each takes an octet at least
		r.bad = true
		return nil
	}
	var list []string
	for range n {
		list = append(list, r.string())
	}
	return list
}

func (r *reader) err() error {
	if r.bad || len(r.b) > 0 {
		return errCodec
	}
	return nil
}
