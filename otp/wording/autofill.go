package wording

import (
	"regexp"
	"strings"

	"github.com/otpcourier/otpcourier/channel/sms"
)

// The systems that look for a code in an SMS.
const (
	smsRetriever   = "SMS Retriever"
	smsUserConsent = "SMS User Consent"
	ios            = "iOS"
	android15      = "Android 15"
	android16      = "Android 16"
)

// noAutofill returns the systems that do not find the code in an SMS of w.
// Browsers, and phones that read the last line of Config.Origin, always find
// it.
func (s *Set) noAutofill(w *words, text, code string) []string {
	var systems []string
	// One message of at most 140 octets (Google, "Automatic SMS Verification
	// with the SMS Retriever API").
	if s.appHash != "" && sms.Measure(text).Segments > 1 {
		systems = append(systems, smsRetriever)
	}
	// 4 to 10 letters and digits with at least one digit (Google, "SMS User
	// Consent API").
	if len(code) > 10 || !strings.ContainsAny(code, "0123456789") || strings.ContainsFunc(code, isSign) {
		systems = append(systems, smsUserConsent)
	}
	// iOS fills in "ABC123" for "ABC-123".
	if strings.ContainsFunc(code, isSign) {
		systems = append(systems, ios)
	}
	found := detected(text, code)
	if !found {
		systems = append(systems, android15)
	}
	// Android 16 also requires one of its English words, in a text that it
	// identifies as English.
	if !found || !strings.HasPrefix(w.language+"-", "en-") || !contextWord.MatchString(text) {
		systems = append(systems, android16)
	}
	return systems
}

// The rules of Android's NotificationOtpDetectionHelper for a code and its
// neighbours.
var (
	codeForm   = regexp.MustCompile(`^(\d{4}|[\pL\d](-?[\pL\d]){4,8})$`)
	dateForm   = regexp.MustCompile(`^[0-3]?\d-[0-3]?\d-([12]\d)?\d\d$`)
	yearForm   = regexp.MustCompile(`^(19|20)\d\d$`)
	beforeCode = regexp.MustCompile(`(^|(^|[^0-9])\s|[>("'=\[\p{Han}]|\pL[:-])$`)
	behindCode = regexp.MustCompile(`^($|\s([^0-9]|$)|[\p{Han}.?!,)'\]"])`)

	contextWord = regexp.MustCompile(`\b((?i:pass[-\s]?(code|word)|(sms-)?otp|2fa|(two|2)[-\s]?factor|code|` +
		`single[-\s]use|(verification|security|account) pin|account key|tokencode)|PIN|TAN)\b`)
)

// detected reports whether Android 15 finds the code in the text. It does not
// find a four-digit code that may be a year.
func detected(text, code string) bool {
	if !codeForm.MatchString(code) || !strings.ContainsAny(code, "0123456789") || dateForm.MatchString(code) ||
		yearForm.MatchString(code) {
		return false
	}
	for at := 0; ; {
		i := strings.Index(text[at:], code)
		if i < 0 {
			return false
		}
		i += at
		at = i + len(code)
		if beforeCode.MatchString(text[:i]) && behindCode.MatchString(text[at:]) {
			return true
		}
	}
}
