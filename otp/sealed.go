package otp

import (
	"crypto/sha256"
	"encoding/binary"
	"net/netip"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/phone"
	"github.com/otpcourier/otpcourier/store"
)

// A sealedRequest is the content of store.Record.Sealed: all of a Request that
// the rendering of another message needs.
type sealedRequest struct {
	tenant    string
	to        channel.Recipient
	region    string // of the phone number
	purpose   string
	language  string
	details   string
	route     string // Request.Route
	requestID string
	reference string
	ip        netip.Addr // Request.IP, so that another process can refund its limits
	priority  store.Priority
	binding   [32]byte
	fixed     bool // an app reviewer's: nothing is sent
	known     bool // Request.Known
	proven    bool // Request.Proven
	decoy     bool // Request.Decoy: nothing is sent

	number phone.Number // to.Phone as it was parsed; zero: it has to be parsed again. Not stored
}

// sealedVersion is the first octet of the format. A change of it takes the next
// number; open refuses any other, and leaves the record to the program that
// wrote it. Version 2 had no known, proven and decoy.
const (
	sealedVersion  = 3
	sealedVersion2 = 2
)

// The flags of a sealed request, in its second octet.
const (
	flagFixed    = 1 << 0
	flagPriority = 3 << 1
	flagKnown    = 1 << 3
	flagProven   = 1 << 4
	flagDecoy    = 1 << 5
)

func (q *sealedRequest) strings() [11]*string {
	return [...]*string{&q.tenant, &q.to.Phone, &q.to.Email, &q.to.Push, &q.to.Chat, &q.region, &q.purpose, &q.language,
		&q.details, &q.route, &q.requestID}
}

func (q *sealedRequest) encode() []byte {
	flags := byte(q.priority-store.Low) << 1
	for _, f := range [...]struct {
		set bool
		bit byte
	}{{q.fixed, flagFixed}, {q.known, flagKnown}, {q.proven, flagProven}, {q.decoy, flagDecoy}} {
		if f.set {
			flags |= f.bit
		}
	}
	b := append(make([]byte, 0, 192), sealedVersion, flags)
	for _, s := range q.strings() {
		b = putString(b, *s)
	}
	b = putString(putString(b, q.reference), string(q.ip.AsSlice()))
	if q.binding != noBinding {
		b = append(b, q.binding[:]...)
	}
	return b
}

func decodeSealed(b []byte) (*sealedRequest, error) {
	if len(b) < 2 || b[0] != sealedVersion && b[0] != sealedVersion2 {
		return nil, errVersion
	}
	has := func(bit byte) bool { return b[1]&bit != 0 }
	q := &sealedRequest{fixed: has(flagFixed), known: has(flagKnown), proven: has(flagProven), decoy: has(flagDecoy),
		priority: store.Low + store.Priority(b[1]&flagPriority>>1), binding: noBinding}
	b = b[2:]
	bad := false
	take := func() string {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > uint64(len(b)-size) {
			bad, b = true, nil
			return ""
		}
		s := string(b[size : size+int(n)])
		b = b[size+int(n):]
		return s
	}
	for _, s := range q.strings() {
		*s = take()
	}
	q.reference = take()
	q.ip, _ = netip.AddrFromSlice([]byte(take()))
	switch {
	case bad || len(b) != 0 && len(b) != len(q.binding):
		return nil, errVersion
	case len(b) > 0:
		copy(q.binding[:], b)
	}
	return q, nil
}

func putString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// noBinding is the hash of an absent binding.
var noBinding = sha256.Sum256(nil)

func bind(binding []byte) [32]byte {
	if len(binding) == 0 {
		return noBinding
	}
	return sha256.Sum256(binding)
}
