package authenticator

import (
	"crypto/subtle"
	"encoding/hex"
	"time"

	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/oath"
)

// A Token is an authenticator of a subject, in the form for the subject.
type Token struct {
	ID        string
	Name      string // the person's name for it, at most 64 octets
	Serial    string // of a hard token
	Method    Method // TOTP or HOTP
	App       bool   // on a phone: no Resync, because its clock is the phone's
	Confirmed bool   // false: it waits for its Confirm
	Created   time.Time
	LastUsed  time.Time // zero: never
	Offset    int       // TOTP: of the last accepted code, in steps; above 0 the token's clock is ahead
}

// A token is the stored form of an authenticator.
type token struct {
	id           tokenID
	hotp, app    bool
	hash         oath.Hash
	digits       int
	period       int64 // seconds
	secret       []byte
	name, serial string
	created      int64
	used         int64  // time of the last accepted code; 0: never
	next         uint64 // the smallest acceptable step or counter
	offset       int64  // of the last accepted code, in steps
	maxDrift     int64  // how far the window follows offset, in steps; 0: not at all
	start, ends  int64  // validity; 0: no bound

	pending  int64   // end of the time for Confirm; 0: confirmed
	failures int     // of Confirm
	replaces tokenID // the token that its Confirm revokes
}

type tokenID [8]byte

func (i tokenID) String() string { return hex.EncodeToString(i[:]) }

// parseTokenID returns the zero ID if s is not an ID. No token has it.
func parseTokenID(s string) (i tokenID) {
	if b, err := hex.DecodeString(s); err == nil && len(b) == len(i) {
		copy(i[:], b)
	}
	return i
}

func newToken(k *Key, p Policy) token {
	t := token{hotp: k.Counter, app: k.App, hash: k.Hash, digits: k.Digits, period: int64(k.Period / time.Second),
		secret: k.Secret, serial: k.Serial, next: k.Moving, start: seconds(k.Start), ends: seconds(k.Expires)}
	if t.hotp {
		t.period = 0
		return t
	}
	t.next = 0
	if !t.app && p.drift() > 0 {
		t.offset = int64(k.Drift)
		t.allowDrift(p)
	}
	return t
}

// allowDrift makes the window follow the token's present offset.
func (t *token) allowDrift(p Policy) { t.maxDrift = max(t.maxDrift, p.drift(), abs(t.offset)+2) }

func abs(n int64) int64 { return max(n, -n) }

// seconds returns the stored form of a time: 0 for none.
func seconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

func instant(seconds int64) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}

func (t *token) method() Method {
	if t.hotp {
		return HOTP
	}
	return TOTP
}

func (t *token) public() *Token {
	return &Token{ID: t.id.String(), Name: t.name, Serial: t.serial, Method: t.method(), App: t.app,
		Confirmed: t.pending == 0, Created: instant(t.created), LastUsed: instant(t.used), Offset: int(t.offset)}
}

// valid reports whether the token may be used at now.
func (t *token) valid(now int64) bool { return now >= t.start && (t.ends == 0 || now < t.ends) }

// waits reports whether the token may be confirmed at now.
func (t *token) waits(now int64) bool { return t.pending > now }

// code returns the code of a step or counter.
func (t *token) code(step uint64) string {
	code, err := oath.HOTP{Digits: t.digits, Hash: t.hash}.Generate(otp.Seed{Key: t.secret, Counter: step})
	if err != nil { // another version has stored the value
		return ""
	}
	return code
}

// A verdict is the result of comparing a typed code with a token.
type verdict uint8

const (
	wrong verdict = iota
	right
	replay // of a used step
)

// window returns the steps whose codes are acceptable now.
func (t *token) window(p Policy, now int64) (from, to uint64) {
	if t.hotp {
		return t.next, t.next + uint64(p.LookAhead)
	}
	drift := min(max(t.offset, -t.maxDrift), t.maxDrift)
	step := now / t.period
	return uint64(max(step+min(0, drift)-p.skew(), 0)), uint64(max(step+max(0, drift)+p.skew(), 0))
}

// lookBack returns the number of steps before the window to compare.
func (t *token) lookBack(p Policy) uint64 {
	if t.hotp {
		return 1
	}
	return uint64(2*p.skew() + 1)
}

// check compares typed with every code of the window and of the steps before it, in
// constant time. If several steps have that code, it takes the last: the others are
// used up with it.
//
// Six digits do not identify a step: two neighbours can have the same. A code of a
// used step is therefore a replay, even if a later step of the window has it, too.
func (t *token) check(typed string, p Policy, now int64) (verdict, uint64) {
	if len(typed) != t.digits {
		return wrong, 0
	}
	from, to := t.window(p, now)
	found, used, at := 0, 0, uint64(0)
	for s := from - min(t.lookBack(p), from); s <= to; s++ {
		equal := subtle.ConstantTimeCompare([]byte(t.code(s)), []byte(typed))
		switch {
		case s < t.next:
			used |= equal
		case s >= from:
			found |= equal
			at = choose(equal, s, at)
		}
	}
	switch {
	case used == 1:
		return replay, 0
	case found == 1:
		return right, at
	}
	return wrong, 0
}

// choose returns x if v is 1, and y if it is 0, in constant time.
func choose(v int, x, y uint64) uint64 {
	mask := -uint64(v)
	return x&mask | y&^mask
}

// take uses up a step and all earlier steps.
func (t *token) take(step uint64, now int64) {
	t.next, t.used = step+1, now
	if !t.hotp {
		t.offset = int64(step) - now/t.period
	}
}

// find looks for two consecutive codes of unused steps, and returns the second one's
// step. For an app it looks only in check's window.
func (t *token) find(first, second string, p Policy, now int64) (at uint64, found bool) {
	if len(first) != t.digits || len(second) != t.digits {
		return 0, false
	}
	from, to := t.next, t.next+uint64(p.Resync)
	switch {
	case t.app && !t.hotp:
		from, to = t.window(p, now)
		from, to = max(from-min(from, 1), t.next), to-min(to, 1)
	case !t.hotp:
		step := now / t.period
		from, to = max(uint64(max(step-int64(p.Resync), 0)), t.next), uint64(step)+uint64(p.Resync)
	}
	before, ok := 0, 0
	for s := from; s <= to+1; s++ {
		code := []byte(t.code(s))
		both := before & subtle.ConstantTimeCompare(code, []byte(second))
		ok |= both
		at = choose(both, s, at)
		before = subtle.ConstantTimeCompare(code, []byte(first))
	}
	return at, ok == 1
}
