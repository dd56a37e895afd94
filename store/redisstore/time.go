package redisstore

import "time"

// Redis keeps times as microseconds since 1970: Lua's numbers hold these exactly
// up to latest, in the year 2255.
const latest = 1 << 53

// slack is the time that Redis keeps a key longer than needed. The clocks of the processes
// decide when a value expires, and may differ by up to slack.
const slack = time.Minute

// micros returns t in microseconds, as the nearest time that Redis can keep. A
// fraction is cut off.
func micros(t time.Time) int64 {
	return min(max(t.UnixMicro(), 0), latest-1)
}

// microsUp is micros, with a fraction rounded up: it is never before t.
func microsUp(t time.Time) int64 {
	n := micros(t)
	if n > 0 && t.Nanosecond()%1000 != 0 {
		n++
	}
	return min(n, latest-1)
}

// instant is the inverse of micros, except that 0 is the zero time.
func instant(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

// lifetime returns the time to live, in milliseconds, of a key that is needed for a number
// of microseconds.
func lifetime(micros int64) int64 {
	return max(micros, 0)/1000 + 1 + slack.Milliseconds()
}
