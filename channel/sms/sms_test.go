package sms_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/channel/sms"
)

// alphabet and extension are written out a second time, from the tables of
// 3GPP TS 23.038 read by column, so that a slip in the package's own shows.
const (
	alphabet = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?" +
		"¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
	extension = "\f\x0a^\x14{\x28}\x29\\\x2f[\x3c~\x3d]\x3e|\x40€\x65"
)

func TestGSM7Tables(t *testing.T) {
	t.Parallel()
	want := map[rune][]byte{}
	code := byte(0)
	for _, r := range alphabet {
		if r != 0x1B {
			want[r] = []byte{code}
		}
		code++
	}
	pairs := []rune(extension)
	for i := 0; i < len(pairs); i += 2 {
		want[pairs[i]] = []byte{0x1B, byte(pairs[i+1])}
	}
	for r := rune(0); r <= 0x1FFFF; r++ {
		if r >= 0xD800 && r <= 0xDFFF {
			continue
		}
		got, err := sms.Encode(string(r), sms.GSM7)
		if (err == nil) != (want[r] != nil) {
			t.Fatalf("Encode(%U) = %x, %v; want %x", r, got, err, want[r])
		}
		if diff := cmp.Diff(want[r], got); diff != "" {
			t.Fatalf("Encode(%U): %s", r, diff)
		}
		if err != nil {
			continue
		}
		if back, err := sms.Decode(got, sms.GSM7); err != nil || back != string(r) {
			t.Fatalf("Decode(%x) = %q, %v; want %q", got, back, err, r)
		}
	}
}

func TestDetect(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]sms.Encoding{
		"":                        sms.GSM7,
		"Your code is 482910":     sms.GSM7,
		"Ihr Code für Groß: {1}€": sms.GSM7,
		"ΔΦΓΛΩΠΨΣΘΞ":              sms.GSM7,
		"Ç is GSM-7":              sms.GSM7,
		"ç is not":                sms.UCS2,
		"it’s":                    sms.UCS2,
		"482\u00a0910":            sms.UCS2,
		"Α":                       sms.UCS2, // Greek capital alpha
		"код":                     sms.UCS2,
		"😀":                       sms.UCS2,
		"tab\t":                   sms.UCS2,
		"escape\x1be":             sms.UCS2,
		"nul\x00":                 sms.UCS2,
		"\xff":                    sms.UCS2,
	} {
		if got := sms.Detect(text); got != want {
			t.Errorf("Detect(%q) = %v, want %v", text, got, want)
		}
	}
}

func TestEncode(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text string
		e    sms.Encoding
		want string
	}{
		{"", sms.GSM7, ""},
		{"@1\n", sms.GSM7, "\x001\n"},
		{"[€]", sms.GSM7, "\x1b\x3c\x1b\x65\x1b\x3e"},
		{"A€", sms.UCS2, "\x00A\x20\xac"},
		{"😀", sms.UCS2, "\xd8\x3d\xde\x00"},
		{"\ufffd", sms.UCS2, "\xff\xfd"},
		{"\x1b", sms.UCS2, "\x00\x1b"},
		{"é\r\n", sms.Latin1, "\xe9\r\n"},
	} {
		got, err := sms.Encode(tt.text, tt.e)
		if err != nil || string(got) != tt.want {
			t.Errorf("Encode(%q, %v) = %x, %v; want %x", tt.text, tt.e, got, err, tt.want)
		}
	}
}

