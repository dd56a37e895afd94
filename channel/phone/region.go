package phone

import (
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// world is the library's region of the numbers that belong to no country.
const world = "001"

// Region returns the country of a number that Parse returned, as Number.Region
// has it, for those who have only the E.164 form at hand; false where there is
// none. It costs a fraction of Parse because it does not validate: of a string
// that Parse would refuse it may name a country too.
func Region(e164 string) (string, bool) {
	code, national := split(e164)
	switch regions := phonenumbers.GetRegionCodesForCountryCode(int(code)); len(regions) {
	case 0:
		return "", false
	case 1:
		return regions[0], regions[0] != world
	}
	region := phonenumbers.GetRegionCodeForNumber(assemble(code, national))
	return region, region != ""
}

// split cuts an E.164 number into its calling code, which is 0 if there is
// none, and the national number. No calling code is the beginning of another.
func split(e164 string) (code int32, national string) {
	if len(e164) < 2 || len(e164) > 16 || e164[0] != '+' {
		return 0, ""
	}
	digits := e164[1:]
	for _, d := range []byte(digits) {
		if d < '0' || d > '9' {
			return 0, ""
		}
	}
	for i := range min(3, len(digits)) {
		code = 10*code + int32(digits[i]-'0')
		if len(phonenumbers.GetRegionCodesForCountryCode(int(code))) > 0 {
			return code, digits[i+1:]
		}
	}
	return 0, ""
}

// assemble is the number as the library's Parse would return it, where leading
// zeros are counted apart.
func assemble(code int32, national string) *phonenumbers.PhoneNumber {
	var value uint64
	var zeros int32
	for _, d := range []byte(national) {
		if value == 0 && d == '0' {
			zeros++
		}
		value = 10*value + uint64(d-'0')
	}
	zeros = min(zeros, int32(max(0, len(national)-1))) // of nothing but zeros the last is the value
	n := &phonenumbers.PhoneNumber{CountryCode: &code, NationalNumber: &value}
	if zeros > 0 {
		n.ItalianLeadingZero = new(true)
		n.NumberOfLeadingZeros = &zeros
	}
	return n
}

// ValidRegion reports whether region is an ISO 3166-1 alpha-2 code, in either
// case, of a country that has phone numbers. The United Kingdom is "GB".
func ValidRegion(region string) bool {
	return phonenumbers.GetCountryCodeForRegion(strings.ToUpper(region)) != 0
}
