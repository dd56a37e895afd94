package phone

import (
	"regexp"
	"strings"
)

// The calling codes of countries with special rules.
const (
	northAmerica  = 1
	unitedKingdom = 44
	mexico        = 52
	argentina     = 54
	miquelon      = 508
)

// Numbers of the right length that are never assigned.
var (
	// Area code and exchange begin with 2 to 9. N11 numbers are services, N9X
	// is reserved for longer numbers (ATIS-0300051, ATIS-0300055), and 555 is
	// no area code.
	northAmerican = regexp.MustCompile(`^[2-9](?:[02-8][0-9]|1[02-9])[2-9][0-9]{6}$`)
	// Ofcom keeps 07700 900000 to 900999 for film and television.
	fictional = regexp.MustCompile(`^7700900`)
)

// possible returns 0 if a number in no known range may belong to a newer range
// than the metadata has. The number must be as long as a mobile number of the
// region.
func (p *plan) possible(code int, national string) Reason {
	switch {
	case p.region == world, !fits(p.general.lengths, national),
		strings.HasPrefix(national, "0") && !p.general.have(national),
		code == northAmerica && (!northAmerican.MatchString(national) || strings.HasPrefix(national, "555")),
		code == unitedKingdom && fictional.MatchString(national):
		return Invalid
	case !fits(p.mobile.lengths, national):
		return UnknownRange
	}
	return 0
}

// mexicanMobile matches the prefixes of a mobile number in Mexico, and from
// abroad with a 1. They ended in 2019, but address books and WhatsApp still
// have them.
var mexicanMobile = regexp.MustCompile(`^(?:0?1|04[45])([2-9][0-9]{9})$`)

func withoutMobilePrefix(r reading, national string) reading {
	if m := mexicanMobile.FindStringSubmatch(national); m != nil {
		return judge(mexico, m[1])
	}
	return r
}

// mobileInArgentina returns the mobile number that r may be. From abroad a
// mobile number has a 9 before its area code, which nobody writes within the
// country. Without the 9 the number looks like a landline, which can receive no
// text message. Some people write both the 9 and the 15, which replaces it in
// calls from a landline.
func mobileInArgentina(r reading, national string) reading {
	switch {
	case r.Type == FixedLine:
		if mobile := judge(argentina, "9"+national); mobile.rank() == sms {
			return mobile
		}
	case r.reason != 0 && len(national) == 13 && national[0] == '9':
		return parse("+54"+national[1:], "")
	}
	return r
}

// french are the calling codes of the French numbering plan. Within the plan a
// number is dialled as 0 and nine digits. The nine digits are assigned once, so
// only calls from other countries need the calling code of the territory.
// Numbers of Saint Pierre and Miquelon have six digits; within the plan 0508
// stands before them.
var french = []int{33, 262, miquelon, 590, 594, 596}

// anywhereInFrance looks for nine digits at the other calling codes of the
// plan, if r is in no known range. If the digits were dialled without a calling
// code, it also looks if r is in a known range without text messages. It
// prefers a number of higher rank.
func anywhereInFrance(r reading, nine string, local bool) reading {
	if len(nine) != 9 || r.rank() == sms || r.rank() == noSMS && !local {
		return r
	}
	for _, code := range french {
		national := nine
		if code == miquelon {
			national = strings.TrimPrefix(nine, "508")
		}
		if other := judge(code, national); other.rank() > max(r.rank(), unknownRange) {
			return other
		}
	}
	return r
}
