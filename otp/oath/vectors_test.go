package oath_test

import (
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/oath"
)

// RFC 4226 Appendix D.
func TestHOTPVectors(t *testing.T) {
	t.Parallel()
	want := []string{"755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"}
	for counter, code := range want {
		got, err := oath.HOTP{}.Generate(otp.Seed{Key: []byte("12345678901234567890"), Counter: uint64(counter)})
		if err != nil || got != code {
			t.Errorf("counter %d: %q, %v, want %q", counter, got, err, code)
		}
	}
}

// RFC 6238 Appendix B, whose seeds are as long as the hash (erratum 2866).
func TestTOTPVectors(t *testing.T) {
	t.Parallel()
	const seed = "1234567890123456789012345678901234567890123456789012345678901234"
	lengths := map[oath.Hash]int{oath.SHA1: 20, oath.SHA256: 32, oath.SHA512: 64}
	for _, v := range []struct {
		unix int64
		want map[oath.Hash]string
	}{
		{59, map[oath.Hash]string{oath.SHA1: "94287082", oath.SHA256: "46119246", oath.SHA512: "90693936"}},
		{1111111109, map[oath.Hash]string{oath.SHA1: "07081804", oath.SHA256: "68084774", oath.SHA512: "25091201"}},
		{1111111111, map[oath.Hash]string{oath.SHA1: "14050471", oath.SHA256: "67062674", oath.SHA512: "99943326"}},
		{1234567890, map[oath.Hash]string{oath.SHA1: "89005924", oath.SHA256: "91819424", oath.SHA512: "93441116"}},
		{2000000000, map[oath.Hash]string{oath.SHA1: "69279037", oath.SHA256: "90698825", oath.SHA512: "38618901"}},
		{20000000000, map[oath.Hash]string{oath.SHA1: "65353130", oath.SHA256: "77737706", oath.SHA512: "47863826"}},
	} {
		for hash, code := range v.want {
			g := oath.TOTP{Digits: 8, Hash: hash}
			got, err := g.Generate(otp.Seed{Key: []byte(seed[:lengths[hash]]), Time: time.Unix(v.unix, 0)})
			if err != nil || got != code {
				t.Errorf("time %d, hash %d: %q, %v, want %q", v.unix, hash, got, err, code)
			}
		}
	}
}

func TestGeneratorsRefuse(t *testing.T) {
	t.Parallel()
	for _, g := range []otp.Generator{oath.HOTP{Digits: 5}, oath.HOTP{Digits: 9}, oath.HOTP{Hash: 7},
		oath.TOTP{Digits: 10},
		oath.TOTP{Period: time.Millisecond}, oath.TOTP{Period: -time.Minute}} {
		if code, err := g.Generate(otp.Seed{Key: make([]byte, 32), Time: time.Unix(59, 0)}); err == nil {
			t.Errorf("%+v gave %q", g, code)
		}
	}
	if _, err := (oath.TOTP{}).Generate(otp.Seed{Key: make([]byte, 32), Time: time.Unix(-1, 0)}); err == nil {
		t.Error("TOTP took a time before 1970")
	}
}

func TestNormalize(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		g           otp.Normalizer
		typed, want string
	}{
		{oath.HOTP{Digits: 8}, "1234 5678", "12345678"},
		{oath.HOTP{}, "٤٨٢-٩١٠", "482910"},
		{oath.TOTP{}, "1234 5678", ""},
		{oath.TOTP{Digits: 7}, " 123-4567 ", "1234567"},
	} {
		got, ok := c.g.Normalize(c.typed)
		if got != c.want || ok != (c.want != "") {
			t.Errorf("Normalize(%.20q) = %q, %v, want %q", c.typed, got, ok, c.want)
		}
	}
}
