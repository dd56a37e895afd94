package wire

import "github.com/otpcourier/otpcourier/channel/sms"

// Encoding returns the encoding of data_coding 3 (Latin-1) and 8 (UCS-2), which
// mean the same everywhere. For any other data_coding it returns other.
func Encoding(coding uint8, other sms.Encoding) sms.Encoding {
	switch coding {
	case CodingLatin1:
		return sms.Latin1
	case CodingUCS2:
		return sms.UCS2
	}
	return other
}

// DecodeText returns the text of a message. If data is not valid in e, it is
// read as Latin-1, in which any octets are valid.
func DecodeText(data []byte, e sms.Encoding) string {
	text, err := sms.Decode(data, e)
	if err != nil {
		text, _ = sms.Decode(data, sms.Latin1)
	}
	return text
}
