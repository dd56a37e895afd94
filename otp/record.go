package otp

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/store"
)

// A challenge id is three characters of bucket, "-" and 120 bits, random or
// from an idempotency key, in lower-case base32. The bucket is 14 bits of the
// subject's hash: a backend keeps what belongs to one subject together by it.
const (
	bucketLen = 3
	idLen     = bucketLen + 1 + 24
)

var idEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// subjectTag names a subject in the store.
func (k keys) subjectTag(subject string) string {
	sum := k.index.begin("subject").text(subject).end()
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// limitKey names what is limited, scope "phone" or "ip" say, and its span.
func (k keys) limitKey(scope, what string, per time.Duration) string {
	sum := k.index.begin("limit").text(scope).text(what).end()
	return scope + "/" + per.String() + "/" + base64.RawURLEncoding.EncodeToString(sum[:16])
}

// newID returns an id in the subject's bucket, drawn at random or, where the
// request carries an idempotency key, from that.
func (k keys) newID(tag, purpose, idempotency string) string {
	var unique [15]byte
	if idempotency == "" {
		_, _ = rand.Read(unique[:]) // never fails, see crypto/rand
	} else {
		sum := k.index.begin("idempotency").text(tag).text(purpose).text(idempotency).end()
		copy(unique[:], sum[:])
	}
	bucket := sha256.Sum256([]byte(tag))
	bucket[0] &= 0x3f // 14 of the 15 bits that three characters hold
	return idEncoding.EncodeToString([]byte{bucket[0]<<1 | bucket[1]>>7, bucket[1] << 1})[:bucketLen] + "-" + idEncoding.EncodeToString(unique[:])
}

func validID(id string) bool {
	if len(id) != idLen || id[bucketLen] != '-' {
		return false
	}
	for i := range len(id) {
		c := id[i]
		if i != bucketLen && (c < 'a' || c > 'z') && (c < '2' || c > '7') {
			return false
		}
	}
	return true
}

// letter is what store.Record.Sealed holds: all that the rendering of another
// message needs.
type letter struct {
	to        channel.Recipient
	purpose   string
	language  string
	details   string
	route     string // Request.Route
	requestID string
	ip        netip.Addr // Request.IP: for others to give its limits back
	binding   [32]byte
	fixed     bool // an app reviewer's: nothing is sent
}

func (l *letter) encode() []byte {
	b := append(make([]byte, 0, 160), 1)
	for _, s := range [...]string{l.to.Phone, l.to.Email, l.to.Push, l.purpose, l.language, l.details, l.route, l.requestID, string(l.ip.AsSlice())} {
		b = putString(b, s)
	}
	b = putUint(b, flag(l.fixed))
	if l.binding != noBinding {
		b = append(b, l.binding[:]...)
	}
	return b
}

func decodeLetter(b []byte) (*letter, error) {
	r := reader{b: b}
	version := r.uint()
	l := &letter{}
	for _, s := range [...]*string{&l.to.Phone, &l.to.Email, &l.to.Push, &l.purpose, &l.language, &l.details, &l.route, &l.requestID} {
		*s = r.string()
	}
	l.ip, _ = netip.AddrFromSlice(r.bytes())
	l.fixed = r.uint() == 1
	l.binding = noBinding
	if len(r.b) == len(l.binding) {
		copy(l.binding[:], r.b)
		r.b = nil
	}
	if version != 1 {
		r.bad = true
	}
	return l, r.err()
}

// noBinding is the hash of an absent binding.
var noBinding = sha256.Sum256(nil)

func bind(binding []byte) [32]byte {
	if len(binding) == 0 {
		return noBinding
	}
	return sha256.Sum256(binding)
}

// delivery is what store.Record.Delivery holds: nothing readable about a person.
type delivery struct {
	step      int             // of the message sent last, or about to be
	by        string          // what began the step, "send", "resend", "failed", "silence"
	priority  store.Priority  // Request.Priority
	submitted bool            // the step's outcome is recorded here
	again     bool            // a repeated Send has queued the step: whoever queued it first does not end it
	lease     time.Time       // until when whoever delivers the step has it to itself; then it is dead, its message perhaps sent
	state     channel.State   // of the current step; Delivered: of any
	sends     int             // store.Record.Sends that the step belongs to
	route     string          // that took the step
	kind      channel.Address // that route's
	via       string          // the route that the last Resend forces
	providers []string        // ids of the step's parts
	got       uint64          // parts reported delivered, bit by bit
	tried     []string        // routes since the last Send or Resend
	used      channel.Address // kinds of address a message was accepted for
	invalid   channel.Address // kinds known to be wrong
	await     time.Time       // until when the step's receipt is awaited
	early     string          // the route whose failure was reported before the outcome was recorded
	request   string          // Request.RequestID or ResendRequest.RequestID of the current send, where it is not the letter's
	reached   int             // store.Record.Sends when a message was first reported delivered; 0: none was
	void      []string        // the resends that could not be queued
	older     []posted        // messages of earlier steps that may still be on their way
}

// posted is a message as its provider knows it.
type posted struct {
	step      int
	route     string
	providers []string
}

// pending returns the current step's message if it may still be on its way.
func (d *delivery) pending() []posted {
	if !d.submitted || len(d.providers) == 0 || d.got != 0 || d.state == channel.Failed {
		return nil
	}
	return []posted{{d.step, d.route, d.providers}}
}

// refused reports whether no route took a message.
func (d *delivery) refused() bool {
	return d.submitted && d.state == channel.Failed && d.used == 0
}

// ended forgets an earlier message that has come, or will not.
func (d *delivery) ended(step int, route string) {
	d.older = slices.DeleteFunc(d.older, func(p posted) bool { return p.step == step && p.route == route })
}

// arrived notes that a message has come; sends is store.Record.Sends.
func (d *delivery) arrived(sends int) {
	d.state = channel.Delivered
	if d.reached == 0 {
		d.reached = sends
	}
}

func (d *delivery) encode() []byte {
	b := make([]byte, 0, 64)
	b = putUint(b, 1)
	for _, n := range [...]uint64{uint64(d.step), uint64(d.priority - store.Low), flag(d.submitted), flag(d.again), uint64(d.state), uint64(d.sends), uint64(d.kind), d.got, uint64(d.used), uint64(d.invalid), millis(d.await), millis(d.lease), uint64(d.reached)} {
		b = putUint(b, n)
	}
	for _, s := range [...]string{d.by, d.route, d.via, d.early, d.request} {
		b = putString(b, s)
	}
	b = putUint(putStrings(putStrings(putStrings(b, d.providers), d.tried), d.void), uint64(len(d.older)))
	for _, p := range d.older {
		b = putStrings(putString(putUint(b, uint64(p.step)), p.route), p.providers)
	}
	return b
}

func decodeDelivery(b []byte) (*delivery, error) {
	r := reader{b: b}
	if r.uint() != 1 {
		return nil, errCodec
	}
	d := &delivery{step: int(r.uint()), priority: store.Low + store.Priority(r.uint()), submitted: r.uint() == 1, again: r.uint() == 1, state: channel.State(r.uint()), sends: int(r.uint()),
		kind: channel.Address(r.uint()), got: r.uint(), used: channel.Address(r.uint()), invalid: channel.Address(r.uint())}
	d.await, d.lease, d.reached = fromMillis(r.uint()), fromMillis(r.uint()), int(r.uint())
	d.by, d.route, d.via, d.early, d.request = r.string(), r.string(), r.string(), r.string(), r.string()
	d.providers, d.tried, d.void = r.strings(), r.strings(), r.strings()
	for n := r.uint(); n > 0 && !r.bad; n-- {
		d.older = append(d.older, posted{int(r.uint()), r.string(), r.strings()})
	}
	return d, r.err()
}

func millis(t time.Time) uint64 {
	if t.IsZero() {
		return 0
	}
	return uint64(max(t.UnixMilli(), 0))
}

func fromMillis(ms uint64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(ms))
}

// stepName is unique to a step of this record: an idempotency key that is used
// again after its challenge has expired gives the same id, but another salt.
func stepName(r *store.Record, step int) string {
	sum := sha256.Sum256(r.Salt)
	return strconv.Itoa(step) + "-" + idEncoding.EncodeToString(sum[:2])[:3]
}

// jobID names a cause: the same cause, seen by two processes, is one job.
func jobID(r *store.Record, step int, cause string) string {
	return r.ID + "/" + stepName(r, step) + "/" + cause
}

// cause returns the last part of a job's ID.
func cause(j store.Job) string {
	return j.ID[strings.LastIndexByte(j.ID, '/')+1:]
}
