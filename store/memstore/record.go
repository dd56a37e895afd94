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

// A challenge is a packed store.Record, without its ID, which the caller has. A
// usual record takes 300 bytes: 96 here, 9 in the table, and one blob.
type challenge struct {
	link[challenge]
	policy   *policy
	blob     string // see pack
	created  int64
	calls    *call // the latest: the Finish if finished, then each charged Attempt
	revision uint64
	attempts uint32
	outcome  store.Outcome
	finished bool // by Finish, not by CancelAll
}

// A call is a call that changed a challenge.
type call struct {
	before *call
	token  store.Token
}

// charged returns the number of the attempt charged for t, or 0.
func (c *challenge) charged(t store.Token) int {
	attempt := c.calls
	if c.finished {
		attempt = attempt.before
	}
	n := int(c.attempts)
	for ; n > 0 && attempt.token != t; n-- {
		attempt = attempt.before
	}
	return n
}

// A policy holds the fields that many records share.
type policy struct {
	key         string
	newCode     bool
	maxAttempts int
	maxFailures int
	lock        time.Duration
	maxRun      int
	runLife     time.Duration
}

// check refuses a record that cannot be stored.
func check(r *store.Record) error {
	switch {
	case r.ID == "":
		return errors.New("memstore: record without ID")
	case int64(max(r.MaxAttempts, r.MaxFailures)) > math.MaxUint32:
		return fmt.Errorf("memstore: MaxAttempts %d or MaxFailures %d over 2^32-1", r.MaxAttempts, r.MaxFailures)
	case r.MaxRun > math.MaxUint16:
		return fmt.Errorf("memstore: MaxRun %d over 2^16-1", r.MaxRun)
	case len(r.Group) > maxGroup:
		return fmt.Errorf("memstore: Group of %d octets, over %d", len(r.Group), maxGroup)
	case !instant(nanos(r.Created)).Equal(r.Created), !instant(nanos(r.Expires)).Equal(r.Expires):
		return errors.New("memstore: Created or Expires outside the years 1678 to 2262")
	}
	return nil
}

// pack returns the parts of variable length as one string: the lengths of subject,
// group, salt and sealed as varints; these four; delivery.
//
// It has no version, because the string never leaves the process.
func pack(subject, group string, salt, sealed, delivery []byte) string {
	var lengths [4 * binary.MaxVarintLen64]byte
	l := lengths[:0]
	for _, n := range [...]int{len(subject), len(group), len(salt), len(sealed)} {
		l = binary.AppendUvarint(l, uint64(n))
	}
	var b strings.Builder
	b.Grow(len(l) + len(subject) + len(group) + len(salt) + len(sealed) + len(delivery))
	b.Write(l)
	b.WriteString(subject)
	b.WriteString(group)
	b.Write(salt)
	b.Write(sealed)
	b.Write(delivery)
	return b.String()
}

// unpack returns the parts of a packed string.
func unpack(blob string) (subject, group, salt, sealed, delivery string) {
	var lengths [4]int
	for i := range lengths {
		shift := 0
		for more := true; more; shift += 7 {
			lengths[i] |= int(blob[0]&0x7f) << shift
			more = blob[0]&0x80 != 0
			blob = blob[1:]
		}
	}
	subject, blob = blob[:lengths[0]], blob[lengths[0]:]
	group, blob = blob[:lengths[1]], blob[lengths[1]:]
	salt, blob = blob[:lengths[2]], blob[lengths[2]:]
	sealed, delivery = blob[:lengths[3]], blob[lengths[3]:]
	return subject, group, salt, sealed, delivery
}

// setDelivery replaces the last part of the blob.
func (c *challenge) setDelivery(delivery []byte) {
	_, _, _, _, old := unpack(c.blob)
	head := c.blob[:len(c.blob)-len(old)]
	var b strings.Builder
	b.Grow(len(head) + len(delivery))
	b.WriteString(head)
	b.Write(delivery)
	c.blob = b.String()
}

// record returns c as a record of the caller's own. An empty part is nil.
func (c *challenge) record(id string, lockedUntil int64) *store.Record {
	subject, group, salt, sealed, delivery := unpack(c.blob)
	own := []byte(c.blob[len(c.blob)-len(salt)-len(sealed)-len(delivery):])
	part := func(n int) []byte {
		p := own[:n:n] // an append to one part must not change the next
		if own = own[n:]; n == 0 {
			return nil
		}
		return p
	}
	p := c.policy
	return &store.Record{
		ID: id, Subject: subject, Group: group, Key: p.key,
		Salt: part(len(salt)), Sealed: part(len(sealed)), Delivery: part(len(delivery)),
		Created: instant(c.created), Expires: instant(c.expires),
		NewCode:     p.newCode,
		MaxAttempts: p.maxAttempts, MaxFailures: p.maxFailures,
		Lock:   p.lock,
		MaxRun: p.maxRun, RunLife: p.runLife,
		Attempts: int(c.attempts), Outcome: c.outcome,
		LockedUntil: instant(lockedUntil),
		Revision:    c.revision,
	}
}

// maxGroup is the longest Record.Group, in octets.
const maxGroup = 16

// maxPolicies is the largest number of policies to search for an equal one. Beyond
// it, the list begins anew, so that today's policies are shared however many keys
// came and went. A record keeps its policy.
const maxPolicies = 64

// policies are shared by records with equal ones.
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
		lock: r.Lock, maxRun: r.MaxRun, runLife: r.RunLife,
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
			p.maxFailures == r.MaxFailures && p.lock == r.Lock && p.maxRun == r.MaxRun && p.runLife == r.RunLife {
			return p
		}
	}
	return nil
}
