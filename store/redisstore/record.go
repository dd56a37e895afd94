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

// subjectField returns the name of the subject's run of failures in its bucket.
func subjectField(subject string) string {
	sum := sha256.Sum256([]byte(subject))
	return string(sum[:16])
}

// check refuses a record that cannot be kept as it is.
func check(r *store.Record) error {
	switch {
	case r.ID == "":
		return errors.New("redisstore: record without ID")
	case min(r.MaxAttempts, r.MaxFailures) < 0 || max(r.MaxAttempts, r.MaxFailures) > math.MaxUint32:
		return fmt.Errorf("redisstore: MaxAttempts %d or MaxFailures %d outside 0 to 2^32-1",
			r.MaxAttempts, r.MaxFailures)
	case len(r.Waits) > math.MaxUint16:
		return fmt.Errorf("redisstore: %d Waits, over 2^16-1", len(r.Waits))
	case r.Expires.UnixMicro() <= 0 || r.Expires.UnixMicro() >= latest:
		return errors.New("redisstore: Expires outside the years 1970 to 2255")
	case !r.Created.IsZero() && !nanoTime(r.Created.UnixNano()).Equal(r.Created):
		return errors.New("redisstore: Created outside the years 1678 to 2262")
	}
	return nil
}

// encode returns r as Create stores it: one string, so that a script reads it in
// one call and changes it in place.
//
//	the fields of recordLayout, and the waits
//	what no script reads: Created and Lock in nanoseconds, 8 bytes each; what
//	Expires has below a microsecond, a varint; NewCode, 1 byte; Key, Subject,
//	Salt and Sealed, each after its length
//	Delivery
//
// Version: see recordLayout. A release that changes this format changes the "c"
// of the key; of a record of another format decode returns an error.
func encode(r *store.Record, subject string, nextSend int64, nonce string) []byte {
	at, size := &recordLayout, 64+8*len(r.Waits)+len(r.Key)+len(r.Subject)+len(r.Salt)+len(r.Sealed)+len(r.Delivery)
	b := make([]byte, at.Wait.at, at.Wait.at+size)
	at.Expires.put(b, uint64(r.Expires.UnixMicro()))
	at.MaxAttempts.put(b, uint64(r.MaxAttempts))
	at.MaxFailures.put(b, uint64(r.MaxFailures))
	at.Lock.put(b, uint64(max(r.Lock, 0).Microseconds()))
	copy(b[at.Subject.at:], subject)
	at.Outcome.put(b, uint64(store.Open))
	copy(b[at.FinishNonce.at:], nonce)
	at.Sends.put(b, 1)
	at.NextSend.put(b, uint64(nextSend))
	at.Waits.put(b, uint64(len(r.Waits)))
	for _, w := range r.Waits {
		b = binary.BigEndian.AppendUint64(b, uint64(w))
	}
	b = binary.BigEndian.AppendUint64(b, uint64(nanos(r.Created)))
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
	at.Delivery.put(b, uint64(len(b)))
	return append(b, r.Delivery...)
}

func appendString[T string | []byte](b []byte, s T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

var errRecord = errors.New("redisstore: a record that cannot be read")

// decode returns the record that packed holds, with memory of its own. An
// empty part is nil.
func decode(id, packed string) (*store.Record, error) {
	at := &recordLayout
	if len(packed) < at.Wait.at {
		return nil, errRecord
	}
	r := &store.Record{
		ID: id, Attempts: int(at.Attempts.get(packed)),
		MaxAttempts: int(at.MaxAttempts.get(packed)), MaxFailures: int(at.MaxFailures.get(packed)),
		Outcome: store.Outcome(at.Outcome.get(packed)), Sends: int(at.Sends.get(packed)),
		NextSend: instant(int64(at.NextSend.get(packed))), Revision: at.Revision.get(packed),
	}
	p := parser{rest: packed[at.Wait.at:]}
	if n := int(at.Waits.get(packed)); n > 0 && len(p.rest) >= 8*n {
		r.Waits = make([]time.Duration, n)
		for i := range r.Waits {
			r.Waits[i] = time.Duration(p.int64())
		}
	} else if n > 0 {
		p.bad = true
	}
	r.Created, r.Lock = nanoTime(p.int64()), time.Duration(p.int64())
	r.Expires = time.UnixMicro(int64(at.Expires.get(packed))).Add(time.Duration(p.uvarint())).UTC()
	r.NewCode = p.byte() == 1
	r.Key, r.Subject = p.string(), p.string()
	r.Salt, r.Sealed = bytesOf(p.string()), bytesOf(p.string())
	if p.bad || int(at.Delivery.get(packed)) != len(packed)-len(p.rest) {
		return nil, errRecord
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
