package memstore

import (
	"math"
	"time"
)

// Times are stored as nanoseconds since 1970 by the wall clock. The zero Time,
// and any other before the range, is the least int64.
var (
	earliest = time.Unix(0, math.MinInt64)
	latest   = time.Unix(0, math.MaxInt64)
)

// nanos returns the stored form of t.
func nanos(t time.Time) int64 {
	switch {
	case t.Before(earliest):
		return math.MinInt64
	case t.After(latest):
		return math.MaxInt64
	}
	return t.UnixNano()
}

// instant is the inverse of nanos.
func instant(n int64) time.Time {
	if n == math.MinInt64 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

// after returns n + d and before n - d, for d of 0 or more, within the range.
func after(n int64, d time.Duration) int64 {
	if n > math.MaxInt64-int64(d) {
		return math.MaxInt64
	}
	return n + int64(d)
}

func before(n, d int64) int64 {
	if n < math.MinInt64+d {
		return math.MinInt64
	}
	return n - d
}
