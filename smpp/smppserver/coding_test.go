package smppserver_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/channel/sms"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
	"github.com/otpcourier/otpcourier/smpp/smppserver"
)

// reading is an ESME, and the texts that the server reads in its messages.
func reading(t testing.TB, systemID string, change func(*smppserver.Config)) (*esme, <-chan string) {
	t.Helper()
	texts := make(chan string, 1)
	c := serverConfig()
	c.Handler = func(_ context.Context, m *smppserver.Submit) (string, error) {
		texts <- m.Text
		return "", nil
	}
	if change != nil {
		change(&c)
	}
	e := dial(t, startServer(t, c))
	if f := e.Ask(bindFrame(t, pdu.BindTransceiverID, systemID, "secret")); f.Status != 0 {
		t.Fatalf("bind: %+v", f.Header)
	}
	return e, texts
}

// TestDataCoding: the text of every data_coding of SMPP 3.4, section 5.2.19, and of
// GSM 03.38.
func TestDataCoding(t *testing.T) {
	t.Parallel()
	const (
		gsm     = "\x00\x02 482910 \x1b\x65" // "@$ 482910 €"
		ucs2    = "\x04\x1a\x04\x3e\x04\x34\x00 \x004"
		gsmText = "@$ 482910 €"
		kod     = "Код 4"
	)
	type row struct {
		name  string
		codes []uint8
		data  string
		want  string
	}
	span := func(first, last int) (codes []uint8) {
		for code := first; code <= last; code++ {
			codes = append(codes, uint8(code))
		}
		return codes
	}
	for _, tt := range []row{
		{"SMSC default", []uint8{0x00}, gsm, gsmText},
		{"IA5", []uint8{0x01}, "[482910]_@$", "[482910]_@$"},
		{"GSM that says it is IA5", []uint8{0x01}, gsm, gsmText},
		{"octets", []uint8{0x02, 0x04}, "code 482910", "code 482910"},
		{"octets that are UTF-8", []uint8{0x02, 0x04}, "Код 482910", "Код 482910"},
		{"Latin-1", []uint8{0x03}, "clé 482910"[:2] + "\xe9 482910", "cl\u00e9 482910"},
		{"Shift JIS", []uint8{0x05, 0x09, 0x0D}, "\x94F\x8f\xd8\x83R\x81[\x83h 482910", "認証コード 482910"},
		{"Shift JIS, half-width", []uint8{0x05},
			"\xc6\xdd\xbc\xae\xb3\xba\xb0\xc4\xde 482910", "ﾆﾝｼｮｳｺｰﾄﾞ 482910"},
		{"EUC-JP", []uint8{0x05, 0x0D}, "\xc7\xa7\xbe\xda\xa5\xb3\xa1\xbc\xa5\xc9 482910", "認証コード 482910"},
		{"ISO-2022-JP", []uint8{0x05, 0x0A, 0x0D}, "\x1b$BG'>Z%3!<%I\x1b(B 482910", "認証コード 482910"},
		{"JIS X 0208", []uint8{0x05}, "G'>Z%3!<%I!!#4#8#2#9#1#0", "認証コード　４８２９１０"},
		{"ASCII as JIS", []uint8{0x05, 0x09, 0x0A, 0x0D, 0x0E}, "482910", "482910"},
		{"Cyrillic", []uint8{0x06}, "\xba\xde\xd4 482910", "Код 482910"},
		{"Hebrew", []uint8{0x07}, "\xf7\xe5\xe3 482910", "קוד 482910"},
		{"UCS-2", []uint8{0x08}, ucs2, kod},
		{"UCS-2 with a byte order mark", []uint8{0x08}, "\xfe\xff" + ucs2, kod},
		{"UCS-2, little-endian", []uint8{0x08}, "\xff\xfe\x1a\x04\x3e\x04\x34\x04 \x004\x00", kod},
		{"UCS-2, little-endian without a mark", []uint8{0x08, 0x18}, "4\x008\x002\x009\x001\x000\x00", "482910"},
		{"UCS-2 of characters that end in 00", []uint8{0x08}, "\x4e\x00\x4e\x00", "一一"},
		{"UCS-2 with an octet too many", []uint8{0x08}, ucs2 + "\x00", kod},
		{"Korean", []uint8{0x0E}, "\xc0\xce\xc1\xf5\xb9\xf8\xc8\xa3 482910", "인증번호 482910"},
		{"reserved", []uint8{0x0B, 0x0C, 0x0F}, gsm, gsmText},
		{"default alphabet with a class", span(0x10, 0x13), gsm, gsmText},
		{"octets with a class", span(0x14, 0x17), "code 482910", "code 482910"},
		{"UCS-2 with a class", span(0x18, 0x1B), ucs2, kod},
		{"reserved with a class", span(0x1C, 0x1F), gsm, gsmText},
		{"default alphabet, deleted when read", span(0x40, 0x43), gsm, gsmText},
		{"UCS-2, deleted when read", span(0x58, 0x5B), ucs2, kod},
		{"message waiting, discarded", span(0xC0, 0xCF), gsm, gsmText},
		{"message waiting, stored", span(0xD0, 0xDF), gsm, gsmText},
		{"message waiting, UCS-2", span(0xE0, 0xEF), ucs2, kod},
		{"class", append(span(0xF0, 0xF3), span(0xF8, 0xFB)...), gsm, gsmText},
		{"octets with a class in group 15", append(span(0xF4, 0xF7), span(0xFC, 0xFF)...), "code 4", "code 4"},
		{"UTF-8 that says it is GSM", []uint8{0x00, 0xF0}, "clé 482910", "clé 482910"},
		{"Latin-1 that says it is GSM", []uint8{0x00, 0x10}, "cl\xe9 482910", "clé 482910"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e, texts := reading(t, "bank", nil)
			for _, code := range tt.codes {
				e.submit(func(m *wire.Message) { m.DataCoding, m.Short = code, []byte(tt.data) })
				if got := <-texts; got != tt.want {
					t.Errorf("data_coding 0x%02X: %q, want %q", code, got, tt.want)
				}
			}
		})
	}
}

