package phone

import (
	"regexp"
	"strings"
)

// The calling codes of countries with rules of their own.
const (
	northAmerica  = 1
	unitedKingdom = 44
	mexico        = 52
	argentina     = 54
	miquelon      = 508
)

// Numbers that are as long as others of their country and are never assigned.
var (
	// Area code and exchange begin with 2 to 9. N11 are services, N9X is held
	// back to make numbers longer (ATIS-0300051, ATIS-0300055), and 555 is no
	// area code.
	northAmerican = regexp.MustCompile(`^[2-9](?:[02-8][0-9]|1[02-9])[2-9][0-9]{6}$`)
	// Ofcom keeps 07700 900000 to 900999 for film and television.
	fictional = regexp.MustCompile(`^7700900`)
)

// possible returns 0 if a number in no known range may be in one that is newer
// than the metadata: it is as long as a mobile number of the region.
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

// mexicanMobile are the ways to dial a mobile number in Mexico, and from abroad
// with a 1, that ended in 2019 and live on in address books and at WhatsApp.
var mexicanMobile = regexp.MustCompile(`^(?:0?1|04[45])([2-9][0-9]{9})$`)

func withoutMobilePrefix(r reading, national string) reading {
	if m := mexicanMobile.FindStringSubmatch(national); m != nil {
		return judge(mexico, m[1])
	}
	return r
}

// mobileInArgentina returns the mobile number that r may be. From abroad a
// mobile number has a 9 before its area code, which nobody writes within the
// country. Without it the number looks like a landline, which can receive no
// text message. Some write both the 9 and the 15 that stands for it in calls
// from a landline.
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
// number is dialled as 0 and nine digits, which are assigned once; the calling
// code of its territory is needed from other countries only. Numbers of Saint
// Pierre and Miquelon have six digits, and 0508 in front within the plan.
var french = []int{33, 262, miquelon, 590, 594, 596}

// anywhereInFrance returns the number that nine digits are at another calling
// code of the plan, if r is in no known range. If they were dialled without a
// calling code, it is enough that r can receive no text message and the other
// can.
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
