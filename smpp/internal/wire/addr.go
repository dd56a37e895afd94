package wire

// Types of number and numbering plans (SMPP 3.4, sections 5.2.5 and 5.2.6).
const (
	TONUnknown         = 0
	TONInternational   = 1
	TONNational        = 2
	TONNetworkSpecific = 3
	TONAlphanumeric    = 5
	NPIUnknown         = 0
	NPIE164            = 1
)

// An Addr is an address with its type of number and numbering plan (SMPP 3.4,
// sections 5.2.5 and 5.2.6).
type Addr struct {
	TON, NPI uint8
	Digits   string
}

// Number returns the address, with a "+" if its type of number is
// international.
func (a Addr) Number() string {
	if a.TON == TONInternational && a.Digits != "" && a.Digits[0] != '+' {
		return "+" + a.Digits
	}
	return a.Digits
}
