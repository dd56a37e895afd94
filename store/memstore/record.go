package memstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

// A challenge is a packed store.Record, without its ID, which the caller knows. With
// the 96 bytes here, 9 in the table and one blob, a usual record takes 300 bytes.
type challenge struct {
	link[challenge]
	policy   *policy
	blob     string // see pack
	created  int64
	nextSend int64
	revision uint64
	attempts uint32
	sends    uint16
	outcome  store.Outcome
}

// A policy holds the fields that many records have in common.
type policy struct {
	key         string
	newCode     bool
	maxAttempts int
	maxFailures int
	lock        time.Duration
	waits       []time.Duration
}

// check refuses a record that cannot be kept as it is.
func check(r *store.Record) error {
	switch {
	case r.ID == "":
		return errors.New("memstore: record without ID")
	case r.MaxAttempts > math.MaxUint32 || r.MaxFailures > math.MaxUint32:
		return fmt.Errorf("memstore: MaxAttempts %d or MaxFailures %d over 2^32-1", r.MaxAttempts, r.MaxFailures)
	case len(r.Waits) >= math.MaxUint16:
		return fmt.Errorf("memstore: %d Waits, over 2^16-2", len(r.Waits))
	case !instant(nanos(r.Created)).Equal(r.Created), !instant(nanos(r.Expires)).Equal(r.Expires):
		return errors.New("memstore: Created or Expires outside the years 1678 to 2262")
	}
	return nil
}

// pack returns the parts of a record that vary in length as one string: the lengths
// of subject, salt and sealed as varints; subject, salt, sealed, delivery.
//
// Version: none, as the string never leaves the process.
func pack(subject string, salt, sealed, delivery []byte) string {
	var lengths [3 * binary.MaxVarintLen64]byte
	l := lengths[:0]
	for _, n := range [...]int{len(subject), len(salt), len(sealed)} {
		l = binary.AppendUvarint(l, uint64(n))
	}
	var b strings.Builder
	b.Grow(len(l) + len(subject) + len(salt) + len(sealed) + len(delivery))
	b.Write(l)
	b.WriteString(subject)
	b.Write(salt)
	b.Write(sealed)
	b.Write(delivery)
	return b.String()
}

// unpack returns the parts of a packed string.
func unpack(blob string) (subject, salt, sealed, delivery string) {
	var lengths [3]int
	for i := range lengths {
		shift := 0
		for more := true; more; shift += 7 {
			lengths[i] |= int(blob[0]&0x7f) << shift
			more = blob[0]&0x80 != 0
			blob = blob[1:]
		}
	}
	subject, blob = blob[:lengths[0]], blob[lengths[0]:]
	salt, blob = blob[:lengths[1]], blob[lengths[1]:]
	sealed, delivery = blob[:lengths[2]], blob[lengths[2]:]
	return subject, salt, sealed, delivery
}

// setDelivery replaces the last part of the blob.
func (c *challenge) setDelivery(delivery []byte) {
	_, _, _, old := unpack(c.blob)
	head := c.blob[:len(c.blob)-len(old)]
	var b strings.Builder
	b.Grow(len(head) + len(delivery))
	b.WriteString(head)
	b.Write(delivery)
	c.blob = b.String()
}

// record returns c as the caller's own. An empty part is nil.
func (c *challenge) record(id string, lockedUntil int64) *store.Record {
	subject, salt, sealed, delivery := unpack(c.blob)
	own := []byte(c.blob[len(c.blob)-len(salt)-len(sealed)-len(delivery):])
	part := func(n int) []byte {
		p := own[:n:n] // an append to one part leaves the next alone
		if own = own[n:]; n == 0 {
			return nil
		}
		return p
	}
	p := c.policy
	r := &struct {
		store.Record
		waits [2]time.Duration // room that the allocator adds anyway
	}{Record: store.Record{
		ID: id, Subject: subject, Key: p.key,
		Salt: part(len(salt)), Sealed: part(len(sealed)), Delivery: part(len(delivery)),
		Created: instant(c.created), Expires: instant(c.expires),
		NewCode:     p.newCode,
		MaxAttempts: p.maxAttempts, MaxFailures: p.maxFailures,
		Lock:     p.lock,
		Attempts: int(c.attempts), Sends: int(c.sends),
		NextSend: instant(c.nextSend), Outcome: c.outcome,
		LockedUntil: instant(lockedUntil),
		Revision:    c.revision,
	}}
	if p.waits != nil {
		r.Waits = append(r.waits[:0], p.waits...)
	}
	return &r.Record
}

// maxPolicies is how many policies are looked through for one to share. Beyond,
// the list begins anew, so that the policies of today are shared however many
// keys came and went; a record keeps the policy that it has.
const maxPolicies = 64

// policies are shared by the records that have the same.
type policies struct {
	mu   sync.Mutex
	list atomic.Pointer[[]*policy]
}

// of returns the policy of r.
func (ps *policies) of(r *store.Record) *policy {
	if p := ps.find(r); p != nil {
		return p
	}
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if p := ps.find(r); p != nil {
		return p
	}
	p := &policy{
		key: strings.Clone(r.Key), newCode: r.NewCode,
		maxAttempts: r.MaxAttempts, maxFailures: r.MaxFailures,
		lock: r.Lock, waits: slices.Clone(r.Waits),
	}
	var list []*policy
	if old := ps.list.Load(); old != nil && len(*old) < maxPolicies {
		list = slices.Clip(*old) // readers hold it: append copies
	}
	list = append(list, p)
	ps.list.Store(&list)
	return p
}

func (ps *policies) find(r *store.Record) *policy {
	list := ps.list.Load()
	if list == nil {
		return nil
	}
	for _, p := range *list {
		if p.key == r.Key && p.newCode == r.NewCode && p.maxAttempts == r.MaxAttempts &&
			p.maxFailures == r.MaxFailures && p.lock == r.Lock && slices.Equal(p.waits, r.Waits) {
			return p
		}
	}
	return nil
}
