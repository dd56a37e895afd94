package smpptest

import (
	"strings"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp"
)

// The limits of OTP Blue's integration guide ("Input Limits").
const (
	otpBlueMaxOctets  = 512
	otpBlueMaxAddress = 21
	otpBlueMinDigits  = 4
	otpBlueMaxDigits  = 10
)

// OTPBlue is a Handler that answers as in OTP Blue's integration guide. A
// number that is too long or not E.164 gets ESME_RINVDSTADR. A message over 512
// octets, or without a code of 4 to 10 digits, gets ESME_RINVMSGLEN. A number
// for which iMessage reports false gets ESME_RSUBMITFAIL. Any other message
// gets ESME_ROK and a receipt directly after it. iMessage is called with the
// number and its "+"; nil means that everybody has iMessage.
func OTPBlue(iMessage func(number string) bool) Handler {
	return func(s Submit) Reply {
		switch {
		case len(strings.TrimPrefix(s.To, "+")) > otpBlueMaxAddress,
			channel.Recipient{Phone: s.To}.Validate() != nil:
			return Reply{Status: smpp.StatusInvalidDestination}
		case s.Octets > otpBlueMaxOctets, !hasCode(s.Text):
			return Reply{Status: smpp.StatusInvalidMsgLength}
		case iMessage != nil && !iMessage(s.To):
			return Reply{Status: smpp.StatusSubmitFailed}
		}
		return Reply{}
	}
}

// hasCode reports whether text has a run of 4 to 10 digits. Single hyphens in
// it do not count, as in "482-910".
func hasCode(text string) bool {
	digits := 0
	for i, c := range []byte(text + " ") {
		switch {
		case '0' <= c && c <= '9':
			digits++
		case c == '-' && digits > 0 && text[i-1] != '-':
		case digits >= otpBlueMinDigits && digits <= otpBlueMaxDigits:
			return true
		default:
			digits = 0
		}
	}
	return false
}
