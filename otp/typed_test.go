package otp_test

import (
	"strings"
	"testing"

	"github.com/otpcourier/otpcourier/otp"
)

// TestTyped: what people type and paste for a code is the code.
func TestTyped(t *testing.T) {
	t.Parallel()
	for _, typed := range []string{
		// Edges.
		"482910.", "482910,", "482910!", "482910?", "482910;", "482910。", "482910।", "482910؟", "482910…",
		"'482910'", "\"482910\"",
		"“482910”", "„482910“", "«482910»", "‚482910‘", "「482910」", "『482910』", "【482910】", "(482910)",
		"（482910）", "[482910]",
		"{482910}", "<482910>", "*482910*", "_482910_", "~482910~", "`482910`", "**482910**", "|482910|",
		": 482910", "= 482910", "> 482910",
		"#482910", "№482910", "- 482910", "• 482910", "\t482910\r\n", "\ufeff482910", "🔑 482910", "482910 ✓",
		"482910™",
		// Separators.
		"482.910", "482·910", "482ー910", "482_910", "482/910", "482,910", "482:910", "482|910", "482—910",
		"482\u2212910", "482~910",
		"4 8 2 9 1 0", "4-8-2-9-1-0", "48 29 10", "48.29.10", "482\n910", "482\u00a0910", "482\u2009910",
		"482\u3000910", "482 - 910",
		// Invisible characters.
		"482910\ufe0f", "482\u034f910", "482\u200b910", "482\u2060910", "\u2068482910\u2069", "482\u00ad910",
		"4\ufe0f8\ufe0f2\ufe0f910",
		"4️⃣8️⃣2️⃣9️⃣1️⃣0️⃣", "4⃣8⃣2⃣9⃣1⃣0⃣",
		// Scripts.
		"٤٨٢٩١٠", "۴۸۲۹۱۰", "४८२९१०", "৪৮২৯১০", "௪௮௨௯௧௦", "๔๘๒๙๑๐", "４８２９１０", "𝟒𝟖𝟐𝟗𝟏𝟎", "٤٨٢ ٩١٠",
		// Look-alikes.
		"48291O", "48291o", "4829lO", "4829I0", "4829i0", "482 91O", "Code: 48291O", "４８２９１Ｏ",
		// Labels.
		"G-482910", "Code: 482910", "code 482910", "OTP:482910", "PIN = 482910", "Code:482 910", "Код: 482910",
		"验证码：482910", "رمز: ٤٨٢٩١٠",
		"Your code is 482910", "FB-482910", "【MyBank】482910",
		// Messages.
		"482910 is your MyBank code.", "482910 is your MyBank code. It expires in 5 minutes. Do not share it.",
		"482-910 is your MyBank code. It expires in 5 minutes.", "482 910 ist dein Code bis 30.11.26, 14:05 Uhr.",
		"Your code is 482910. Once more: 482910",
		"482910 — ваш код MyBank. Действует 5 минут. Никому не сообщайте.",
		"【MyBank】您的验证码是482910，5分钟内有效。", "MyBank 인증번호는 482910입니다", "@mybank.example #482910",
		"482910 is your MyBank code.\n\n@mybank.example #482910", "<#> 482910 is your MyBank code\nFA+9qCX9VSu",
		"Your code: 4️⃣8️⃣2️⃣9️⃣1️⃣0️⃣", "482910 is your code for 1,250.00 EUR to MyShop, card *4417",
		strings.Repeat("A long message. ", 100) + "Your code is 482910.",
	} {
		if got, ok := (otp.Random{}).Normalize(typed); !ok || got != "482910" {
			t.Errorf("%q read as %q", typed, got)
		}
	}
}

