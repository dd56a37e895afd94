package phone

import (
	"log/slog"
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// Number is a valid telephone number.
type Number struct {
	E164   string // "+" and at most 15 digits
	Region string // ISO 3166-1 alpha-2; AC, TA and XK stand for Ascension, Tristan da Cunha and Kosovo
	Type   Type
}

// String shows the region and the type; the number itself stays out of logs.
func (n Number) String() string { return "phone.Number(" + n.Region + " " + n.Type.String() + ")" }

// GoString is String.
func (n Number) GoString() string { return n.String() }

// LogValue shows what String does.
func (n Number) LogValue() slog.Value {
	return slog.GroupValue(slog.String("region", n.Region), slog.String("type", n.Type.String()))
}

// Parse reads a number in international form ("+44 7912 345678") or as it is
// dialled in defaultRegion ("07912 345678", or "0044…" where 00 is the
// international prefix there). defaultRegion is an ISO 3166-1 alpha-2 code in
// either case; if it is empty, the number needs its "+".
//
// Digits of every script are read, and invisible formatting characters, which
// come along when a number is copied, are dropped. Besides digits a number may
// hold spaces, dashes, dots, slashes and parentheses, 4 to 32 characters in
// all. Letters are refused: "1-800-FLOWERS" is not for machines.
//
// Numbers of every type are returned; see [Type.SMS] for those to send to. Of
// regions that share their numbers (Svalbard and Norway) Region is the larger.
// Refused are numbers with an extension, numbers that belong to no country
// (+800, satellite phones), and those in no assigned range.
func Parse(input, defaultRegion string) (Number, error) {
	text, reason := clean(input)
	if reason != 0 {
		return Number{}, &Error{Reason: reason}
	}
	region := strings.ToUpper(defaultRegion)
	switch {
	case region != "" && phonenumbers.GetCountryCodeForRegion(region) == 0:
		return Number{}, &Error{Reason: UnknownRegion}
	case region == "" && !strings.Contains(text, "+"):
		return Number{}, &Error{Reason: MissingRegion}
	}
	parsed, err := phonenumbers.Parse(text, region)
	if err != nil {
		return Number{}, &Error{Reason: Invalid} // err may quote the number
	}
	// A number is valid if its type is known, so this is IsValidNumber as well.
	t := typeOf(phonenumbers.GetNumberType(parsed))
	if t == 0 {
		return Number{}, &Error{Reason: Invalid}
	}
	if region = phonenumbers.GetRegionCodeForNumber(parsed); region == world {
		return Number{}, &Error{Reason: NonGeographic}
	}
	return Number{E164: phonenumbers.Format(parsed, phonenumbers.E164), Region: region, Type: t}, nil
}

// Reason is why a number was refused.
type Reason uint8

// The reasons.
const (
	Malformed     Reason = iota + 1 // not the characters, or not as many, as a number has
	Extension                       // an extension, which no text message reaches
	MissingRegion                   // a national number and no default region
	UnknownRegion                   // the default region is not a country's code
	Invalid                         // no number of the country it names
	NonGeographic                   // a number of no country, as +800
)

var reasons = [...]string{
	Malformed:     "malformed number",
	Extension:     "number has an extension",
	MissingRegion: "number does not begin with + and there is no default region",
	UnknownRegion: "unknown default region",
	Invalid:       "no valid number",
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
