package phone

import (
	"log/slog"
	"strings"
)

// Number is a telephone number.
type Number struct {
	E164   string // "+" and at most 15 digits
	Region string // ISO 3166-1 alpha-2; AC, TA and XK stand for Ascension, Tristan da Cunha and Kosovo
	Type   Type

	// UnknownRange is set if the number is in no range that the metadata knows,
	// and as long as a mobile number: its range may be newer than the metadata.
	// Type is then that of the mobile numbers in Region. If several regions
	// share the calling code, Region may be the wrong one.
	UnknownRange bool
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
// dialled in defaultRegion ("07912 345678", or "0044…"). defaultRegion is an
// ISO 3166-1 alpha-2 code in either case; if it is empty, the number needs its
// "+". The package's page says how numbers may be written.
//
// Numbers of every type are returned; see [Type.SMS] for those to send to. Of
// regions that share their numbers (Svalbard and Norway) Region is the larger.
// Refused are numbers with an extension, numbers that belong to no country
// (+800, satellite phones), and those in no known range, unless they are as long
// as a mobile number; see [Number.UnknownRange].
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

// extension returns why a number with an extension is refused, if reason is
// that of the number without it. Without a number there is no extension.
func extension(reason Reason) Reason {
	switch reason {
	case Invalid:
		return Malformed
	case UnknownRegion:
		return UnknownRegion
	}
	return Extension
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
