package wire

import (
	"encoding/binary"

	"github.com/ajankovic/smpp/pdu"
)

// TLVs are the optional parameters of a PDU as they stand on the wire
// (SMPP 3.4, section 3.2.4). The zero value has none.
type TLVs []byte

// Get returns the value of the first parameter with the tag. The value shares
// memory with t. If a parameter claims more octets than there are, it and the
// rest are ignored; so are trailing NULs.
func (t TLVs) Get(tag pdu.TagID) ([]byte, bool) {
	for len(t) >= 4 {
		got, n := pdu.TagID(binary.BigEndian.Uint16(t)), int(binary.BigEndian.Uint16(t[2:]))
		if n > len(t)-4 {
			return nil, false
		}
		if got == tag {
			return t[4 : 4+n], true
		}
		t = t[4+n:]
	}
	return nil, false
}

// String returns the value up to its first NUL.
func (t TLVs) String(tag pdu.TagID) string {
	v, _ := t.Get(tag)
	return cString(v)
}

// Uint8 returns a value of one octet.
func (t TLVs) Uint8(tag pdu.TagID) (uint8, bool) {
	v, _ := t.Get(tag)
	if len(v) != 1 {
		return 0, false
	}
	return v[0], true
}

// Append appends a parameter. A value over 65535 octets is cut.
func (t TLVs) Append(tag pdu.TagID, value []byte) TLVs {
	value = value[:min(len(value), 0xFFFF)]
	t = binary.BigEndian.AppendUint16(t, uint16(tag))
	t = binary.BigEndian.AppendUint16(t, uint16(len(value)))
	return append(t, value...)
}
