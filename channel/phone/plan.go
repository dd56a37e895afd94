package phone

import (
	"sync"
	"sync/atomic"

	"github.com/nyaruka/phonenumbers"
)

// A numbering is the numbering plan of a calling code: the plans of the regions
// that share it, the main one first.
type numbering struct {
	plans []*plan
	trunk *prefix // that may be dialled before a national number; nil: none
}

// A plan is the numbering plan of a region, as libphonenumber's metadata has
// it.
type plan struct {
	region  string
	leading *prefix // if not nil, it matches the numbers of the region
	general ranges
	special []ranges // the types that take precedence, in their order
	fixed   ranges
	mobile  ranges
	alike   bool // fixed lines and mobiles have the same ranges
}

// ranges are the numbers of a type.
type ranges struct {
	kind    Type
	lengths uint32          // as bits
	pattern func() *matcher // compiles the pattern at first use; nil if there are no such numbers
}

// numberings caches the numbering of each calling code. Two goroutines may make
// the same numbering at once, which does no harm.
var numberings [1000]atomic.Pointer[numbering]

// numberingOf returns the numbering of a calling code, nil if there is none.
func numberingOf(code int) *numbering {
	if code <= 0 || code >= len(numberings) {
		return nil
	}
	if n := numberings[code].Load(); n != nil {
		return n
	}
	regions := phonenumbers.GetRegionCodesForCountryCode(code)
	if len(regions) == 0 {
		return nil
	}
	n := &numbering{}
	for _, region := range regions {
		metadata := metadataOf(code, region)
		if metadata == nil {
			continue
		}
		if p := metadata.GetNationalPrefixForParsing(); len(n.plans) == 0 && p != "" {
			n.trunk = newPrefix(p)
		}
		n.plans = append(n.plans, newPlan(region, metadata))
	}
	if len(n.plans) == 0 {
		return nil
	}
	numberings[code].Store(n)
	return n
}

// metadataOf returns the library's metadata of a region. The library's region
// for no country occurs once for each of its calling codes.
func metadataOf(code int, region string) *phonenumbers.PhoneMetadata {
	collection, err := phonenumbers.MetadataCollection()
	if err != nil {
		return nil // impossible: the library has read it when the program began
	}
	for _, m := range collection.GetMetadata() {
		if m.GetId() == region && int(m.GetCountryCode()) == code {
			return m
		}
	}
	return nil
}

func newPlan(region string, m *phonenumbers.PhoneMetadata) *plan {
	p := &plan{
		region:  region,
		general: newRanges(0, m.GetGeneralDesc()),
		fixed:   newRanges(FixedLine, m.GetFixedLine()),
		mobile:  newRanges(Mobile, m.GetMobile()),
		alike:   m.GetSameMobileAndFixedLinePattern(),
	}
	if leading := m.GetLeadingDigits(); leading != "" {
		p.leading = newPrefix(leading)
	}
	for _, r := range []ranges{
		newRanges(Premium, m.GetPremiumRate()),
		newRanges(TollFree, m.GetTollFree()),
		newRanges(SharedCost, m.GetSharedCost()),
		newRanges(VoIP, m.GetVoip()),
		newRanges(Personal, m.GetPersonalNumber()),
		newRanges(Pager, m.GetPager()),
		newRanges(UAN, m.GetUan()),
		newRanges(Voicemail, m.GetVoicemail()),
	} {
		if r.pattern != nil {
			p.special = append(p.special, r)
		}
	}
	return p
}

// newRanges reads a description. A description without lengths has the lengths
// of the general description. A description without a pattern means that the
// type does not exist.
func newRanges(kind Type, d *phonenumbers.PhoneNumberDesc) ranges {
	r := ranges{kind: kind}
	p := d.GetNationalNumberPattern()
	if p == "" {
		return r
	}
	r.pattern = sync.OnceValue(func() *matcher { return newMatcher(p) })
	for _, length := range d.GetPossibleLength() {
		r.lengths |= 1 << max(0, length)
	}
	if r.lengths == 0 {
		r.lengths = ^uint32(0)
	}
	return r
}

func (r *ranges) have(national string) bool {
	return r.pattern != nil && fits(r.lengths, national) && r.pattern().whole(national)
}

func fits(lengths uint32, national string) bool { return lengths>>len(national)&1 == 1 }

// typeOf returns the type of a national number, 0 if it is in no range. It
// checks the types in libphonenumber's order.
func (p *plan) typeOf(national string) Type {
	if !p.general.have(national) {
		return 0
	}
	for i := range p.special {
		if p.special[i].have(national) {
			return p.special[i].kind
		}
	}
	switch fixed := p.fixed.have(national); {
	case fixed && (p.alike || p.mobile.have(national)):
		return FixedLineOrMobile
	case fixed:
		return FixedLine
	case !p.alike && p.mobile.have(national):
		return Mobile
	}
	return 0
}

// find returns the plan of a national number and the number's type there, or 0
// if it is in no range. The plan is nil if the region cannot be told.
func (n *numbering) find(national string) (*plan, Type) {
	for _, p := range n.plans {
		switch {
		case len(n.plans) == 1 || p.leading != nil && p.leading.matches(national):
			return p, p.typeOf(national)
		case p.leading != nil:
		default:
			if t := p.typeOf(national); t != 0 {
				return p, t
			}
		}
	}
	return nil, 0
}

// hasTrunk reports whether a national number seems to begin with a trunk
// prefix, which an E.164 number must not have.
func (n *numbering) hasTrunk(national string) bool {
	return n.trunk != nil && n.trunk.cuts(national)
}
