package smppserver

import (
	"testing"
	"unicode/utf8"

	"github.com/otpcourier/otpcourier/channel/sms"
)

// FuzzDataCoding: any octets in any data_coding and alphabet are some text, of bounded
// length.
func FuzzDataCoding(f *testing.F) {
	for coding := range 256 {
		f.Add(uint8(coding), uint8(coding%3), []byte("\x00\x1b\x65 482910\x94F\xff\xfe"))
	}
	f.Add(uint8(5), uint8(0), []byte("\x1b$BG'>Z%3!<%I\x1b(B"))
	f.Add(uint8(5), uint8(0), []byte("G'>Z%3!<%I"))
	f.Add(uint8(8), uint8(0), []byte("\xff\xfe\x1a\x04\x3e"))
	f.Fuzz(func(t *testing.T, coding, zero uint8, data []byte) {
		a := alphabets{zero: sms.Encoding(zero), ia5: sms.Encoding(zero / 3), guess: zero%2 == 0}
		if got := a.decode(data, coding); !utf8.ValidString(got) || len(got) > 4*len(data) {
			t.Errorf("data_coding %d: %d octets are read as %q", coding, len(data), got)
		}
	})
}
