package sms_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/channel/sms"
)

func TestSplit(t *testing.T) {
	t.Parallel()
	a, zh := func(n int) string { return strings.Repeat("a", n) }, func(n int) string { return strings.Repeat("码", n) }
	for _, tt := range []struct {
		name string
		text string
		ref  sms.Reference
		want []int // units of each part
	}{
		{"empty", "", sms.Ref8(1), []int{0}},
		{"full single", a(160), sms.Ref8(1), []int{160}},
		{"one septet too many", a(161), sms.Ref8(1), []int{153, 8}},
		{"full pair", a(306), sms.Ref8(1), []int{153, 153}},
		{"into a third", a(307), sms.Ref8(1), []int{153, 153, 1}},
		{"extension counts two", strings.Repeat("€", 80), sms.Ref8(1), []int{160}},
		{"extension counts two, over", strings.Repeat("€", 81), sms.Ref8(1), []int{152, 10}},
		{"escape would be last of a part", a(152) + "€" + a(10), sms.Ref8(1), []int{152, 12}},
		{"escape pair ends a part", a(151) + "€" + a(10), sms.Ref8(1), []int{153, 10}},
		{"escape pair ends a single", a(158) + "€", sms.Ref8(1), []int{160}},
		{"escape pair does not fit a single", a(159) + "€", sms.Ref8(1), []int{153, 8}},
		{"each part loses a septet", strings.Repeat("€", 153), sms.Ref8(1), []int{152, 152, 2}},
		{"septets, 16-bit", a(161), sms.Ref16(1), []int{152, 9}},
		{"16-bit escape", a(151) + "€" + a(10), sms.Ref16(1), []int{151, 12}},
		{"full single, UCS-2", zh(70), sms.Ref8(1), []int{70}},
		{"one unit too many", zh(71), sms.Ref8(1), []int{67, 4}},
		{"full pair, UCS-2", zh(134), sms.Ref8(1), []int{67, 67}},
		{"into a third, UCS-2", zh(135), sms.Ref8(1), []int{67, 67, 1}},
		{"emoji count two", strings.Repeat("😀", 35), sms.Ref8(1), []int{70}},
		{"emoji count two, over", strings.Repeat("😀", 36), sms.Ref8(1), []int{66, 6}},
		{"surrogate would be last of a part", zh(66) + "😀" + zh(4), sms.Ref8(1), []int{66, 6}},
		{"surrogate pair ends a part", zh(65) + "😀" + zh(4), sms.Ref8(1), []int{67, 4}},
		{"a unit that only looks like a surrogate", strings.Repeat("\u00d8", 71) + "码", sms.Ref8(1), []int{67, 5}},
		{"UCS-2, 16-bit", zh(71), sms.Ref16(1), []int{66, 5}},
		{"most parts", a(153 * 255), sms.Ref8(1), slices.Repeat([]int{153}, 255)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := sms.Detect(tt.text)
			parts, err := sms.Split(tt.text, e, tt.ref)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, units(parts, e)); diff != "" {
				t.Errorf("units of the parts (-want +got):\n%s", diff)
			}
			if tt.ref == sms.Ref8(1) {
				checkMeasure(t, tt.text, tt.want)
			}
			checkParts(t, tt.text, e, parts)
		})
	}
}

// units is how many units each part carries.
func units(parts []sms.Part, e sms.Encoding) []int {
	var n []int
	for _, p := range parts {
		if e == sms.UCS2 {
			n = append(n, len(p.Data)/2)
		} else {
			n = append(n, len(p.Data))
		}
	}
	return n
}

// checkMeasure requires of Measure what Split did.
func checkMeasure(t *testing.T, text string, parts []int) {
	t.Helper()
	want := sms.Length{Encoding: sms.Detect(text), Segments: len(parts)}
	for _, n := range parts {
		want.Units += n
	}
	room := map[sms.Encoding][2]int{sms.GSM7: {160, 153}, sms.UCS2: {70, 67}}[want.Encoding]
	want.Left = room[min(len(parts)-1, 1)] - parts[len(parts)-1]
	if diff := cmp.Diff(want, sms.Measure(text)); diff != "" {
		t.Errorf("Measure (-want +got):\n%s", diff)
	}
}

