package redisstore

import (
	"encoding/binary"
	"hash/crc32"
	"slices"
)

// A counted is a window of a call, with the limits that name it.
type counted struct {
	key             string
	tag             uint32
	take, room      int64 // see roomFields
	step, keep, per int64
}

// encodeLimits returns the KEYS and ARGV of a script: each string once, each window
// once. They have room for those of a challenge.
func encodeLimits(at int64, all []countedLimit) (keys []string, args []any) {
	windows := make([]counted, 0, 8)
	for _, c := range all {
		i, found := place(windows, c)
		if !found {
			windows = slices.Insert(windows, i, c.window())
		}
		windows[i].add(c)
	}
	number := len(windows)
	keys, args = make([]string, 0, number+2), make([]any, 2, number+4)
	rooms := make([]byte, 0, stampLayout.Name.end()+number*(keyLayout.Life.end()+roomLayout.Room.end()))
	spans := make([]byte, 0, 2+number*spanLayout.Per.end()+len(all)*limitLayout.Window.end())
	rooms = appendStamp(rooms, at, nonce())
	name := rooms[stampLayout.Name.at:]
	spans = binary.BigEndian.AppendUint16(spans, uint16(number))
	for i := 0; i < number; {
		own := windows[i:]
		own = own[:sameKey(own)]
		i += len(own)
		keys = append(keys, own[0].key)
		begun := first(own, at, name)
		rooms = encodeKey(rooms, own, begun)
		for _, w := range own {
			spans = w.encodeSpan(spans, len(keys))
		}
		if !takes(own) {
			begun = nil
		}
		args = append(args, begun)
	}
	for _, c := range all {
		i, _ := place(windows, c)
		spans = c.encode(spans, i+1)
	}
	args[0], args[1] = rooms, spans
	return keys, args
}

// place returns where the window of a limit is among windows, or where it belongs: the
// windows of one key are together.
func place(windows []counted, c countedLimit) (i int, found bool) {
	end := len(windows)
	for i, w := range windows {
		if w.key == c.key {
			if w.tag == c.tag {
				return i, true
			}
			end = i + 1
		}
	}
	return end, false
}

// sameKey returns how many windows there are before one of another key.
func sameKey(windows []counted) int {
	n := 1
	for n < len(windows) && windows[n].key == windows[0].key {
		n++
	}
	return n
}

// takes reports whether a call takes from any of windows.
func takes(windows []counted) bool {
	return slices.ContainsFunc(windows, func(w counted) bool { return w.take > 0 })
}

// encodeKey appends keyFields, and the roomFields of windows. begun is their string.
func encodeKey(to []byte, windows []counted, begun []byte) []byte {
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
func first(windows []counted, at int64, name []byte) []byte {
	n := len(windows)
	tags := make([]byte, 0, 12*n)
	b := make([]byte, headLayout.Sign.end(), headLayout.Sign.end()+n*(lastLayout.Step.end()+
		windowLayout.Cells.end())+mostNonces*nonceLen)
	headLayout.Number.put(b, uint64(n))
	for _, w := range windows {
		tags = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(tags, w.tag), uint64(w.step))
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
		b = binary.BigEndian.AppendUint32(b, w.tag)
		b = append(b, make([]byte, windowLayout.Cells.end()-windowLayout.Tag.end())...)
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
	at.Tag.put(b, uint64(w.tag))
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
