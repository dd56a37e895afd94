package authenticator

import (
	"strings"

	"github.com/otpcourier/otpcourier/otp"
)

// clean returns a typed code as 6 to 8 digits. It reads digits of any script. It drops
// spaces and dashes, and the newline of a token with a keyboard interface.
func clean(typed string) (code string, ok bool) {
	for n := 6; n <= 8; n++ {
		if code, ok = (otp.Random{Length: n}).Normalize(typed); ok {
			return code, true
		}
	}
	return "", false
}

// inFours writes s in groups of four, as people copy it.
func inFours(s, between string) string {
	var b strings.Builder
	for i := 0; i < len(s); i += 4 {
		if i > 0 {
			b.WriteString(between)
		}
		b.WriteString(s[i:min(i+4, len(s))])
	}
	return b.String()
}
