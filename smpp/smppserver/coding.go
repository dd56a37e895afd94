package smppserver

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"

	"github.com/otpcourier/otpcourier/channel/sms"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// Values of data_coding (SMPP 3.4, section 5.2.19) without a name in package wire.
const (
	codingIA5        = 0x01
	codingBinary     = 0x02
	codingBinary8    = 0x04
	codingJIS        = 0x05 // JIS X 0208-1990
	codingCyrillic   = 0x06 // ISO 8859-5
	codingHebrew     = 0x07 // ISO 8859-8
	codingPictogram  = 0x09
	codingISO2022JP  = 0x0A
	codingKanji      = 0x0D // JIS X 0212-1990
	codingKorean     = 0x0E // KS C 5601
	firstCodingGroup = 0x10 // from here on as in GSM 03.38
)

// alphabets are the encodings of data_coding 0 and 1 for one system_id.
type alphabets struct {
	zero, ia5 sms.Encoding
	guess     bool // ia5 is not configured
}

// alphabets returns the encodings for a system_id.
func (c *Config) alphabets(systemID string) alphabets {
	a := alphabets{zero: c.Alphabet, ia5: sms.Latin1, guess: true}
	if c.Alphabets != nil {
		a.guess = false
		a.zero, a.ia5 = c.Alphabets(systemID, wire.CodingDefault), c.Alphabets(systemID, codingIA5)
	}
	return a
}

// decode returns the text of a message, or of a part. If the octets are not valid
// in their data_coding, they are read as UTF-8 or Latin-1.
func (a alphabets) decode(data []byte, coding uint8) string {
	switch {
	case coding >= firstCodingGroup:
		return a.decodeGroup(data, coding)
	case coding == codingIA5:
		return a.decodeIA5(data)
	case coding == codingBinary, coding == codingBinary8:
		return decodeOctets(data)
	case coding == wire.CodingLatin1:
		return decodeSMS(data, sms.Latin1)
	case coding == codingJIS, coding == codingPictogram, coding == codingKanji, coding == codingISO2022JP:
		return decodeJapanese(data)
	case coding == codingCyrillic:
		return decodeFirst(data, charmap.ISO8859_5)
	case coding == codingHebrew:
		return decodeFirst(data, charmap.ISO8859_8)
	case coding == wire.CodingUCS2:
		return decodeUCS2(data)
	case coding == codingKorean:
		return decodeFirst(data, korean.EUCKR)
	}
	return decodeSMS(data, a.zero)
}

// decodeGroup is decode for the coding groups of GSM 03.38 (3GPP TS 23.038,
// section 4). Their default alphabet is the encoding of data_coding 0: an ESME
// with another default, such as Kannel's alt-charset, uses it for both.
func (a alphabets) decodeGroup(data []byte, coding uint8) string {
	switch {
	case coding < 0x80: // 00xx, general; 01xx, for automatic deletion
		switch coding & 0x0C {
		case 0x04:
			return decodeOctets(data)
		case 0x08:
			return decodeUCS2(data)
		}
	case coding&0xF0 == 0xE0: // message waiting indication, UCS-2
		return decodeUCS2(data)
	case coding&0xF4 == 0xF4: // 8-bit data with a message class
		return decodeOctets(data)
	}
	return decodeSMS(data, a.zero)
}

// decodeIA5 reads data_coding 1. Some ESMEs, such as node-smpp, mean GSM 03.38 by
// it: their "@" and their escapes are control characters, which no IA5 text has.
func (a alphabets) decodeIA5(data []byte) string {
	if a.guess && bytes.ContainsFunc(data, func(r rune) bool { return r < ' ' && !strings.ContainsRune("\t\n\r", r) }) {
		return decodeSMS(data, sms.GSM7)
	}
	return decodeSMS(data, a.ia5)
}

func decodeSMS(data []byte, e sms.Encoding) string {
	if e == sms.UCS2 {
		return decodeUCS2(data)
	}
	text, err := sms.Decode(data, e)
	if err != nil {
		return decodeOctets(data)
	}
	return text
}

// decodeOctets reads octets of no known alphabet.
func decodeOctets(data []byte) string {
	if utf8.Valid(data) {
		return string(data)
	}
	text, _ := sms.Decode(data, sms.Latin1)
	return text
}

// decodeUCS2 reads UTF-16, big-endian unless a byte order mark or the text itself
// shows otherwise. An odd octet at the end is dropped.
func decodeUCS2(data []byte) string {
	data = data[:len(data)/2*2]
	switch {
	case bytes.HasPrefix(data, []byte{0xFE, 0xFF}):
		data = data[2:]
	case bytes.HasPrefix(data, []byte{0xFF, 0xFE}):
		data = swapOctets(data[2:])
	case isSwappedLatin(data):
		data = swapOctets(data)
	}
	text, _ := sms.Decode(data, sms.UCS2) // cannot fail: the length is even
	return text
}

func swapOctets(data []byte) []byte {
	swapped := make([]byte, len(data))
	for i := 0; i < len(data); i += 2 {
		swapped[i], swapped[i+1] = data[i+1], data[i]
	}
	return swapped
}

// isSwappedLatin reports whether data is little-endian and only of Latin
// characters: in no language is there a text of four and more characters that all
// end in 00.
func isSwappedLatin(data []byte) bool {
	for i := 0; i < len(data); i += 2 {
		if data[i] == 0 || data[i+1] != 0 {
			return false
		}
	}
	return len(data) >= 8
}

// decodeJapanese reads the usual forms of JIS: ISO-2022-JP, bare JIS X 0208, Shift
// JIS and EUC-JP. data_coding names the characters but not their encoding.
func decodeJapanese(data []byte) string {
	switch {
	case bytes.IndexByte(data, 0x1B) >= 0:
		return decodeFirst(data, japanese.ISO2022JP)
	case isBareJIS(data):
		return decodeFirst(append([]byte("\x1B$B"), data...), japanese.ISO2022JP)
	}
	text := decodeFirst(data, japanese.ShiftJIS, japanese.EUCJP)
	if kanaLeads(text) {
		return decodeFirst(data, japanese.EUCJP, japanese.ShiftJIS)
	}
	return text
}

// kanaLeads reports whether a text in Shift JIS is probably EUC-JP: kana of EUC-JP
// begin with 0xA4 or 0xA5, which Shift JIS reads as half-width punctuation.
func kanaLeads(text string) bool {
	leads, halfWidth := 0, 0
	for _, r := range text {
		if r == '､' || r == '･' {
			leads++
		}
		if r >= '｡' && r <= 'ﾟ' {
			halfWidth++
		}
	}
	return 6*leads > halfWidth
}

// isBareJIS reports whether data is JIS X 0208, two octets a character, and not
// ASCII: most of its characters are kana, digits or punctuation (rows 1 to 5).
func isBareJIS(data []byte) bool {
	common := 0
	for i, octet := range data {
		if octet < 0x21 || octet > 0x7E {
			return false
		}
		if i%2 == 0 && octet <= 0x25 {
			common++
		}
	}
	return len(data)%2 == 0 && common > len(data)/4
}

// decodeFirst reads data in the first of the encodings in which all of it is valid.
func decodeFirst(data []byte, encodings ...encoding.Encoding) string {
	for _, e := range encodings {
		text, err := e.NewDecoder().Bytes(data)
		if err == nil && !bytes.ContainsRune(text, utf8.RuneError) {
			return strings.ToValidUTF8(string(text), "")
		}
	}
	return decodeOctets(data)
}
