package phone

import (
	"slices"
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// world is the library's region of the numbers that belong to no country.
const world = "001"

// Region returns the country of a number that Parse returned, as Number.Region
// has it, for a program that has only the E.164 form. It reports false if the
// number has no country. It does not validate, so it is much faster than Parse.
// It may name a country for a string that Parse would refuse.
func Region(e164 string) (string, bool) {
	code, national := split(e164)
	n := numberingOf(code)
	if n == nil {
		return "", false
	}
	p := n.plans[0]
	if len(n.plans) > 1 {
		p, _ = n.find(national)
	}
	if p == nil && n.plans[0].possible(code, national) == 0 {
		p = n.plans[0]
	}
	if p == nil || p.region == world {
		return "", false
	}
	return p.region, true
}

// maxDigits is the length of the longest number of E.164, calling code
// included.
const maxDigits = 15

// split cuts an E.164 number into its calling code and its national number. The
// calling code is 0 if there is none. No calling code begins another.
func split(e164 string) (code int, national string) {
	if len(e164) < 2 || len(e164) > 1+maxDigits || e164[0] != '+' {
		return 0, ""
	}
	digits := e164[1:]
	for _, d := range []byte(digits) {
		if d < '0' || d > '9' {
			return 0, ""
		}
	}
	for i := range min(3, len(digits)) {
		code = 10*code + int(digits[i]-'0')
		if numberingOf(code) != nil {
			return code, digits[i+1:]
		}
	}
	return 0, ""
}

// ValidRegion reports whether region is the ISO 3166-1 alpha-2 code, in either
// case, of a country with phone numbers. For example, the United Kingdom is
// "GB".
func ValidRegion(region string) bool { return CallingCode(region) != 0 }

// Regions returns the countries with phone numbers, as ISO 3166-1 alpha-2 codes
// in alphabetical order: the rows of a country selector.
func Regions() []string {
	var regions []string
	for region := range phonenumbers.GetSupportedRegions() {
		regions = append(regions, region)
	}
	slices.Sort(regions)
	return regions
}

// CallingCode returns the country calling code of a region, for example 44 for
// "GB", and 1 for each region of North America. It is 0 if [ValidRegion] is
// false.
func CallingCode(region string) int {
	return phonenumbers.GetCountryCodeForRegion(strings.ToUpper(region))
}

// ExampleNumber returns a typical number of a region, a mobile number if the
// metadata has one. Do not send to it: it may belong to somebody. If a region
// shares the numbers of another (Svalbard), the Number is of the other region.
// ExampleNumber reports false if [ValidRegion] is false.
func ExampleNumber(region string) (Number, bool) {
	region = strings.ToUpper(region)
	example := phonenumbers.GetExampleNumberForType(region, phonenumbers.MOBILE)
	if example == nil {
		example = phonenumbers.GetExampleNumber(region)
	}
	if example == nil {
		return Number{}, false
	}
	n, err := Parse(phonenumbers.Format(example, phonenumbers.E164), "")
	return n, err == nil
}
