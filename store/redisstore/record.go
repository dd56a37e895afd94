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

// groupField returns a group, which has 16 bytes at most: its length, the group, and
// zeros.
func groupField(group string) string {
	var b [1 + maxGroup]byte
	b[0] = byte(len(group))
	copy(b[1:], group)
	return string(b[:])
}

// maxGroup is the greatest length of a group.
const maxGroup = 16

// checkGroup refuses a group longer than maxGroup.
func checkGroup(group string) error {
	if len(group) > maxGroup {
		return fmt.Errorf("redisstore: Group of %d bytes, over %d", len(group), maxGroup)
	}
	return nil
}

// check refuses a record that cannot be stored without a change.
func check(r *store.Record) error {
	switch {
	case r.ID == "":
		return errors.New("redisstore: record without ID")
	case min(r.MaxAttempts, r.MaxFailures, r.MaxRun) < 0 ||
		int64(max(r.MaxAttempts, r.MaxFailures, r.MaxRun)) > math.MaxUint32:
		return fmt.Errorf("redisstore: MaxAttempts %d, MaxFailures %d or MaxRun %d outside 0 to 2^32-1",
			r.MaxAttempts, r.MaxFailures, r.MaxRun)
	case r.RunLife < 0:
		return fmt.Errorf("redisstore: RunLife %v is negative", r.RunLife)
	case r.Expires.UnixMicro() <= 0 || r.Expires.UnixMicro() >= latest:
		return errors.New("redisstore: Expires outside the years 1970 to 2255")
	case !wholeTime(r.Created.UnixMicro(), uint64(r.Created.Nanosecond()%1000)).Equal(r.Created):
		return errors.New("redisstore: Created outside the years -290308 to 294246")
	}
	return checkGroup(r.Group)
}

// wholeTime returns a time from its whole microseconds since 1970 and the nanoseconds
// beyond them.
func wholeTime(micros int64, below uint64) time.Time {
	return time.UnixMicro(micros).Add(time.Duration(below)).UTC()
}

// encode returns the form of r that Create stores: one string, so that a script reads it
// in one call and appends to it.
//
//	the fields of recordLayout
//	no script reads these: the nanoseconds of Created, Expires, Lock and RunLife beyond
//	whole microseconds, four varints; NewCode, 1 byte; Key, Subject, Salt and Sealed, each
//	after its length
//	Delivery
//	the nonces of the latest four Updates, the latest first
//	the tokens of the charged Attempts, in order
//	the fields of closingLayout, if the challenge is closed
//
// Version: see recordLayout. A release that changes this format changes the "c"
// of the key; of a record of another format decode returns an error.
func encode(r *store.Record, subject string) []byte {
	at, size := &recordLayout, 64+len(r.Key)+len(r.Subject)+len(r.Salt)+len(r.Sealed)+len(r.Delivery)
	b := make([]byte, at.Rest.at, at.Rest.at+size)
	lock, below := int64(r.Lock)/1000, int64(r.Lock)%1000
	if below < 0 {
		lock, below = lock-1, below+1000
	}
	at.Expires.put(b, uint64(r.Expires.UnixMicro()))
	copy(b[at.Subject.at:], subject)
	at.Lock.put(b, uint64(lock))
	at.RunLife.put(b, uint64(r.RunLife.Microseconds()))
	at.MaxRun.put(b, uint64(r.MaxRun))
	at.MaxFailures.put(b, uint64(r.MaxFailures))
	at.MaxAttempts.put(b, uint64(r.MaxAttempts))
	at.Created.put(b, uint64(r.Created.UnixMicro()))
	copy(b[at.Group.at:], groupField(r.Group))
	b = binary.AppendUvarint(b, uint64(r.Created.Nanosecond()%1000))
	b = binary.AppendUvarint(b, uint64(r.Expires.Nanosecond()%1000))
	b = binary.AppendUvarint(b, uint64(below))
	b = binary.AppendUvarint(b, uint64(r.RunLife%time.Microsecond))
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
	b = append(b, r.Delivery...)
	at.Nonces.put(b, uint64(len(b)))
	at.Tokens.put(b, uint64(len(b)))
	return b
}

func appendString[T string | []byte](b []byte, s T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

var errRecord = errors.New("redisstore: a record that cannot be read")

// decode returns the record in packed, with memory of its own, and the tokens of its
// attempts. An empty part is nil.
func decode(id, packed string) (r *store.Record, tokens string, _ error) {
	at := &recordLayout
	if len(packed) < at.Rest.at {
		return nil, "", errRecord
	}
	p := parser{rest: packed[at.Rest.at:]}
	r = &store.Record{
		ID: id, Revision: at.Revision.get(packed),
		MaxFailures: int(at.MaxFailures.get(packed)), MaxAttempts: int(at.MaxAttempts.get(packed)),
	}
	r.Created = wholeTime(int64(at.Created.get(packed)), p.uvarint())
	r.Expires = wholeTime(int64(at.Expires.get(packed)), p.uvarint())
	r.Lock = time.Duration(at.Lock.get(packed))*time.Microsecond + time.Duration(p.uvarint())
	r.RunLife = time.Duration(at.RunLife.get(packed))*time.Microsecond + time.Duration(p.uvarint())
	r.MaxRun = int(at.MaxRun.get(packed))
	r.NewCode = p.byte() == 1
	r.Key, r.Subject = p.string(), p.string()
	salt, sealed := p.string(), p.string()
	group, delivery := int(packed[at.Group.at]), len(packed)-len(p.rest)
	nonces, begin := int(at.Nonces.get(packed)), int(at.Tokens.get(packed))
	if p.bad || group > maxGroup || int(at.Delivery.get(packed)) != delivery || nonces < delivery ||
		begin < nonces || begin > len(packed) {
		return nil, "", errRecord
	}
	r.Group = packed[at.Group.at+1:][:group]
	own := make([]byte, 0, len(salt)+len(sealed)+nonces-delivery)
	r.Salt, own = cut(append(own, salt...))
	r.Sealed, own = cut(append(own, sealed...))
	r.Delivery, _ = cut(append(own, packed[delivery:nonces]...))
	tokens = packed[begin:]
	if closing := len(tokens) - closingLayout.Token.end(); len(tokens)%tokenLen == 1 && closing >= 0 {
		r.Outcome = store.Outcome(tokens[closing])
		tokens = tokens[:closing]
	}
	if len(tokens)%tokenLen != 0 {
		return nil, "", errRecord
	}
	r.Attempts = len(tokens) / tokenLen
	return r, tokens, nil
}

// attemptOf returns the number of the attempt charged for t, from 1.
func attemptOf(tokens string, t store.Token) (n int) {
	for n = 1; len(tokens) > tokenLen && tokenAt(tokens) != t; n++ {
		tokens = tokens[tokenLen:]
	}
	return n
}

func tokenAt(s string) store.Token { return store.Token(binary.BigEndian.Uint64([]byte(s[:tokenLen]))) }

// cut returns the bytes of b, nil if there are none, and the free memory behind them.
func cut(b []byte) (part, free []byte) {
	n := len(b)
	if n > 0 {
		part = b[:n:n]
	}
	return part, b[n:]
}