func TestEncodeRefuses(t *testing.T) {
	t.Parallel()
	const bad = sms.Encoding(9)
	for _, tt := range []struct {
		text string
		want sms.Error
		says string
	}{
		{"élève ’", sms.Error{Reason: sms.Unencodable, Encoding: sms.GSM7, Offset: 8, Char: '’'},
			"sms: U+2019 at offset 8 is not in GSM-7"},
		{"a\x1be", sms.Error{Reason: sms.Unencodable, Encoding: sms.GSM7, Offset: 1, Char: 0x1B},
			"sms: U+001B at offset 1 is not in GSM-7"},
		{"\ufffd", sms.Error{Reason: sms.Unencodable, Encoding: sms.GSM7, Char: '\ufffd'},
			"sms: U+FFFD at offset 0 is not in GSM-7"},
		{"ab\xc3", sms.Error{Reason: sms.NotUTF8, Encoding: sms.GSM7, Offset: 2}, "sms: text is not UTF-8 at offset 2"},
		{"ж\xff", sms.Error{Reason: sms.NotUTF8, Encoding: sms.UCS2, Offset: 2}, "sms: text is not UTF-8 at offset 2"},
		{"1€", sms.Error{Reason: sms.Unencodable, Encoding: sms.Latin1, Offset: 1, Char: '€'},
			"sms: U+20AC at offset 1 is not in Latin-1"},
		{"\x1b", sms.Error{Reason: sms.Unencodable, Encoding: sms.Latin1, Char: 0x1B},
			"sms: U+001B at offset 0 is not in Latin-1"},
		{"\u0085", sms.Error{Reason: sms.Unencodable, Encoding: sms.Latin1, Char: 0x85},
			"sms: U+0085 at offset 0 is not in Latin-1"},
		{"a", sms.Error{Reason: sms.UnknownEncoding, Encoding: bad}, "sms: unknown encoding 9"},
	} {
		_, err := sms.Encode(tt.text, tt.want.Encoding)
		checkError(t, err, tt.want, tt.says)
		_, err = sms.Split(tt.text, tt.want.Encoding, sms.Ref8(0))
		checkError(t, err, tt.want, tt.says)
	}
}

func TestDecode(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		b    string
		e    sms.Encoding
		want string
	}{
		{"", sms.GSM7, ""},
		{"\x00\x1b\x65", sms.GSM7, "@€"},
		{"a\x1bb", sms.GSM7, "ab"},               // unknown extension: the default character
		{"a\x1b\x1be", sms.GSM7, "a e"},          // reserved for another table
		{"a\x1b", sms.GSM7, "a "},                // nothing behind the escape
		{"\xd8\x3d\xde\x00", sms.UCS2, "😀"},      //
		{"\xde\x00\x00a", sms.UCS2, "\ufffda"},   // low surrogate first
		{"\xd8\x3d\x00a", sms.UCS2, "\ufffda"},   // high surrogate without a low one
		{"\x00a\xd8\x3d", sms.UCS2, "a\ufffd"},   // at the end
		{"\xe9\x80", sms.Latin1, "\u00e9\u0080"}, // what came, came
	} {
		got, err := sms.Decode([]byte(tt.b), tt.e)
		if err != nil || got != tt.want {
			t.Errorf("Decode(%x, %v) = %q, %v; want %q", tt.b, tt.e, got, err, tt.want)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		b    string
		want sms.Error
		says string
	}{
		{"ab\x80", sms.Error{Reason: sms.Malformed, Encoding: sms.GSM7, Offset: 2},
			"sms: octets are not GSM-7 at offset 2"},
		{"a\x1b\xff", sms.Error{Reason: sms.Malformed, Encoding: sms.GSM7, Offset: 2},
			"sms: octets are not GSM-7 at offset 2"},
		{"\x00ab", sms.Error{Reason: sms.Malformed, Encoding: sms.UCS2, Offset: 2},
			"sms: octets are not UCS-2 at offset 2"},
		{"a", sms.Error{Reason: sms.UnknownEncoding, Encoding: 9}, "sms: unknown encoding 9"},
	} {
		_, err := sms.Decode([]byte(tt.b), tt.want.Encoding)
		checkError(t, err, tt.want, tt.says)
	}
}

func checkError(t *testing.T, err error, want sms.Error, says string) {
	t.Helper()
	var e *sms.Error
	if !errors.As(err, &e) {
		t.Errorf("error is %v, want %+v", err, want)
		return
	}
	if diff := cmp.Diff(want, *e); diff != "" {
		t.Errorf("error differs (-want +got):\n%s", diff)
	}
	if e.Error() != says {
		t.Errorf("error says %q, want %q", e.Error(), says)
	}
}

