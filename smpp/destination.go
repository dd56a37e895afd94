package smpp

import (
	"strings"

	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// A DestFormat is the form in which an SMSC expects destination addresses.
type DestFormat uint8

// The forms of +44 7911 123456.
const (
	DestDigits   DestFormat = iota // 447911123456
	DestPlus                       // +447911123456
	DestZeros                      // 00447911123456
	DestNational                   // 07911123456 in the country of Config.National; DestDigits elsewhere
)

// A National is the country of an SMSC that expects national numbers.
type National struct {
	Country string // calling code with a "+", "+44"
	Trunk   string // digits before a national number, "0"; empty: none
}

// dest returns the destination address for a number in E.164.
func (c *Config) dest(phone string) wire.Addr {
	digits := strings.TrimPrefix(phone, "+")
	a := wire.Addr{TON: wire.TONInternational, NPI: wire.NPIE164, Digits: digits}
	switch c.DestFormat {
	case DestPlus:
		a.Digits = phone
	case DestZeros:
		a.Digits = "00" + digits
	case DestNational:
		if rest, ok := strings.CutPrefix(phone, c.National.Country); ok {
			a.TON, a.Digits = wire.TONNational, c.National.Trunk+rest
		}
	}
	if n := c.DestNumbering; n != nil {
		a.TON, a.NPI = n.TON, n.NPI
	}
	return a
}

// A Validity is the form of validity_period.
type Validity uint8

// The forms.
const (
	ValidityRelative Validity = iota // "000000000500000R", five minutes from now
	ValidityAbsolute                 // "260212143000000+", a time in UTC
	ValidityNone                     // none: the SMSC decides how long it tries
)
