// Package concat is the concatenation of short messages: it reads the header of
// a part, and joins the parts of a message.
package concat

import (
	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// A Header identifies the part of a long message in a PDU.
type Header struct {
	Reference int // the sender's number for the long message
	Parts     int // number of parts
	Part      int // number of this part, from 1
}

// ReadHeader reads a user data header (3GPP TS 23.040, sections 9.2.3.24.1 and
// 9.2.3.24.8), or else the TLVs sar_… (SMPP 3.4, sections 5.3.2.22 to
// 5.3.2.24). It returns false if the message is no part, and for impossible
// numbers.
func ReadHeader(udh []byte, tlvs wire.TLVs) (Header, bool) {
	if len(udh) > 0 {
		for e := udh[1:]; len(e) >= 2 && len(e) >= 2+int(e[1]); e = e[2+int(e[1]):] {
			switch v := e[2 : 2+int(e[1])]; {
			case e[0] == 0x00 && len(v) == 3:
				return newHeader(int(v[0]), v[1], v[2])
			case e[0] == 0x08 && len(v) == 4:
				return newHeader(int(v[0])<<8|int(v[1]), v[2], v[3])
			}
		}
	}
	reference, has := tlvs.Get(pdu.TagSarMsgRefNum)
	parts, _ := tlvs.Uint8(pdu.TagSarTotalSegments)
	part, _ := tlvs.Uint8(pdu.TagSarSegmentSeqnum)
	if !has || len(reference) != 2 {
		return Header{}, false
	}
	return newHeader(int(reference[0])<<8|int(reference[1]), parts, part)
}

func newHeader(reference int, parts, part uint8) (Header, bool) {
	return Header{reference, int(parts), int(part)}, part >= 1 && part <= parts
}