func TestFold(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, text, want string }{
		{"GSM-7 stays", "Ça va? {é} ñ Ü €", "Ça va? {é} ñ Ü €"},
		{"French", "N’envoyez « ce code » à personne — bientôt, dès l’été…",
			`N'envoyez " ce code " à personne - bientot, dès l'été...`},
		{"spaces", "482\u00a0910\u202f1\u3000\t2", "482 910 1  2"},
		{"invisible", "\ufeff48\u00ad29\u200b10", "482910"},
		{"Spanish", "¿Tú código?", "¿Tu codigo?"},
		{"Polish", "Zażółć gęślą jaźń", "Zazolc gesla jazn"},
		{"Romanian", "ăâîșț ĂÂÎȘȚ", "aaist AAIST"},
		{"Turkish", "İstanbul'a ığşç", "Istanbul'a igsc"},
		{"Vietnamese", "Mã xác thực của bạn đường", "Ma xac thuc cua ban duong"},
		{"Icelandic", "Öryggiskóði Þinn", "Öryggiskodi Thinn"},
		{"Hausa", "ɓoye ƙasa ƴanci ɗaya", "boye kasa yanci daya"},
		{"Yoruba", "ẹ̀rí ọ̀nà", "eri onà"},
		{"composed before it is folded", "e\u0301 c\u0327 a\u030a", "é c å"},
		{"canonical equivalents", "\u2126 \u212b", "Ω Å"},
		{"marks of a folded letter go", "x\u0323\u0301", "x"},
		{"one of several marks", "ǘ ấ", "ü a"},
		{"Cyrillic stays", "Ваш код й", "Ваш код й"},
		{"Devanagari stays", "आपका कोड", "आपका कोड"},
		{"Greek that GSM-7 lacks stays", "Ο κωδικός", "Ο κωδικός"},
		{"emoji stays", "ok 👍🏽", "ok 👍🏽"},
		{"control characters stay", "a\x1bé\x00", "a\x1bé\x00"},
		{"bad UTF-8 stays", "ç\xffç", "ç\xffç"},
		{"one character that stays keeps the rest", "484 là mã của bạn 😀", "484 là mã của bạn 😀"},
		{"full-width forms", "２０ＥＵＲ（ａ）￥５", "20EUR(a)¥5"},
		{"punctuation of Chinese", "【MyBank】482910。", "[MyBank]482910."},
		{"signs of arithmetic", "1 × 2 ÷ 3 ± 4 ≤ 5 → 6", "1 x 2 / 3 +/- 4 <= 5 -> 6"},
		{"fractions keep the value", "½ 1½ ¼5 x¾", "1/2 1 1/2 1/4 5 x 3/4"},
		{"superscripts keep the value", "10² m² ¹² 10¹²", "10^2 m2 12 10^12"},
		{"ordinals and abbreviations", "№ 5 №5 1ª 2º MyBank™ ®", "No 5 No5 1a 2o MyBankTM (R)"},
		{"ligatures and units", "ﬁn 5 ㎏ 20 ℃ µ", "fin 5 kg 20 degC u"},
		{"digits of mathematics", "𝟒𝟖𝟐𝟗𝟏𝟎", "482910"},
		{"Greek capitals", "ΚΩΔΙΚΟΣ ΑΈΉΊΌΎΏ", "KΩΔIKOΣ AEHIOYΩ"},
		{"zero width", "a\u200cb\u200d\u2060\ufeff\u034f\u2066c\u2069\u061c", "abc"},
		{"keycaps", "4\ufe0f\u20e38\ufe0f\u20e3", "48"},
		{"currency before and behind", "₺250 5.000₫ 20 ₹", "TRY 250 5.000 VND 20 INR"},
		{"currency that GSM-7 has", "£1 ¥2 €3 $4 ¤ ç", "£1 ¥2 €3 $4 ¤ c"},
		{"empty", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, sms.Fold(tt.text)); diff != "" {
				t.Errorf("Fold(%q) (-want +got):\n%s", tt.text, diff)
			}
		})
	}
}

// Every sign of Unicode's block of currencies becomes one of GSM-7 or its code.
func TestFoldedCurrenciesAreGSM7(t *testing.T) {
	t.Parallel()
	for _, r := range "￠￡￥￦฿৳؋៛﷼" + currencies() {
		if sms.Detect(sms.Fold(string(r))) != sms.GSM7 {
			t.Errorf("%U %c is not folded", r, r)
		}
	}
}

func currencies() string {
	var b strings.Builder
	for r := '\u20A0'; r <= '\u20C0'; r++ {
		b.WriteRune(r)
	}
	return b.String()
}

func TestFoldedLettersAreGSM7(t *testing.T) {
	t.Parallel()
	for _, span := range [][2]rune{{0xC0, 0xD6}, {0xD8, 0xF6}, {0xF8, 0x17F}, {0x1E00, 0x1EF9}} {
		for r := span[0]; r <= span[1]; r++ {
			if strings.ContainsRune("ẚẜẝẟ", r) {
				continue // medievalist letters
			}
			if folded := sms.Fold(string(r)); sms.Detect(folded) != sms.GSM7 {
				t.Errorf("Fold(%q) = %q, which is not GSM-7", r, folded)
			}
		}
	}
}
