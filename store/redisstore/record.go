package redisstore

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

// A record is one string, big-endian, so that a script reads it in one call
// and changes it in place:
//
//	  0  nonces of the latest eight Attempts, 8 bytes each; attempts, 4
//	 68  expires, 8; MaxAttempts, 4; MaxFailures, 4; lock, 8; subject's field, 16
//	108  outcome, 1; nonce of Finish, until then of Create, 8
//	117  sends, 4; time of the next, 8; nonce of the latest Resend, 8
//	137  revision, 8; nonces of the latest four Updates, 8 each
//	177  offset of the delivery, 4
//	181  number of waits, 2; these in nanoseconds, 8 each
//	     what no script reads; the delivery
//
// Times are microseconds since 1970, and the lock is in microseconds, too: Lua's
// numbers hold these exactly. Who changes what a release has stored changes the
// names of the keys.
const (
	atExpires  = 68
	atDelivery = 177
	atWaits    = 181
)

// latest is the first time, in microseconds, that Lua does not hold exactly:
// in the year 2255.
const latest = 1 << 53

// micros returns t within the range of times, in microseconds. A fraction is
// cut off.
func micros(t time.Time) int64 {
	return min(max(t.UnixMicro(), 0), latest-1)
}

// instant is the inverse of micros, but that 0 is the zero time.
func instant(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

// subjectField names the subject's run of failures among those of its bucket.
func subjectField(subject string) string {
	sum := sha256.Sum256([]byte(subject))
	return string(sum[:16])
}

// check refuses what cannot be kept as it is.
func check(r *store.Record) error {
	switch {
	case r.ID == "":
		return errors.New("redisstore: record without ID")
	case r.MaxAttempts < 0 || r.MaxAttempts > math.MaxUint32 || r.MaxFailures < 0 || r.MaxFailures > math.MaxUint32:
		return fmt.Errorf("redisstore: MaxAttempts %d or MaxFailures %d outside 0 to 2^32-1", r.MaxAttempts, r.MaxFailures)
	case len(r.Waits) > math.MaxUint16:
		return fmt.Errorf("redisstore: %d Waits, over 2^16-1", len(r.Waits))
	case r.Expires.UnixMicro() <= 0 || r.Expires.UnixMicro() >= latest:
		return errors.New("redisstore: Expires outside the years 1970 to 2255")
	case !r.Created.IsZero() && !nanoTime(r.Created.UnixNano()).Equal(r.Created):
		return errors.New("redisstore: Created outside the years 1678 to 2262")
	}
	return nil
}

func nanoTime(n int64) time.Time {
	if n == math.MinInt64 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

// encode returns r as Create stores it.
func encode(r *store.Record, subject string, nextSend int64, nonce string) []byte {
	b := make([]byte, atExpires, atWaits+64+8*len(r.Waits)+len(r.Key)+len(r.Subject)+len(r.Salt)+len(r.Sealed)+len(r.Delivery))
	b = binary.BigEndian.AppendUint64(b, uint64(r.Expires.UnixMicro()))
	b = binary.BigEndian.AppendUint32(b, uint32(r.MaxAttempts))
	b = binary.BigEndian.AppendUint32(b, uint32(r.MaxFailures))
	b = binary.BigEndian.AppendUint64(b, uint64(max(r.Lock, 0).Microseconds()))
	b = append(b, subject...)
	b = append(b, byte(store.Open))
	b = append(b, nonce...)
	b = binary.BigEndian.AppendUint32(b, 1) // sends
	b = binary.BigEndian.AppendUint64(b, uint64(nextSend))
	b = b[:atWaits] // where the delivery begins, see below
	b = binary.BigEndian.AppendUint16(b, uint16(len(r.Waits)))
	for _, w := range r.Waits {
		b = binary.BigEndian.AppendUint64(b, uint64(w))
	}
	created := int64(math.MinInt64)
	if !r.Created.IsZero() {
		created = r.Created.UnixNano()
	}
	b = binary.BigEndian.AppendUint64(b, uint64(created))
	b = binary.BigEndian.AppendUint64(b, uint64(r.Lock))
	b = binary.AppendUvarint(b, uint64(r.Expires.Nanosecond()%1000))
	newCode := byte(0)
	if r.NewCode {
		newCode = 1
	}
	b = append(b, newCode)
	b = appendString(b, r.Key)
	b = appendString(b, r.Subject)
	b = appendString(b, r.Salt)
	b = appendString(b, r.Sealed)
	binary.BigEndian.PutUint32(b[atDelivery:], uint32(len(b)))
	return append(b, r.Delivery...)
}

func appendString[T string | []byte](b []byte, s T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// decode returns the record that packed holds, with memory of its own. An
// empty part is nil.
func decode(id, packed string) (*store.Record, error) {
	p := parser{rest: packed}
	p.take(atExpires - 4)
	r := &store.Record{ID: id, Attempts: p.int32()}
	expires := p.int64()
	r.MaxAttempts, r.MaxFailures = p.int32(), p.int32()
	p.take(8 + 16)
	r.Outcome = store.Outcome(p.byte())
	p.take(8)
	r.Sends, r.NextSend = p.int32(), instant(p.int64())
	p.take(8)
	r.Revision = uint64(p.int64())
	p.take(32)
	delivery := p.int32()
	if n := p.int16(); n > 0 && len(p.rest) >= 8*n {
		r.Waits = make([]time.Duration, n)
		for i := range r.Waits {
			r.Waits[i] = time.Duration(p.int64())
		}
	} else if n > 0 {
		p.bad = true
	}
	r.Created, r.Lock = nanoTime(p.int64()), time.Duration(p.int64())
	r.Expires = time.UnixMicro(expires).Add(time.Duration(p.uvarint())).UTC()
	r.NewCode = p.byte() == 1
	r.Key, r.Subject = p.string(), p.string()
	r.Salt, r.Sealed = bytesOf(p.string()), bytesOf(p.string())
	if p.bad || delivery != len(packed)-len(p.rest) {
		return nil, errors.New("redisstore: a record that cannot be read")
	}
	r.Delivery = bytesOf(p.rest)
	return r, nil
}

func bytesOf(s string) []byte {
	if s == "" {
		return nil
	}
	return []byte(s)
}

// A parser takes from the front of rest. Where that is too short it goes bad,
// and gives zeros.
type parser struct {
	rest string
	bad  bool
}

var zeros = string(make([]byte, 16))

func (p *parser) take(n int) string {
	if n > len(p.rest) {
		p.bad, p.rest = true, ""
		return zeros[:min(n, len(zeros))]
	}
	s := p.rest[:n]
	p.rest = p.rest[n:]
	return s
}

func (p *parser) byte() byte { return p.take(1)[0] }

func (p *parser) int16() int {
	s := p.take(2)
	return int(s[0])<<8 | int(s[1])
}

func (p *parser) int32() int {
	s := p.take(4)
	return int(s[0])<<24 | int(s[1])<<16 | int(s[2])<<8 | int(s[3])
}

func (p *parser) int64() int64 {
	s := p.take(8)
	return int64(s[0])<<56 | int64(s[1])<<48 | int64(s[2])<<40 | int64(s[3])<<32 |
		int64(s[4])<<24 | int64(s[5])<<16 | int64(s[6])<<8 | int64(s[7])
}

func (p *parser) uvarint() uint64 {
	var n uint64
	for shift := 0; shift < 64; shift += 7 {
		b := p.byte()
		n |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return n
		}
	}
	p.bad = true
	return 0
}

func (p *parser) string() string {
	n := p.uvarint()
	if n > uint64(len(p.rest)) {
		p.bad = true
		return ""
	}
	return p.take(int(n))
}