// TestDataCodingOfParts: the parts of a long message may be in different codings, and
// a character may be cut in two if they are not.
func TestDataCodingOfParts(t *testing.T) {
	t.Parallel()
	e, texts := reading(t, "bank", func(c *smppserver.Config) { c.Assemble = true })
	type part struct {
		coding uint8
		data   string
	}
	for _, tt := range []struct {
		parts [2]part
		want  string
	}{
		{[2]part{{0x00, "code 482910 \x00 "}, {0x18, "\x04\x1a\x04\x3e\x04\x34"}}, "code 482910 @ Код"},
		{[2]part{{0x08, "\x04\x1a\x04\x3e\x04\x34"}, {0x03, " \xe9"}}, "Код é"},
		{[2]part{{0x08, "\x00 \xd8\x3d"}, {0x08, "\xdd\x11"}}, " 🔑"},
		{[2]part{{0x05, "482910 \x83"}, {0x05, "R\x81[\x83h"}}, "482910 コード"},
		{[2]part{{0x00, "482910 \x1b"}, {0x00, "e"}}, "482910 €"},
	} {
		for n, p := range tt.parts {
			e.submit(func(m *wire.Message) {
				m.EsmClass, m.UDH = wire.EsmUDHI, []byte{5, 0, 3, 1, 2, byte(n + 1)}
				m.DataCoding, m.Short = p.coding, []byte(p.data)
			})
		}
		if got := <-texts; got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

// TestAlphabetsPerAccount: two accounts mean different characters by data_coding 0
// and 1.
func TestAlphabetsPerAccount(t *testing.T) {
	t.Parallel()
	change := func(c *smppserver.Config) {
		c.Alphabets = func(systemID string, coding uint8) sms.Encoding {
			switch fmt.Sprint(systemID, coding) {
			case "latin0":
				return sms.Latin1
			case "wide0", "wide1":
				return sms.UCS2
			}
			return sms.GSM7
		}
	}
	for _, tt := range []struct {
		systemID string
		coding   uint8
		data     string
		want     string
	}{
		{"bank", 0, "\x00 4", "@ 4"},
		{"bank", 1, "\x00 4", "@ 4"},
		{"latin", 0, "@ 4\xe9", "@ 4é"},
		{"latin", 0xF0, "@ 4\xe9", "@ 4é"},
		{"latin", 1, "\x00 4", "@ 4"},
		{"latin", 1, "[ 4", "Ä 4"},
		{"wide", 0, "\x00@\x004", "@4"},
		{"wide", 1, "\x00@\x004", "@4"},
		{"wide", 3, "@4", "@4"},
	} {
		e, texts := reading(t, tt.systemID, change)
		e.submit(func(m *wire.Message) { m.DataCoding, m.Short = tt.coding, []byte(tt.data) })
		if got := <-texts; got != tt.want {
			t.Errorf("%s, data_coding %d: %q, want %q", tt.systemID, tt.coding, got, tt.want)
		}
	}
}
