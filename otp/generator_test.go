package otp_test

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/otpcourier/otpcourier/otp"
)

func TestGeneratorsRefuse(t *testing.T) {
	t.Parallel()
	for _, g := range []otp.Generator{
		otp.Random{Length: 3}, otp.Random{Length: 33}, otp.Random{Alphabet: "0123"},
		otp.Random{Alphabet: "01234567899"},
		otp.Random{Alphabet: "0123456789-"}, otp.Random{Alphabet: "abcdefghijkä"},
		otp.Random{Alphabet: strings.Repeat("ab", 40)},
	} {
		if code, err := g.Generate(otp.Seed{Key: make([]byte, 32), Time: time.Unix(59, 0)}); err == nil {
			t.Errorf("%+v gave %q", g, code)
		}
	}
}

// Each position must have each character equally often. The bounds are six
// standard deviations: a modulo bias of 256 over 10 or 36 exceeds them.
func TestRandomIsUnbiased(t *testing.T) {
	t.Parallel()
	const n = 200_000
	for _, g := range []otp.Random{{}, {Length: 10}, {Length: 32}, {Length: 8,
		Alphabet: "ABCDEFGHJKLMNPQRSTUVWXYZ0123456789xy"}} {
		alphabet, length := g.Alphabet, max(g.Length, 4)
		if alphabet == "" {
			alphabet = "0123456789"
		}
		counts := make([]map[byte]int, length)
		for i := range counts {
			counts[i] = map[byte]int{}
		}
		key := make([]byte, 32)
		for i := range n {
			binary.BigEndian.PutUint64(key, uint64(i))
			code, err := g.Generate(otp.Seed{Key: mix(key)})
			if err != nil {
				t.Fatal(err)
			}
			for j := range length {
				counts[j][code[j]]++
			}
		}
		size, letters := float64(len(alphabet)), float64(0)
		for _, c := range alphabet {
			if unicode.IsLetter(c) {
				letters++
			}
		}
		// Of all codes, those without a digit are left out.
		left := 1 - math.Pow(letters/size, float64(length))
		withLetter := 1 - math.Pow(letters/size, float64(length-1))
		for j := range counts {
			for _, c := range []byte(alphabet) {
				mean := n / size / left
				if c > '9' {
					mean *= withLetter
				}
				if d := float64(counts[j][c]) - mean; d*d > 36*mean {
					t.Errorf("%+v: character %q at %d occurs %d times, mean %.0f", g, c, j, counts[j][c], mean)
				}
			}
		}
	}
}

// A code of letters and digits has a digit, whatever the share of digits in the
// alphabet. All such codes occur, equally often, and Bits counts them.
func TestRandomHasADigit(t *testing.T) {
	t.Parallel()
	for _, alphabet := range []string{"ABCDEFGHJKLMNPQRSTUVWXYZ23456789", "abcdefghijkl9",
		"ABCDEFGHIJKLMNOPQRSTUVWXYZ7abcdefghijklmnopqrstuvwxyz"} {
		for _, length := range []int{4, 6, 32} {
			g := otp.Random{Length: length, Alphabet: alphabet}
			key := make([]byte, 32)
			for i := range 2000 {
				binary.BigEndian.PutUint64(key, uint64(i))
				code, err := g.Generate(otp.Seed{Key: mix(key)})
				if err != nil || len(code) != length || !strings.ContainsAny(code, "0123456789") {
					t.Fatalf("%+v: %q, %v", g, code, err)
				}
			}
		}
	}
	g := otp.Random{Length: 4, Alphabet: "abcdefghi9"} // 10^4 - 9^4 codes
	counts := map[string]float64{}
	key := make([]byte, 32)
	const n, codes = 400_000, 3439
	for i := range n {
		binary.BigEndian.PutUint64(key, uint64(i))
		code, err := g.Generate(otp.Seed{Key: mix(key)})
		if err != nil {
			t.Fatal(err)
		}
		counts[code]++
	}
	const mean = float64(n) / codes
	for code, count := range counts {
		if d := count - mean; d*d > 36*mean {
			t.Errorf("%s occurs %.0f times, mean %.0f", code, count, mean)
		}
	}
	if len(counts) != codes || math.Abs(g.Bits()-math.Log2(codes)) > 1e-9 {
		t.Errorf("%d codes of %d, %f bits", len(counts), codes, g.Bits())
	}
	if six := (otp.Random{}).Bits(); six != 6*math.Log2(10) {
		t.Errorf("six digits have %f bits", six)
	}
}

// mix stands in for the Service's derivation.
func mix(key []byte) []byte {
	sum := sha256.Sum256(key)
	return sum[:]
}

func TestNormalize(t *testing.T) {
	t.Parallel()
	random, letters := otp.Random{}, otp.Random{Alphabet: "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"}
	for _, c := range []struct {
		g           otp.Normalizer
		typed, want string
	}{
		{random, "482910", "482910"},
		{random, " 482 910\n", "482910"},
		{random, "482-910", "482910"},
		{random, "482\u2013910", "482910"},
		{random, "４８２９１０", "482910"},
		{random, "٤٨٢٩١٠", "482910"},
		{random, "۴۸۲۹۱۰", "482910"},
		{random, "४८२९१०", "482910"},
		{random, "\u202a482910\u202c", "482910"},
		{random, "482\u00a0910", "482910"},
		{random, "48291", ""},
		{random, "4829100", ""},
		{random, "48291O", "482910"},
		{random, "", ""},
		{random, "482910\x00", ""},
		{random, "482\xff910", ""},
		{random, strings.Repeat("1", 1<<20), ""},
		{random, strings.Repeat(" ", 127) + "482910", ""},
		{letters, "abcdef", "ABCDEF"},
		{letters, "ＡＢＣｄｅｆ", "ABCDEF"},
		{letters, "ABC DEO", ""},
	} {
		got, ok := c.g.Normalize(c.typed)
		if got != c.want || ok != (c.want != "") {
			t.Errorf("Normalize(%.20q) = %q, %v, want %q", c.typed, got, ok, c.want)
		}
	}
}

// Every decimal digit that Unicode has must be read as its value.
func TestNormalizeAllDigits(t *testing.T) {
	t.Parallel()
	run := 0
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if !unicode.Is(unicode.Nd, r) {
			run = 0
			continue
		}
		want := strings.Repeat(string(rune('0'+run%10)), 6)
		if got, ok := (otp.Random{}).Normalize(strings.Repeat(string(r), 6)); !ok || got != want {
			t.Errorf("%U read as %q, want %q", r, got, want)
		}
		run++
	}
}

func FuzzNormalize(f *testing.F) {
	for _, s := range []string{"482910", "482-910", "４８２９１０", "\u202e482910", "\xff", "A1-b2", "Code: 482910",
		"482 910 is your code", "48291O", "482910 or 551204", "4\ufe0f\u20e38291O"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		code, ok := (otp.Random{}).Normalize(typed)
		if !ok {
			return
		}
		if len(code) != 6 || strings.Trim(code, "0123456789") != "" {
			t.Errorf("%q read as %q", typed, code)
		}
		if again, ok := (otp.Random{}).Normalize(code); !ok || again != code {
			t.Errorf("%q is not stable: %q", code, again)
		}
	})
}
