package delivery

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/otpcourier/otpcourier/channel"
)

// version is the first octet of an encoded Delivery. A change of the format
// takes the next number, and Decode goes on reading the one before for as long
// as a challenge lives. An older program answers ErrVersion for a newer
// format, leaves the record alone, and a newer program serves it.
const version = 3

// before is the version that Decode still reads. It lacks SentAt and Undelivered.
const before = 2

// ErrVersion means that the octets were not written by this version of the
// program, or are damaged.
var ErrVersion = errors.New("delivery: the record is damaged, or of another version")

// Encode returns d as octets for the record.
func (d *Delivery) Encode() []byte {
	b := append(make([]byte, 0, 96), version)
	for _, n := range [...]uint64{uint64(d.Sends), uint64(d.Send), millis(d.Asked), uint64(d.Attempt.Step),
		uint64(d.Attempt.Number), d.Owner, uint64(d.Phase), millis(d.At),
		flags(d.Doubt, d.Out) | uint64(d.Counted)<<2, uint64(d.State), uint64(d.Used), uint64(d.Invalid),
		uint64(d.Reached)} {
		b = binary.AppendUvarint(b, n)
	}
	b = putString(putString(putString(b, d.Early), d.Via), d.Request)
	b = putMessage(putStrings(b, d.Tried), &d.Message)
	b = binary.AppendUvarint(b, uint64(len(d.Older)))
	for i := range d.Older {
		b = putMessage(b, &d.Older[i])
	}
	b = binary.AppendUvarint(b, uint64(len(d.Charges)))
	for _, c := range d.Charges {
		b = binary.AppendUvarint(b, micros(c.At))
		b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(c.Kinds)), flags(c.Network, false))
	}
	b = binary.AppendUvarint(b, uint64(len(d.Tokens)))
	for _, t := range d.Tokens {
		b = binary.AppendUvarint(b, t)
	}
	return putStrings(binary.AppendUvarint(b, millis(d.SentAt)), d.Undelivered)
}

// Decode reads what Encode returned. The error is ErrVersion.
func Decode(b []byte) (*Delivery, error) {
	if len(b) == 0 || b[0] != version && b[0] != before {
		return nil, ErrVersion
	}
	r := reader{b: b[1:]}
	d := &Delivery{Sends: r.int(), Send: r.int(), Asked: r.time()}
	d.Attempt.Step, d.Attempt.Number, d.Owner = r.int(), r.int(), r.uint()
	d.Phase, d.At = Phase(r.uint()), r.time()
	rest := reader{b: r.b} // its third bit and those above count messages
	d.Counted = int(min(rest.uint()>>2, 1<<20))
	d.Doubt, d.Out = r.flags()
	d.State, d.Used, d.Invalid = channel.State(r.uint()), channel.Address(r.uint()), channel.Address(r.uint())
	d.Reached = r.int()
	d.Early, d.Via, d.Request = r.string(), r.string(), r.string()
	d.Tried, d.Message = r.strings(), r.message()
	for range r.count() {
		d.Older = append(d.Older, r.message())
	}
	for range r.count() {
		c := Charge{At: r.exactTime(), Kinds: channel.Address(r.uint())}
		c.Network, _ = r.flags()
		d.Charges = append(d.Charges, c)
	}
	for range r.count() {
		d.Tokens = append(d.Tokens, r.uint())
	}
	if b[0] != before {
		d.SentAt, d.Undelivered = r.time(), r.strings()
	}
	if r.bad || len(r.b) > 0 || int(d.Phase) >= len(phaseNames) || len(d.Charges) == 0 {
		return nil, ErrVersion
	}
	return d, nil
}

func flags(first, second bool) (n uint64) {
	if first {
		n = 1
	}
	if second {
		n |= 2
	}
	return n
}

// millis is t in milliseconds since 1970, 0 for the zero time.
func millis(t time.Time) uint64 {
	if t.IsZero() {
		return 0
	}
	return uint64(max(t.UnixMilli(), 0))
}

// micros is t in microseconds: the time of a charge names a taking.
func micros(t time.Time) uint64 {
	if t.IsZero() {
		return 0
	}
	return uint64(max(t.UnixMicro(), 0))
}

func putString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func putStrings(b []byte, list []string) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	for _, s := range list {
		b = putString(b, s)
	}
	return b
}

func putMessage(b []byte, m *Message) []byte {
	b = putString(binary.AppendUvarint(b, uint64(m.Step)), m.Route)
	b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(m.Kind)), m.Parts)
	return putStrings(b, m.Providers)
}

// A reader takes values off b. It keeps that a value was missing: check bad
// once at the end.
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

func (r *reader) int() int { return int(min(r.uint(), 1<<31-1)) }

// count is a length of what takes an octet each at least.
func (r *reader) count() int {
	n := r.uint()
	if n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return 0
	}
	return int(n)
}

func (r *reader) time() time.Time {
	if ms := r.uint(); ms > 0 {
		return time.UnixMilli(int64(min(ms, 1<<62)))
	}
	return time.Time{}
}

func (r *reader) exactTime() time.Time {
	if us := r.uint(); us > 0 {
		return time.UnixMicro(int64(min(us, 1<<62)))
	}
	return time.Time{}
}

func (r *reader) flags() (first, second bool) {
	n := r.uint()
	return n&1 != 0, n&2 != 0
}

func (r *reader) string() string {
	n := r.count()
	s := string(r.b[:n])
	r.b = r.b[n:]
	return s
}

func (r *reader) strings() (list []string) {
	for range r.count() {
		list = append(list, r.string())
	}
	return list
}

func (r *reader) message() Message {
	return Message{Step: r.int(), Route: r.string(), Kind: channel.Address(r.uint()), Parts: r.uint(),
		Providers: r.strings()}
}
