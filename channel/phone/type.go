package phone

// Type is the kind of a number, according to its range.
type Type uint8

// The types, as libphonenumber tells them apart.
const (
	Mobile            Type = iota + 1
	FixedLineOrMobile      // in countries that do not tell them apart, such as the US
	FixedLine
	VoIP
	TollFree
	Premium
	SharedCost
	Personal // follows a person from line to line
	Pager
	UAN // a company's universal access number
	Voicemail
)

var types = [...]string{
	Mobile:            "mobile",
	FixedLineOrMobile: "fixed line or mobile",
	FixedLine:         "fixed line",
	VoIP:              "VoIP",
	TollFree:          "toll-free",
	Premium:           "premium rate",
	SharedCost:        "shared cost",
	Personal:          "personal number",
	Pager:             "pager",
	UAN:               "universal access number",
	Voicemail:         "voicemail",
}

func (t Type) String() string {
	if t == 0 || int(t) >= len(types) {
		return "unknown type"
	}
	return types[t]
}

// SMS reports whether a text message to such a number can be expected to arrive
// at the usual price. It is true for Mobile and FixedLineOrMobile. Some VoIP
// numbers receive texts too, but an attacker can rent thousands of them
// cheaply. A program that accepts VoIP numbers must decide so itself.
func (t Type) SMS() bool {
	return t == Mobile || t == FixedLineOrMobile
}
