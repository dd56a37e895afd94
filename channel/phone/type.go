package phone

// Type is the kind of a number, as its range is assigned.
type Type uint8

// The types, as libphonenumber tells them apart.
const (
	Mobile            Type = iota + 1
	FixedLineOrMobile      // countries that do not tell them apart, as the US
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

// SMS reports whether a text message to such a number can be expected to
// arrive at the usual price: Mobile and FixedLineOrMobile. Some VoIP numbers
// take texts too; they cost little to rent by the thousand, so accepting them
// is a choice to make knowingly.
func (t Type) SMS() bool {
	return t == Mobile || t == FixedLineOrMobile
}
