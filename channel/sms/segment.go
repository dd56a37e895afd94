package sms

const (
	// MaxParts is the largest number of parts of a message: the header counts
	// them in an octet.
	MaxParts = 255

	partOctets = 140 // TP-User-Data (3GPP TS 23.040, section 9.2.3.24)
)

// room returns how many units of e fit in a part with a header of that many
// octets. Septets are packed on the air, so more of them fit than octets.
func (e Encoding) room(header int) int {
	octets := partOctets - header
	switch e {
	case GSM7:
		return octets * 8 / 7
	case UCS2:
		return octets / 2
	}
	return octets
}

// A Reference tells the parts of one message from the parts of another.
// Messages that go to the same phone at the same time must have different
// references. The zero value is Ref8(0).
type Reference struct {
	number uint16
	wide   bool
}

// Ref8 is a reference of 8 bits (3GPP TS 23.040, section 9.2.3.24.1), which
// every phone knows.
func Ref8(n uint8) Reference { return Reference{number: uint16(n)} }

// Ref16 is a reference of 16 bits (3GPP TS 23.040, section 9.2.3.24.8). It
// collides less often than Ref8, and takes one character more from each part.
func Ref16(n uint16) Reference { return Reference{number: n, wide: true} }

// headerLen is the length of a part's UDH in octets, its length octet included.
func (r Reference) headerLen() int {
	if r.wide {
		return 7
	}
	return 6
}

// appendHeader appends the UDH of part number seq, counted from 1.
func (r Reference) appendHeader(b []byte, total, seq int) []byte {
	if r.wide {
		return append(b, 6, 0x08, 4, byte(r.number>>8), byte(r.number), byte(total), byte(seq))
	}
	return append(b, 5, 0x00, 3, byte(r.number), byte(total), byte(seq))
}

// A Part is the content of one short message: first UDH, then Data.
type Part struct {
	UDH  []byte // user data header with its length octet; nil in a message of one part
	Data []byte // in the encoding given to Split
}

// Split encodes text and cuts it into parts, never within an escape sequence or
// a surrogate pair. A text that fits in one part has no header, and ref is not
// used. An empty text is one empty part. A text of more than MaxParts parts is
// an [*Error] with Reason TooLong.
func Split(text string, e Encoding, ref Reference) ([]Part, error) {
	data, err := Encode(text, e)
	if err != nil {
		return nil, err
	}
	if len(data) <= e.octets(e.room(0)) {
		return []Part{{Data: data}}, nil
	}
	limit := e.octets(e.room(ref.headerLen()))
	parts := make([]Part, 0, len(data)/limit+1)
	for len(data) > 0 {
		if len(parts) == MaxParts {
			return nil, &Error{Reason: TooLong, Encoding: e}
		}
		n := cut(data, limit, e)
		parts = append(parts, Part{Data: data[:n:n]})
		data = data[n:]
	}
	headers := make([]byte, 0, len(parts)*ref.headerLen())
	for i := range parts {
		start := len(headers)
		headers = ref.appendHeader(headers, len(parts), i+1)
		parts[i].UDH = headers[start:len(headers):len(headers)]
	}
	return parts, nil
}

// octets returns the encoded size of that many units.
func (e Encoding) octets(units int) int {
	if e == UCS2 {
		return 2 * units
	}
	return units
}

// cut returns how many of data's octets, at most limit, go into the next part.
func cut(data []byte, limit int, e Encoding) int {
	if len(data) <= limit {
		return len(data)
	}
	switch {
	case e == GSM7 && data[limit-1] == escape:
		return limit - 1
	case e == UCS2 && data[limit-2]&0xFC == 0xD8: // high surrogate
		return limit - 2
	}
	return limit
}

// Length is the cost of a text.
type Length struct {
	Encoding Encoding
	Units    int // septets or UTF-16 units
	Segments int // parts that Split makes, at least 1; Split refuses more than MaxParts
	Left     int // units left in the last segment
}

// Measure returns the length of text in the encoding that Detect chooses and
// with 8-bit references: 160 septets or 70 UTF-16 units in one segment, 153 or
// 67 in each of several. A byte that is not UTF-8 counts as one unit of UCS-2.
func Measure(text string) Length {
	e := Detect(text)
	single, room := e.room(0), e.room(Ref8(0).headerLen())
	units, segments, used := 0, 1, 0
	for _, r := range text {
		w := e.width(r)
		if used+w > room {
			segments++
			used = 0
		}
		used += w
		units += w
	}
	if units <= single {
		return Length{Encoding: e, Units: units, Segments: 1, Left: single - units}
	}
	return Length{Encoding: e, Units: units, Segments: segments, Left: room - used}
}
