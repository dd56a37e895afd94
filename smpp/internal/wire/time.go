package wire

import (
	"strconv"
	"time"
)

// maxRelative keeps a relative time in days, which every SMSC reads alike. They
// do not agree on the length of a month.
const maxRelative = 30 * 24 * time.Hour

// appendRelativeTime appends a validity_period counted from when the SMSC
// receives it (SMPP 3.4, section 7.1.1.2): 10 minutes are "000000001000000R". It
// is rounded down to seconds, but is at least one second and at most 30 days.
func appendRelativeTime(b []byte, d time.Duration) []byte {
	s := int(min(max(d, time.Second), maxRelative) / time.Second)
	b = append(b, "0000"...)
	for _, n := range [...]int{s / 86400, s / 3600 % 24, s / 60 % 60, s % 60} {
		b = append(b, byte('0'+n/10), byte('0'+n%10))
	}
	return append(b, "000R"...)
}

// ParseRelativeTime reads a relative validity_period. Months count 30 days and
// years 365.
func ParseRelativeTime(s string) (time.Duration, bool) {
	if len(s) != MaxTime || s[15] != 'R' {
		return 0, false
	}
	var d time.Duration
	for i, unit := range []time.Duration{
		365 * 24 * time.Hour, 30 * 24 * time.Hour, 24 * time.Hour, time.Hour, time.Minute, time.Second,
	} {
		n, err := strconv.ParseUint(s[2*i:2*i+2], 10, 8)
		if err != nil {
			return 0, false
		}
		d += time.Duration(n) * unit
	}
	return d, true
}

// AbsoluteTime returns a validity_period that ends at t, in UTC (SMPP 3.4,
// section 7.1.1.1), for example "260212143000000+". It is rounded down to
// seconds.
func AbsoluteTime(t time.Time) string { return t.UTC().Format("060102150405") + "000+" }

// ParseTime returns the end of a validity_period (SMPP 3.4, section 7.1.1): a
// relative time counted from now, or an absolute time with its time zone. It
// returns false for any other form.
func ParseTime(s string, now time.Time) (time.Time, bool) {
	if d, ok := ParseRelativeTime(s); ok {
		return now.Add(d), true
	}
	if len(s) != MaxTime {
		return time.Time{}, false
	}
	for i := range MaxTime - 1 { // time.Parse accepts more than digits
		if s[i] < '0' || s[i] > '9' {
			return time.Time{}, false
		}
	}
	t, err := time.Parse("060102150405", s[:12])
	if err != nil {
		return time.Time{}, false
	}
	// "YYMMDDhhmmsstnnp": tenths of a second, and the quarter hours by which
	// local time is ahead of UTC ("+") or behind it ("-").
	t = time.Date(nearestYear(int(s[0]-'0')*10+int(s[1]-'0'), now), t.Month(), t.Day(), t.Hour(), t.Minute(),
		t.Second(), int(s[12]-'0')*int(100*time.Millisecond), time.UTC)
	quarters := int(s[13]-'0')*10 + int(s[14]-'0')
	ahead := time.Duration(quarters) * 15 * time.Minute
	switch {
	case quarters > maxQuarters:
		return time.Time{}, false
	case s[15] == '+':
		return t.Add(-ahead), true
	case s[15] == '-':
		return t.Add(ahead), true
	}
	return time.Time{}, false
}

// maxQuarters is the highest difference from UTC in quarter hours (SMPP 3.4,
// section 7.1.1.1).
const maxQuarters = 48

// nearestYear returns the year nearest to now with these last two digits.
func nearestYear(digits int, now time.Time) int {
	year := now.UTC().Year()
	year += digits - year%100
	switch {
	case year-now.UTC().Year() > 50:
		return year - 100
	case now.UTC().Year()-year >= 50:
		return year + 100
	}
	return year
}