// checkParts requires that every part reads by itself and all of them, joined,
// are the text.
func checkParts(t *testing.T, text string, e sms.Encoding, parts []sms.Part) {
	t.Helper()
	var joined strings.Builder
	for i, p := range parts {
		s, err := sms.Decode(p.Data, e)
		if err != nil {
			t.Fatalf("part %d: %v", i+1, err)
		}
		joined.WriteString(s)
		octets := len(p.UDH) + len(p.Data)
		if e == sms.GSM7 {
			octets = len(p.UDH) + (7*len(p.Data)+7)/8
		}
		if octets > 140 {
			t.Errorf("part %d takes %d octets on the air", i+1, octets)
		}
	}
	if diff := cmp.Diff(text, joined.String()); diff != "" {
		t.Errorf("joined parts (-want +got):\n%s", diff)
	}
}

func TestSplitHeaders(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		ref  sms.Reference
		n    int
		want []string
	}{
		{"one part", sms.Ref8(7), 160, []string{""}},
		{"8 bits", sms.Ref8(0xAB), 161, []string{"050003ab0201", "050003ab0202"}},
		{"16 bits", sms.Ref16(0xABCD), 161, []string{"060804abcd0201", "060804abcd0202"}},
		{"zero reference", sms.Reference{}, 161, []string{"050003000201", "050003000202"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			parts, err := sms.Split(strings.Repeat("a", tt.n), sms.GSM7, tt.ref)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, p := range parts {
				got = append(got, fmt.Sprintf("%x", p.UDH))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("headers (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSplitLatin1(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		n    int
		ref  sms.Reference
		want []int
	}{
		{140, sms.Ref8(1), []int{140}},
		{141, sms.Ref8(1), []int{134, 7}},
		{141, sms.Ref16(1), []int{133, 8}},
	} {
		text := strings.Repeat("ç", tt.n)
		parts, err := sms.Split(text, sms.Latin1, tt.ref)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, units(parts, sms.Latin1)); diff != "" {
			t.Errorf("%d characters (-want +got):\n%s", tt.n, diff)
		}
		checkParts(t, text, sms.Latin1, parts)
	}
}

func TestSplitTooLong(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		text string
		ref  sms.Reference
	}{
		{"GSM-7", strings.Repeat("a", 153*255+1), sms.Ref8(1)},
		{"GSM-7, 16-bit", strings.Repeat("a", 152*255+1), sms.Ref16(1)},
		{"septets lost at the boundaries", strings.Repeat("€", 153*255/2), sms.Ref8(1)},
		{"UCS-2", strings.Repeat("я", 67*255+1), sms.Ref8(1)},
		{"a megabyte", strings.Repeat("a", 1<<20), sms.Ref8(1)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := sms.Detect(tt.text)
			_, err := sms.Split(tt.text, e, tt.ref)
			checkError(t, err, sms.Error{Reason: sms.TooLong, Encoding: e},
				"sms: text needs more than 255 parts in "+e.String())
			if n := sms.Measure(tt.text).Segments; tt.ref == sms.Ref8(1) && n <= sms.MaxParts {
				t.Errorf("Measure says %d segments", n)
			}
		})
	}
}

func TestPartsDoNotOverlap(t *testing.T) {
	t.Parallel()
	parts, err := sms.Split(strings.Repeat("a", 161), sms.GSM7, sms.Ref8(1))
	if err != nil {
		t.Fatal(err)
	}
	second := slices.Concat(parts[1].UDH, parts[1].Data)
	_ = append(parts[0].Data, "!"...)
	_ = append(parts[0].UDH, "!"...)
	if diff := cmp.Diff(second, slices.Concat(parts[1].UDH, parts[1].Data)); diff != "" {
		t.Errorf("appending to the first part changed the second:\n%s", diff)
	}
}
