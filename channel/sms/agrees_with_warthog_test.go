package sms_test

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/warthog618/sms/encoding/gsm7"
	"github.com/warthog618/sms/encoding/tpdu"

	"github.com/otpcourier/otpcourier/channel/sms"
)

var seeds = []string{
	"", "Your code is 482910.", "[€]{}~^\\|\f\r\n", "Ваш код: 482910", "验证码 482910", "it’s 482910 — ok…",
	strings.Repeat("a", 160), strings.Repeat("a", 152) + "€a", strings.Repeat("я", 70), strings.Repeat("😀", 36),
	strings.Repeat("я", 66) + "😀яяяя", "\x1b\x1be", "\xed\xa0\x80", "e\u0301ç\xff", strings.Repeat("€", 300),
}

// oracle is github.com/warthog618/sms, one call at a time: its tables are
// filled on first use without a lock.
type oracle struct{ mu sync.Mutex }

// split returns text's parts under reference 1 and whether they are GSM-7.
func (o *oracle) split(text string, wide bool) (parts []sms.Part, is7bit bool, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	data, _, alphabet := tpdu.EncodeUserData([]byte(text))
	dcs, err := tpdu.DCS(0).WithAlphabet(alphabet)
	if err != nil {
		return nil, false, err
	}
	pdu, err := tpdu.NewSubmit(dcs)
	if err != nil {
		return nil, false, err
	}
	var options []tpdu.SegmentationOption // the default reference is 1
	if wide {
		options = append(options, tpdu.With16BitConcatRef)
	}
	for _, p := range pdu.Segment(data, options...) {
		udh, err := p.UDH.MarshalBinary()
		if err != nil {
			return nil, false, err
		}
		parts = append(parts, sms.Part{UDH: udh, Data: p.UD})
	}
	return parts, alphabet == tpdu.Alpha7Bit, nil
}

func (o *oracle) decode(b []byte) (string, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	s, err := gsm7.Decode(b)
	return string(s), err
}

func FuzzSplitAgainstWarthog(f *testing.F) {
	for _, s := range seeds {
		f.Add(s, false)
		f.Add(s, true)
	}
	var o oracle
	f.Fuzz(func(t *testing.T, text string, wide bool) {
		// It lets U+001B through as an escape, invents U+FFFD for what is
		// not UTF-8, makes no part of an empty text and wraps past 255 parts.
		if text == "" || strings.ContainsRune(text, 0x1B) || !utf8.ValidString(text) || len(text) > 255*60 {
			return // not to be compared
		}
		want, is7bit, err := o.split(text, wide)
		if err != nil {
			t.Fatal(err)
		}
		e, ref := sms.Detect(text), sms.Ref8(1)
		if (e == sms.GSM7) != is7bit {
			t.Fatalf("Detect(%q) = %v, warthog says 7-bit: %v", text, e, is7bit)
		}
		if wide {
			ref = sms.Ref16(1)
		}
		parts, err := sms.Split(text, e, ref)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, parts); diff != "" {
			t.Fatalf("parts of %q (-warthog +ours):\n%s", text, diff)
		}
		checkParts(t, text, e, parts)
	})
}

func FuzzDecodeGSM7AgainstWarthog(f *testing.F) {
	for code := range 0x80 {
		f.Add([]byte{byte(code)})
		f.Add([]byte{0x1B, byte(code)})
		f.Add([]byte{0x1B, 0x1B, byte(code)})
	}
	var o oracle
	f.Fuzz(func(t *testing.T, b []byte) {
		// It reads an octet over 0x7F as a space, and 1B 0D, the control
		// character CR2, as LF; here that is the default alphabet's CR.
		if bytes.ContainsFunc(b, func(r rune) bool { return r > 0x7F }) || bytes.Contains(b, []byte{0x1B, '\r'}) {
			return // not to be compared
		}
		want, err := o.decode(b)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := sms.Decode(b, sms.GSM7); err != nil || got != want {
			t.Fatalf("Decode(%x) = %q, %v; warthog %q", b, got, err, want)
		}
	})
}
