package smtp

import (
	"hash/maphash"
	"slices"
	"strings"
	"sync"
)

// A suspicion collects refusals that may be about a recipient or about us: for
// example, 550 means "no such user" as well as "relay not permitted". The
// refusal of one person's message shows nothing about us. The same refusal of
// several people's messages does, if the relay accepts no message meanwhile.
//
// It is safe for concurrent use.
type suspicion struct {
	mu       sync.Mutex
	refusals map[refusal]*recipients
}

// A refusal is a reply in a phase, in the form for comparing refusals.
type refusal struct {
	reply
	content bool // of the message's content, after the relay accepted the recipient
}

const (
	maxSuspicions = 16 // kinds of refusal that are counted
	fewPeople     = 3  // of two domains or more: their refusal is about us
	manyPeople    = 5  // of one domain: an operator may refuse a domain, and one person can invent addresses
	fewDomains    = 3  // for refusals of an address's form, which anybody can type
)

// refused counts the refusal of a message to a recipient, and reports whether it
// is about us.
func (s *suspicion) refused(r reply, p phase, to string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p != phaseRcpt {
		s.clear(false)
	}
	key := refusal{r, p != phaseRcpt}
	whom := s.refusals[key]
	if whom == nil {
		if len(s.refusals) >= maxSuspicions {
			clear(s.refusals)
		}
		if s.refusals == nil {
			s.refusals = map[refusal]*recipients{}
		}
		whom = &recipients{}
		s.refusals[key] = whom
	}
	whom.add(to)
	if p == phaseRcpt && r.aboutSyntax() {
		return whom.places() >= fewDomains
	}
	return whom.people() >= manyPeople || whom.people() >= fewPeople && whom.places() > 1
}

// accepted notes that the relay accepted a message.
func (s *suspicion) accepted() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clear(true)
}

// clear forgets the refusals of recipients, and those of content if that is set.
func (s *suspicion) clear(content bool) {
	for key := range s.refusals {
		if content || !key.content {
			delete(s.refusals, key)
		}
	}
}

// recipients counts different recipients and their domains, up to manyPeople. It
// keeps no address.
type recipients struct{ hashes, domains []uint64 }

// seed hashes addresses, so that none is kept.
var seed = maphash.MakeSeed()

func (r *recipients) add(address string) {
	address = strings.ToLower(address)
	_, domain, _ := strings.Cut(address, "@")
	r.hashes = addNew(r.hashes, maphash.String(seed, address))
	r.domains = addNew(r.domains, maphash.String(seed, domain))
}

func addNew(all []uint64, one uint64) []uint64 {
	if len(all) >= manyPeople || slices.Contains(all, one) {
		return all
	}
	return append(all, one)
}

func (r *recipients) people() int { return len(r.hashes) }

func (r *recipients) places() int { return len(r.domains) }

func (r *recipients) clear() { r.hashes, r.domains = r.hashes[:0], r.domains[:0] }
