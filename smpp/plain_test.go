package smpp

import (
	"bytes"
	"strings"
	"testing"

	"github.com/otpcourier/otpcourier/channel/sms"
)

// The short way to encode a text gives what the long one does, and takes only texts
// for which it can.
func TestPlainTextIsEncodedAlike(t *testing.T) {
	t.Parallel()
	for c := range rune(0x180) {
		text := "482910 " + string(c)
		parts, err := sms.Split(text, sms.Detect(text), sms.Ref8(1))
		if err != nil {
			t.Fatal(err)
		}
		same := sms.Detect(text) == sms.GSM7 && len(parts) == 1 && bytes.Equal(parts[0].Data, []byte(text))
		if isPlainText(text) && !same {
			t.Errorf("%q is encoded as %x", c, parts[0].Data)
		}
	}
	for n, want := range map[int]bool{0: true, 159: true, 160: true, 161: false} {
		if got := isPlainText(strings.Repeat("x", n)); got != want {
			t.Errorf("%d characters: %v", n, got)
		}
	}
}
