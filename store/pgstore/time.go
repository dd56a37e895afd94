package pgstore

import (
	"math"
	"time"
)

// PostgreSQL keeps times as nanoseconds since 1970, and spans as nanoseconds. Sums of a
// time and a span must not overflow.
const (
	latest  = 230 * 365 * 24 * int64(time.Hour) // in the year 2199
	longest = 50 * 365 * 24 * time.Hour         // span
	noTime  = math.MinInt64                     // the zero time
)

// nanos returns t in nanoseconds, as the nearest time that can be kept.
func nanos(t time.Time) int64 {
	if t.Unix() < 0 {
		return 0
	}
	if t.Unix() >= latest/int64(time.Second) {
		return latest
	}
	return t.UnixNano()
}

// createdNanos is nanos for a time that may be zero, or before 1970.
func createdNanos(t time.Time) int64 {
	if t.IsZero() {
		return noTime
	}
	return t.UnixNano()
}

// instant is the inverse of nanos and createdNanos, except that 0 is the zero time, too.
func instant(n int64) time.Time {
	if n == 0 || n == noTime {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}
