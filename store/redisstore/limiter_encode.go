package redisstore

import (
	"encoding/binary"
	"hash/crc32"
	"slices"
)

// A counted is a window of a call, with the limits that name it.
type counted struct {
	key, tag        string
	take, room      int64 // see roomFields
	step, keep, per int64
	number          int // of its spanFields, from 1
}

// encodeLimits returns the KEYS and ARGV of a script: each string once, each window
// once.
func encodeLimits(at int64, all []countedLimit) (keys []string, args []any) {
	windows, of := make([]counted, 0, 8), make([]int, len(all))
	for i, c := range all {
		of[i] = slices.IndexFunc(windows, func(w counted) bool { return w.key == c.key && w.tag == c.tag })
		if of[i] < 0 {
			of[i], windows = len(windows), append(windows, c.window())
			if !slices.Contains(keys, c.key) {
				keys = append(keys, c.key)
			}
		}
		windows[of[i]].add(c)
	}
	name := stamp(at, nonce())
	rooms, spans := []byte(name), binary.BigEndian.AppendUint16(nil, uint16(len(windows)))
	args = make([]any, 2, 2+len(keys))
	number := 0
	for k, key := range keys {
		var own []*counted
		for i := range windows {
			if w := &windows[i]; w.key == key {
				number++
				w.number = number
				own, spans = append(own, w), w.encodeSpan(spans, k+1)
			}
		}
		begun := first(own, at, name[stampLayout.Name.at:])
		rooms = encodeKey(rooms, own, begun)
		if !takes(own) {
			begun = nil
		}
		args = append(args, begun)
	}
	for i, c := range all {
		spans = c.encode(spans, windows[of[i]].number)
	}
	args[0], args[1] = rooms, spans
	return keys, args
}

// takes reports whether a call takes from any of windows.
func takes(windows []*counted) bool {
	return slices.ContainsFunc(windows, func(w *counted) bool { return w.take > 0 })
}

// encodeKey appends keyFields, and the roomFields of windows. begun is their string.
func encodeKey(to []byte, windows []*counted, begun []byte) []byte {
	at := &keyLayout
	to = append(to, make([]byte, at.Life.end())...)
	b := to[len(to)-at.Life.end():]
	copy(b, begun[:headLayout.Sign.end()])
	at.Number.put(b, uint64(len(windows)))
	life := int64(0)
	for _, w := range windows {
		life = max(life, lifetime(w.per+w.step))
	}
	at.Life.put(b, uint64(life))
	for _, w := range windows {
		to = w.encodeRoom(to)
	}
	return to
}

// first returns the string of windows after a call that found none.
func first(windows []*counted, at int64, name string) []byte {
	n := len(windows)
	tags := make([]byte, 0, 12*n)
	b := make([]byte, headLayout.Sign.end(), headLayout.Sign.end()+n*(lastLayout.Step.end()+
		windowLayout.Cells.end())+mostNonces*nonceLen)
	headLayout.Number.put(b, uint64(n))
	for _, w := range windows {
		tags = binary.BigEndian.AppendUint64(append(tags, w.tag...), uint64(w.step))
		var last [20]byte
		if w.take > 0 {
			lastLayout.Time.put(last[:], uint64(at+w.step))
			lastLayout.Held.put(last[:], uint64(w.take))
		}
		lastLayout.Step.put(last[:], uint64(w.step))
		b = append(b, last[:]...)
	}
	headLayout.Sign.put(b, uint64(crc32.ChecksumIEEE(tags)))
	b = append(append(b, name...), make([]byte, (mostNonces-1)*nonceLen)...)
	for _, w := range windows {
		b = append(append(b, w.tag...), make([]byte, windowLayout.Cells.end()-len(w.tag))...)
	}
	return b
}

// window returns the window of a limit, without limits.
func (c countedLimit) window() counted {
	per := c.per()
	return counted{key: c.key, tag: c.tag, room: mostTakings, keep: per + min(per, slack.Microseconds()), per: per}
}

// add adds a limit. If several take from a window, the longest step counts.
func (w *counted) add(c countedLimit) {
	n := min(int64(c.Takings()), mostTakings)
	w.room = min(w.room, min(int64(c.Most), mostTakings)-w.take-n)
	if !c.Peek {
		w.take, w.step = min(w.take+n, mostTakings), max(w.step, c.step())
	}
}

// encodeRoom appends roomFields.
func (w *counted) encodeRoom(to []byte) []byte {
	at := &roomLayout
	to = append(to, make([]byte, at.Room.end())...)
	b := to[len(to)-at.Room.end():]
	at.Take.put(b, uint64(w.take))
	at.Room.put(b, uint64(max(w.room+1, 0)))
	return to
}

// encodeSpan appends spanFields.
func (w *counted) encodeSpan(to []byte, key int) []byte {
	at := &spanLayout
	to = append(to, make([]byte, at.Per.end())...)
	b := to[len(to)-at.Per.end():]
	at.Key.put(b, uint64(key))
	copy(b[at.Tag.at:], w.tag)
	at.Step.put(b, uint64(w.step))
	at.Keep.put(b, uint64(w.keep))
	at.Per.put(b, uint64(w.per))
	return to
}

// encode appends a limit as the scripts read it, see limitFields.
func (c countedLimit) encode(to []byte, window int) []byte {
	at := &limitLayout
	window *= 4
	if c.Shadow {
		window |= limitShadow
	}
	if c.Peek {
		window |= limitPeek
	}
	to = append(to, make([]byte, at.Window.end())...)
	b := to[len(to)-at.Window.end():]
	at.Most.put(b, uint64(min(int64(c.Most), mostTakings)))
	at.Number.put(b, uint64(min(int64(c.Takings()), mostTakings)))
	at.Window.put(b, uint64(window))
	return to
}

// mostTakings is a Most that no limit reaches: half of the greatest number in a cell.
const mostTakings = 1<<47 - 1