// TestTypedOtherForms: codes of other lengths and alphabets.
func TestTypedOtherForms(t *testing.T) {
	t.Parallel()
	hex := otp.Random{Alphabet: "0123456789ABCDEF"}
	base32 := otp.Random{Length: 8, Alphabet: "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"}
	noZero := otp.Random{Alphabet: "ABCDEFGHIJKLMNOPQRSTUVWXYZ23456789"}
	lower := otp.Random{Alphabet: "abcdefghijklmnopqrstuvwxyz0123456789"}
	mixed := otp.Random{Alphabet: "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"}
	letters := otp.Random{Alphabet: "BCDFGHJKMPQRTVWXYZ"}
	long := otp.Random{Length: 32, Alphabet: "0123456789ABCDEFGHJKMNPQRSTVWXYZ"}
	const crockford = "7H2K9M4PQR8T3VWX5YZ60ABCD1EFGHJK"
	for _, c := range []struct {
		g           otp.Random
		typed, want string
	}{
		{otp.Random{Length: 4}, "4829", "4829"}, {otp.Random{Length: 4}, "Your PIN is 4829, valid 5 min", "4829"},
		{otp.Random{Length: 4}, "1234 5678", ""}, {otp.Random{Length: 4}, "4829 is your code until 31.12.2026", ""},
		{otp.Random{Length: 10}, "48291 04829", "4829104829"}, {otp.Random{Length: 8}, "4829-1048", "48291048"},
		{hex, "A7O12F", "A7012F"}, {hex, "a7o12f", "A7012F"}, {hex, "A7Il2F", "A7112F"},
		{hex, "(a7-01-2f)", "A7012F"},
		{hex, "A7-012F is your code", "A7012F"}, {hex, "A7012F is your MyBank code.", "A7012F"},
		{hex, "G7012F", ""},
		{hex, "OOOOOO", ""}, {hex, "OO0000", "000000"}, {hex, "Code: a7o12f", "A7012F"}, {hex, "ＡＢＣＤＥＦ", "ABCDEF"},
		{hex, "A7012F or B7012F", ""}, {hex, "A7012F A7012F", "A7012F"}, {hex, "Facade, decade: no code", ""},
		{base32, "abcd-efgh", "ABCDEFGH"}, {base32, "ABCDEFG2 is your MyBank code", "ABCDEFG2"},
		{base32, "ABCD-EFG2 is your code", "ABCDEFG2"},
		{base32, "ABCDEFG0", ""}, {base32, "ABCDEFG1", ""}, {base32, "ABCDEFGO", ""}, {base32, "ABCDEFGI", ""},
		{noZero, "A0BC2D", "AOBC2D"}, {noZero, "A1BC2D", "AIBC2D"}, {noZero, "albc2d", "ALBC2D"},
		{lower, "ABC12D", "abc12d"}, {lower, "abcodl", "abcodl"}, {mixed, "aB3O0l", "aB3O0l"},
		{mixed, "AB3o0I", "AB3o0I"},
		{letters, "KXQTRW is your MyBank code", "KXQTRW"}, {letters, "kxq-trw", "KXQTRW"},
		{letters, "KXQTRW or KXQTRZ", ""},
		{long, crockford, crockford}, {long, strings.ToLower(crockford), crockford},
		{long, "7H2K-9M4P-QR8T-3VWX-5YZ6-0ABC-D1EF-GHJK", crockford},
		{long, "7h2k 9m4p qr8t 3vwx 5yz6 oabc dief ghjk.", crockford},
		{long, "Your code is " + crockford + ".", crockford}, {long, crockford + "7", ""},
	} {
		got, ok := c.g.Normalize(c.typed)
		if got != c.want || ok != (c.want != "") {
			t.Errorf("%+v: %q read as %q, %v, want %q", c.g, c.typed, got, ok, c.want)
		}
	}
}

// notCodes cannot be a code of six digits, or might be two.
var notCodes = []string{
	"", " ", ".", "-", "48291", "4829100", "48291A", "482910A", "A482910", "hello", "OIlOIl", "482910 551204",
	"482910, 551204",
	"482910/551204", "482910 or 551-204", "Old code 551204, new code 482910", "Code: 551204 482910", "+482910",
	"$482910", "€ 482.910",
	"482910\x00", "482\x1b910", "482\xff910", "四八二九一〇", "Your code is 48291",
	"Your code is on its way to +4915112345678", "a482910b",
	strings.Repeat("482910 ", 1000), strings.Repeat("9", 1<<20), strings.Repeat(" ", 1<<20),
	strings.Repeat(" ", 2000) + "482910",
}

func TestNotTyped(t *testing.T) {
	t.Parallel()
	for _, typed := range notCodes {
		if got, ok := (otp.Random{}).Normalize(typed); ok || got != "" {
			t.Errorf("%.50q read as %q", typed, got)
		}
	}
}

// TestMalformedCostsNothing: input that cannot be a code is refused before the store is asked, and charges no attempt.
func TestMalformedCostsNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	c := r.send(t, otp.Request{})
	for _, typed := range notCodes {
		err := verify(t.Context(), r, otp.Verification{ID: c.ID, Subject: "u1", Code: typed})
		wantReason(t, err, otp.ReasonMalformed, otp.ErrInvalidCode)
	}
	whole := r.a.messages()[0].Text
	if err := verify(t.Context(), r, otp.Verification{ID: c.ID, Subject: "u1", Code: whole}); err != nil {
		t.Errorf("the whole message: %v", err)
	}
}

// FuzzTyped: a code is of the generator's form, and is read as itself.
func FuzzTyped(f *testing.F) {
	forms := []otp.Random{
		{}, {Length: 4}, {Alphabet: "0123456789ABCDEF"}, {Length: 8, Alphabet: "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"},
		{Length: 32, Alphabet: "0123456789abcdefghijklmnopqrstuvwxyz"}, {Alphabet: "BCDFGHJKMPQRTVWXYZ"},
	}
	for i := range forms {
		for _, typed := range append(notCodes, "482910", "Code: A7O12F", "A7K2-QX9P is your code", "4️⃣8️⃣2️⃣9️⃣1️⃣0️⃣",
			"٤٨٢-٩١٠") {
			if len(typed) < 5000 {
				f.Add(i, typed)
			}
		}
	}
	f.Fuzz(func(t *testing.T, i int, typed string) {
		g := forms[uint(i)%uint(len(forms))]
		code, ok := g.Normalize(typed)
		if !ok {
			if code != "" {
				t.Errorf("%q is refused, but read as %q", typed, code)
			}
			return
		}
		length, alphabet := max(g.Length, 4), g.Alphabet
		if g.Length == 0 {
			length = 6
		}
		if alphabet == "" {
			alphabet = "0123456789"
		}
		if len(code) != length || strings.Trim(code, alphabet) != "" {
			t.Errorf("%+v: %q read as %q", g, typed, code)
		}
		if again, ok := g.Normalize(code); !ok || again != code {
			t.Errorf("%+v: %q read as %q, and that as %q", g, typed, code, again)
		}
	})
}
