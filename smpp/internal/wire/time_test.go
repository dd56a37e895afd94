package wire

import (
	"testing"
	"time"
)

// TestParseTime reads a validity_period in each form of SMPP 3.4, section 7.1.1.
func TestParseTime(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 2, 28, 23, 59, 30, 0, time.UTC)
	at := func(month time.Month, day, hour, minute, second, ms int) time.Time {
		return time.Date(2026, month, day, hour, minute, second, ms*1e6, time.UTC)
	}
	for _, tt := range []struct {
		in   string
		want time.Time // zero: refused
	}{
		{"000000000500000R", now.Add(5 * time.Minute)},
		{"000001020304000R", now.Add(24*time.Hour + 2*time.Hour + 3*time.Minute + 4*time.Second)},
		{"000100000000000R", now.Add(30 * 24 * time.Hour)},
		{"000000000000000R", now},
		{"260301000530000+", at(3, 1, 0, 5, 30, 0)},
		{"260301000530000-", at(3, 1, 0, 5, 30, 0)},
		{"260301010530004+", at(3, 1, 0, 5, 30, 0)}, // one hour ahead of UTC
		{"260228190530020-", at(3, 1, 0, 5, 30, 0)}, // five hours behind
		{"260301054530723+", at(2, 28, 24, 0, 30, 700)},
		{"260301000530048+", at(2, 28, 12, 5, 30, 0)},
		{"260301000530049+", time.Time{}},
		{"260229000530000+", time.Time{}}, // no leap year
		{"261301000530000+", time.Time{}},
		{"260300000530000+", time.Time{}},
		{"260301240530000+", time.Time{}},
		{"260301006030000+", time.Time{}},
		{"260301000530000R", now.Add((26*365 + 3*30 + 1) * 24 * time.Hour).Add(5*time.Minute + 30*time.Second)},
		{"260301000530000Z", time.Time{}},
		{"26030100053000+0", time.Time{}},
		{"26 301000530000+", time.Time{}},
		{"260301000530", time.Time{}},
		{"5", time.Time{}},
		{"+60301000530000+", time.Time{}},
		{"00000000+500000R", time.Time{}},
		{"", time.Time{}},
	} {
		got, ok := ParseTime(tt.in, now)
		if ok == tt.want.IsZero() || !got.Equal(tt.want) {
			t.Errorf("%q: %v, %v, want %v", tt.in, got, ok, tt.want)
		}
	}
	for digits, want := range map[string]int{"69": 2069, "76": 2076, "77": 1977, "99": 1999, "00": 2000} {
		if got, _ := ParseTime(digits+"0301000530000+", now); got.Year() != want {
			t.Errorf("year %s is %d, want %d", digits, got.Year(), want)
		}
	}
}

// FuzzParseTime: any octets are read without a panic, an absolute time is within 50
// years, and one that is written is read again.
func FuzzParseTime(f *testing.F) {
	for _, seed := range []string{"000000000500000R", "260301000530000+", "260228190530020-", "991399256199949-", ""} {
		f.Add(seed)
	}
	now := time.Date(2026, 2, 28, 23, 59, 30, 0, time.UTC)
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := ParseTime(s, now)
		if !ok {
			return
		}
		if s[15] == 'R' {
			if got.Before(now) {
				t.Errorf("%q ended %v ago", s, now.Sub(got))
			}
			return
		}
		switch years := got.Year() - now.Year(); {
		case years < -51 || years > 51:
			t.Errorf("%q is in the year %d", s, got.Year())
		case years < -48 || years > 48: // in UTC it may be in another century's year
			return
		}
		if again, ok := ParseTime(AbsoluteTime(got), now); !ok || !again.Equal(got.Truncate(time.Second)) {
			t.Errorf("%q is written as %q, and read as %v, %v", s, AbsoluteTime(got), again, ok)
		}
	})
}
