package wire

import (
	"strconv"
	"time"
)

// maxRelative keeps a relative time in days, which every SMSC reads alike;
// what a month is, they do not agree on.
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

// AbsoluteTime returns a validity_period that ends at t, in UTC (SMPP 3.4, section
// 7.1.1.1): "260212143000000+". It is rounded down to seconds.
func AbsoluteTime(t time.Time) string { return t.UTC().Format("060102150405") + "000+" }
