package authenticator

import (
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/oath"
)

// A value holds all data of a subject.
type value struct {
	key      string // name of its key; "": there was no value
	tokens   []token
	otp      run // of the failures of codes
	recovery run // of the failures of recovery codes
	codes    []recoveryHash
}

// A run is a number of failures in a row, and their lock.
type run struct {
	failures int
	until    int64 // the end of the lock; 0: none; forever: until Unlock
}

const forever = 1<<62 - 1

// locked returns the error of a locked run, or nil if the run is not locked at now.
func (r *run) locked(now int64) error {
	switch {
	case r.until == forever:
		return refuse(otp.ReasonLocked)
	case r.until > now:
		e := refuse(otp.ReasonLocked)
		e.RetryAfter = time.Duration(r.until-now) * time.Second
		return e
	}
	return nil
}

// fail counts a failure and returns its error. Each lock is twice as long as the one
// before.
func (r *run) fail(p Policy, now int64) *otp.Error {
	r.failures++
	e := refuse(otp.ReasonWrong)
	locks, rest := r.failures/p.MaxFailures, r.failures%p.MaxFailures
	e.AttemptsLeft = min(p.MaxFailures-rest, maxInARow-r.failures)
	switch {
	case r.failures >= maxInARow:
		r.until, e.AttemptsLeft = forever, 0
	case rest == 0:
		lock := maxLock
		if locks <= 16 {
			lock = min(p.Lock<<(locks-1), maxLock)
		}
		r.until = now + int64(lock/time.Second)
		e.AttemptsLeft, e.RetryAfter = 0, lock
	}
	return e
}

// empty reports whether there is nothing to store.
func (v *value) empty() bool {
	return len(v.tokens)+len(v.codes) == 0 && v.otp == run{} && v.recovery == run{}
}

// find returns the token with an ID, or nil.
func (v *value) find(id tokenID) *token {
	i := slices.IndexFunc(v.tokens, func(t token) bool { return t.id == id })
	if i < 0 || id == (tokenID{}) {
		return nil
	}
	return &v.tokens[i]
}

// drop removes the tokens for which f returns true.
func (v *value) drop(f func(t *token) bool) {
	v.tokens = slices.DeleteFunc(v.tokens, func(t token) bool { return f(&t) })
}

// valueVersion is the first octet of a value. A change of the format must take the
// next number; decode refuses any other.
const valueVersion = 1

const (
	flagHOTP = 1 << iota
	flagApp
)

func (v *value) encode() []byte {
	w := &writer{b: append(make([]byte, 0, 512), valueVersion)}
	w.uint(uint64(len(v.tokens)))
	for i := range v.tokens {
		w.token(&v.tokens[i])
	}
	for _, r := range []run{v.otp, v.recovery} {
		w.uint(uint64(r.failures))
		w.int(r.until)
	}
	w.uint(uint64(len(v.codes)))
	for _, h := range v.codes {
		w.b = append(w.b, h[:]...)
	}
	return w.b
}

type writer struct{ b []byte }

func (w *writer) uint(n uint64) { w.b = binary.AppendUvarint(w.b, n) }
func (w *writer) int(n int64)   { w.b = binary.AppendVarint(w.b, n) }

func (w *writer) text(s string) {
	w.uint(uint64(len(s)))
	w.b = append(w.b, s...)
}

func (w *writer) token(t *token) {
	w.b = append(w.b, t.id[:]...)
	flags := uint64(t.hash) << 2
	if t.hotp {
		flags |= flagHOTP
	}
	if t.app {
		flags |= flagApp
	}
	w.uint(flags)
	w.uint(uint64(t.digits))
	w.int(t.period)
	w.text(string(t.secret))
	w.text(t.name)
	w.text(t.serial)
	for _, n := range []int64{t.created, t.used, t.offset, t.maxDrift, t.start, t.ends, t.pending} {
		w.int(n)
	}
	w.uint(t.next)
	if t.pending != 0 {
		w.uint(uint64(t.failures))
		w.b = append(w.b, t.replaces[:]...)
	}
}

var errValue = errors.New("authenticator: the value cannot be read: it was written by another version, or damaged")

// decode reads the result of encode.
func decode(b []byte) (*value, error) {
	if len(b) == 0 || b[0] != valueVersion {
		return nil, errValue
	}
	r := &reader{b: b[1:]}
	v := &value{}
	for n := r.uint(); n > 0 && !r.bad; n-- {
		v.tokens = append(v.tokens, r.token())
	}
	for _, f := range []*run{&v.otp, &v.recovery} {
		f.failures, f.until = int(r.uint()), r.int()
		r.bad = r.bad || f.failures < 0 || f.until < 0
	}
	for n := r.uint(); n > 0 && !r.bad; n-- {
		v.codes = append(v.codes, recoveryHash(r.octets(len(recoveryHash{}))))
	}
	if r.bad || len(r.b) != 0 {
		return nil, errValue
	}
	return v, nil
}

// A reader sets bad at the first error; its later results are meaningless.
type reader struct {
	b   []byte
	bad bool
}

// octets returns the next n.
func (r *reader) octets(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.bad, r.b = true, nil
		return make([]byte, min(max(n, 0), 64))
	}
	taken := r.b[:n:n]
	r.b = r.b[n:]
	return taken
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

func (r *reader) int() int64 {
	n, size := binary.Varint(r.b)
	if size <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[size:]
	return n
}

func (r *reader) text() string {
	n := r.uint()
	if n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return ""
	}
	return string(r.octets(int(n)))
}

func (r *reader) token() token {
	t := token{id: tokenID(r.octets(len(tokenID{})))}
	flags := r.uint()
	t.hotp, t.app, t.hash = flags&flagHOTP != 0, flags&flagApp != 0, oath.Hash(flags>>2)
	t.digits, t.period = int(r.uint()), r.int()
	t.secret, t.name, t.serial = []byte(r.text()), r.text(), r.text()
	for _, n := range []*int64{&t.created, &t.used, &t.offset, &t.maxDrift, &t.start, &t.ends, &t.pending} {
		*n = r.int()
	}
	t.next = r.uint()
	if t.pending != 0 {
		t.failures, t.replaces = int(r.uint()), tokenID(r.octets(len(tokenID{})))
	}
	r.bad = r.bad || flags>>2 > uint64(oath.SHA512) || t.digits < 6 || t.digits > 8 || len(t.secret) < minSecret ||
		t.hotp == (t.period > 0) || t.period < 0 || t.period > 120 || t.next > 1<<63 || t.maxDrift < 0 ||
		abs(t.offset) > 1<<40 || t.maxDrift > 1<<20
	return t
}
