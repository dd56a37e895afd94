package phone

import (
	"log/slog"
	"strings"
)

// Number is a telephone number.
type Number struct {
	E164   string // "+" and at most 15 digits
	Region string // ISO 3166-1 alpha-2, and AC, TA and XK for Ascension, Tristan da Cunha and Kosovo
	Type   Type

	// UnknownRange is set if the number is in no range of the metadata, and as
	// long as a mobile number. Its range may be newer than the metadata. Type
	// is then the type of the mobile numbers in Region. If several regions
	// share the calling code, Region may be wrong.
	UnknownRange bool
}

// String shows the region and the type; the number itself stays out of logs.
func (n Number) String() string { return "phone.Number(" + n.Region + " " + n.Type.String() + ")" }

// GoString is String.
func (n Number) GoString() string { return n.String() }

// LogValue shows the region and the type.
func (n Number) LogValue() slog.Value {
	return slog.GroupValue(slog.String("region", n.Region), slog.String("type", n.Type.String()))
}

// Parse reads a number in international form ("+44 7912 345678") or as a person
// dials it in defaultRegion ("07912 345678", or "0044…"). defaultRegion must be
// an ISO 3166-1 alpha-2 code in either case, or empty. If it is empty, the
// number needs its "+".
//
// A number must have 4 to 32 characters: digits of any script, spaces, tabs, and
// dashes, dots, slashes, tildes, parentheses and brackets in all the forms that
// keyboards and word processors produce. Invisible characters, and quotes around the
// number, are dropped: they come with numbers that people copy. Letters are refused,
// as in "1-800-FLOWERS". A tel URI (RFC 3966) is read too. Its phone-context completes
// a local number, and its ext is an extension; other parameters are ignored.
//
// A number without a plus is read as it is dialled in the default region:
//
//   - in national form, with or without the trunk prefix: 07912 345678
//   - in international form, after the prefix of the region (011 in the US) or, in
//     every region, after 00. 00 and the region's own calling code never mean another
//     country.
//   - in international form without a prefix, if it has the calling code of the
//     region: 491622897306 in Germany
//
// If the digits can be read as two numbers, a number in a known range takes
// precedence. If both are in known ranges, a number that can receive a text message
// does. If both can receive one, the error is [Ambiguous]: ask for the plus. For
// example, 0081 90 1234 5678 in South Korea is a number of Japan, and also a number of
// the United States, called over the carrier 008.
//
// Some countries write a number in more than one way. Parse reads them all:
//
//   - Argentina: a mobile number has a 9 before its area code, 15 after it, or
//     neither. E164 has the 9. A landline looks like a mobile number without its
//     9, and is read as one.
//   - Mexico: until 2019, mobile numbers had a 1 after the calling code, or 01, 044 or
//     045 before the number. E164 has none of them.
//   - France: 0692 11 22 33 is a number of Réunion, +262 692112233, also after the
//     calling code of another part of the country.
//
// Parse returns numbers of every type; [Type.SMS] reports which of them receive
// text messages. If regions share their numbers (Svalbard and Norway), Region
// is the larger region.
//
// Parse refuses a number with an extension, and a number that belongs to no
// country (+800, satellite phones). It also refuses a number in no known range,
// unless the number is as long as a mobile number; see [Number.UnknownRange].
func Parse(input, defaultRegion string) (Number, error) {
	w, ok := clean(input)
	if !ok {
		return Number{}, &Error{Reason: Malformed}
	}
	r := read(w.number, strings.ToUpper(defaultRegion))
	if w.extension {
		r.reason = extension(r.reason)
	}
	if r.reason != 0 {
		return Number{}, &Error{Reason: r.reason}
	}
	return r.Number, nil
}

// extension returns the reason to refuse a number with an extension; reason is
// the result for the number without it. If there is no number, there is no
// extension.
func extension(reason Reason) Reason {
	switch reason {
	case Invalid:
		return Malformed
	case UnknownRegion:
		return UnknownRegion
	}
	return Extension
}

// Reason says why a number was refused.
type Reason uint8

// The reasons.
const (
	Malformed     Reason = iota + 1 // wrong characters, or too few or too many of them
	Extension                       // an extension, which no text message reaches
	MissingRegion                   // a national number and no default region
	UnknownRegion                   // the default region is not an ISO 3166-1 code of a country with phone numbers
	Invalid                         // no number of its country
	UnknownRange                    // possible, but in no known range; see Number.UnknownRange
	Ambiguous                       // the digits can be read as two numbers: ask for the "+"
	NonGeographic                   // a number of no country, as +800
)

var reasons = [...]string{
	Malformed:     "malformed number",
	Extension:     "number has an extension",
	MissingRegion: "number does not begin with + and there is no default region",
	UnknownRegion: "unknown default region",
	Invalid:       "no valid number",
	UnknownRange:  "possible number, but in no known range",
	Ambiguous:     "number can be read in two ways: write it with + and the country code",
	NonGeographic: "number belongs to no country",
}

func (r Reason) String() string {
	if r == 0 || int(r) >= len(reasons) {
		return "unknown reason"
	}
	return reasons[r]
}

// Error is the type of every error of this package. It never holds the number.
type Error struct{ Reason Reason }

func (e *Error) Error() string { return "phone: " + e.Reason.String() }
