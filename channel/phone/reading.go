package phone

import (
	"slices"
	"strconv"
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// A reading is one number that the digits of an input may mean, or the reason
// why they mean none.
type reading struct {
	Number
	reason Reason
}

// The ranks of readings, from the least.
const (
	refused = iota
	unknownRange
	noSMS // in a known range without text messages
	sms
)

func (r *reading) rank() int {
	switch {
	case r.reason != 0:
		return refused
	case r.UnknownRange:
		return unknownRange
	case r.Type.SMS():
		return sms
	}
	return noSMS
}

// read reads digits, with or without a plus.
func read(number, region string) reading {
	switch {
	case region != "" && !ValidRegion(region):
		return reading{reason: UnknownRegion}
	case strings.HasPrefix(number, "+00"): // no calling code begins with 0
		return readInternational("+"+number[3:], region)
	case number != "" && number[0] == '+':
		return readInternational(number, region)
	case region == "":
		return reading{reason: MissingRegion}
	}
	return readNational(number, region)
}

// readInternational reads a number that begins with a plus. Unless it may have
// a trunk prefix, as in "+44 (0)7912 345678", there is nothing to parse.
func readInternational(number, region string) reading {
	code, national := split(number)
	n := numberingOf(code)
	switch {
	case n == nil:
		return parse(number, region)
	case !n.hasTrunk(national):
		return identify(code, national, false)
	}
	r := parse(number, region)
	if _, t := n.find(national); r.UnknownRange && t != 0 {
		return reading{reason: Invalid} // the parser mistook a digit of the number for a trunk prefix
	}
	return r
}

// readNational reads a number as dialled in a region, as dialled abroad with 00
// before it, and with the calling code of the region but without a plus. 00 and
// the calling code of the region never mean another country, although they may
// be a carrier's prefix there (0055 in Brazil).
func readNational(digits, region string) reading {
	own := strconv.Itoa(CallingCode(region))
	dialled := parse(digits, region)
	readings := []reading{dialled}
	if rest, ok := strings.CutPrefix(digits, "00"); ok {
		abroad := readInternational("+"+rest, "")
		if strings.HasPrefix(rest, own) {
			switch {
			case abroad.rank() > unknownRange:
				return abroad
			case dialled.rank() != refused && !strings.HasPrefix(dialled.E164, "+"+own):
				return reading{reason: Ambiguous}
			}
		}
		readings = append(readings, abroad)
	}
	if strings.HasPrefix(digits, own) {
		readings = append(readings, readInternational("+"+digits, ""))
	}
	return choose(readings)
}

// choose returns the reading of the highest rank. If several have it, the first
// is chosen: it is libphonenumber's. But if two different numbers can receive a
// text message, the result is Ambiguous.
func choose(readings []reading) reading {
	best, ambiguous := readings[0], false
	for _, r := range readings[1:] {
		switch rank := r.rank(); {
		case rank > best.rank():
			best, ambiguous = r, false
		case rank < best.rank():
		case rank == refused && best.reason == Invalid:
			best.reason = r.reason // says more
		case (rank == sms || rank == unknownRange) && r.E164 != best.E164:
			ambiguous = true
		}
	}
	if ambiguous {
		return reading{reason: Ambiguous}
	}
	return best
}

// parse reads a number as libphonenumber does.
func parse(number, region string) reading {
	parsed, err := phonenumbers.Parse(number, region)
	if err != nil {
		return reading{reason: Invalid} // err may quote the number
	}
	national := phonenumbers.GetNationalSignificantNumber(parsed)
	return identify(int(parsed.GetCountryCode()), national, number[0] != '+')
}

// identify returns the reading of a national number, in more forms than
// libphonenumber knows for some countries. local says that the number was
// dialled without its calling code.
func identify(code int, national string, local bool) reading {
	r := judge(code, national)
	switch {
	case code == mexico:
		r = withoutMobilePrefix(r, national)
	case code == argentina:
		r = mobileInArgentina(r, national)
	case slices.Contains(french, code):
		r = anywhereInFrance(r, national, local)
	}
	if r.reason == 0 && !readsAsItself(r.E164) {
		return reading{reason: Invalid}
	}
	return r
}

// readsAsItself reports whether Parse returns number unchanged. Otherwise the
// number begins with digits like a trunk prefix: a person typed a digit too
// many, or libphonenumber cannot read the range, such as 810 in Belarus.
func readsAsItself(number string) bool {
	code, national := split(number)
	if !numberingOf(code).hasTrunk(national) {
		return true
	}
	again, err := phonenumbers.Parse(number, "")
	return err == nil && phonenumbers.Format(again, phonenumbers.E164) == number
}

// judge returns the reading of a national number at a calling code.
func judge(code int, national string) reading {
	n := numberingOf(code)
	number := "+" + strconv.Itoa(code) + national
	if n == nil || len(number) > 1+maxDigits {
		return reading{reason: Invalid}
	}
	p, t := n.find(national)
	switch {
	case t != 0 && p.region == world:
		return reading{reason: NonGeographic}
	case t != 0:
		return reading{Number: Number{E164: number, Region: p.region, Type: t}}
	}
	if p == nil {
		p = n.plans[0]
	}
	if reason := p.possible(code, national); reason != 0 {
		return reading{reason: reason}
	}
	t = Mobile
	if p.alike {
		t = FixedLineOrMobile
	}
	return reading{Number: Number{E164: number, Region: p.region, Type: t, UnknownRange: true}}
}
