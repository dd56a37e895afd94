package smpp_test

import (
	"strings"
	"testing"

	"github.com/ajankovic/smpp/pdu"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/sms"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// ucs2 is a text in UCS-2.
func ucs2(t *testing.T, text string) []byte {
	t.Helper()
	b, err := sms.Encode(text, sms.UCS2)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// swapped is b with the octets of each pair exchanged.
func swapped(b []byte) []byte {
	out := make([]byte, len(b))
	for i := range b {
		out[i] = b[i^1]
	}
	return out
}

// packed is a text of ASCII letters, digits and colons as eight septets in seven
// octets.
func packed(text string) []byte {
	var out []byte
	bits, n := uint(0), 0
	for _, c := range []byte(text) {
		bits |= uint(c) << n
		for n += 7; n >= 8; n -= 8 {
			out = append(out, byte(bits))
			bits >>= 8
		}
	}
	if n > 0 {
		out = append(out, byte(bits))
	}
	return out
}

// deliverRaw is a deliver_sm whose sm_length is what it is said to be.
func deliverRaw(esmClass, coding, length byte, tail string) []byte {
	body := "\x00\x01\x01447911123456\x00\x05\x00MyBank\x00" + string([]byte{esmClass}) +
		"\x00\x00\x00\x00\x00\x00" + string([]byte{coding, 0, length}) + tail
	b := wire.AppendEmpty(nil, pdu.DeliverSmID, 0, 77)
	b = append(b, body...)
	b[2], b[3] = byte(len(b)>>8), byte(len(b))
	return b
}

const fullReceipt = "id:m1 sub:001 dlvrd:001 submit date:2602121430 done date:2602121430 stat:DELIVRD err:000 text:"

// A receipt is read whatever its header claims, and answered in each case.
func TestReceiptIsReadWhateverItsHeaderClaims(t *testing.T) {
	t.Parallel()
	delivered := &channel.Receipt{ProviderID: "m1", State: channel.Delivered, Code: "DELIVRD err:000"}
	undelivered := func(code string) *channel.Receipt {
		return &channel.Receipt{ProviderID: "m1", State: channel.Failed, Class: channel.Unreachable, Code: code}
	}
	bare := &channel.Receipt{ProviderID: "m1", State: channel.Delivered, Code: "DELIVRD"}
	tlv := func(value string) string {
		return string(wire.TLVs{}.Append(pdu.TagReceiptedMessageID, []byte("m1\x00")).
			Append(pdu.TagMessageState, []byte(value)))
	}
	own := func(c *smpp.Config) {
		c.ReceiptStates = map[string]smpp.MessageState{"dlvrd_ack": smpp.MessageDelivered,
			"24": smpp.MessageUndeliverable, "0x": smpp.MessageRejected, "2": smpp.MessageExpired}
	}
	plainOnes := func(c *smpp.Config) { c.ReceiptsInPlainMessages = true }
	n := byte(len(fullReceipt))
	wide := string(ucs2(t, fullReceipt))
	for _, tt := range []struct {
		name string
		pdu  []byte
		edit func(*smpp.Config)
		want *channel.Receipt // nil: not taken for a receipt
	}{
		{"ASCII that claims UCS-2", deliverRaw(4, 8, n, fullReceipt), nil, delivered},
		{"ASCII of an even length that claims UCS-2", deliverRaw(4, 8, n+1, fullReceipt+" "), nil, delivered},
		{"ASCII that claims to be binary", deliverRaw(4, 4, n, fullReceipt), nil, delivered},
		{"ASCII that claims an unknown coding", deliverRaw(4, 0xF5, n, fullReceipt), nil, delivered},
		{"UCS-2 that claims the default", deliverRaw(4, 0, byte(len(wide)), wide), nil, delivered},
		{"UCS-2 that claims Latin-1", deliverRaw(4, 3, byte(len(wide)), wide), nil, delivered},
		{"UCS-2 with a message class", deliverRaw(4, 0x18, byte(len(wide)), wide), nil, delivered},
		{"UCS-2 with the octets swapped", deliverRaw(4, 8, byte(len(wide)), string(swapped([]byte(wide)))), nil,
			delivered},
		{"packed GSM 7-bit", deliverRaw(4, 0, 21, string(packed("id:m1 stat:DELIVRD err:0"))), nil,
			&channel.Receipt{ProviderID: "m1", State: channel.Delivered, Code: "DELIVRD err:0"}},
		{"packed GSM 7-bit that claims UCS-2", deliverRaw(4, 8, 21, string(packed("id:m1 stat:DELIVRD err:0"))), nil,
			&channel.Receipt{ProviderID: "m1", State: channel.Delivered, Code: "DELIVRD err:0"}},

		{"sm_length 0 before the text", deliverRaw(4, 0, 0, fullReceipt), nil, delivered},
		{"sm_length short of the text", deliverRaw(4, 0, 40, fullReceipt), nil, delivered},
		{"sm_length short of the text, before TLVs", deliverRaw(4, 0, 40, fullReceipt+tlv("\x05")), nil,
			undelivered("UNDELIV err:000")},
		{"sm_length beyond the end", deliverRaw(4, 0, 200, fullReceipt), nil, delivered},
		{"sm_length that does not count a NUL", deliverRaw(4, 0, n, fullReceipt+"\x00"), nil, delivered},
		{"sm_length that does not count a NUL, before TLVs",
			deliverRaw(4, 0, n, fullReceipt+"\x00"+tlv("\x05")), nil, undelivered("UNDELIV err:000")},
		{"sm_length that does not count two NULs, before TLVs",
			deliverRaw(4, 0, 0, "\x00\x00"+tlv("\x02")), nil, bare},
		{"TLV cut off behind the others", deliverRaw(4, 0, n, fullReceipt+tlv("\x05")+"\x04\x23\x00\x09"), nil,
			undelivered("UNDELIV err:000")},

		{"state as a word alone", deliverRaw(4, 0, 9, "delivered"+tlv("")), nil, bare},
		{"state as a word of the TLV", deliverRaw(4, 0, 0, tlv("UNDELIV\x00")), nil, undelivered("UNDELIV")},
		{"state as a digit of the TLV", deliverRaw(4, 0, 0, tlv("2")), nil, bare},
		{"state of four octets", deliverRaw(4, 0, 0, tlv("\x00\x00\x00\x02")), nil, bare},
		{"state as a number of the text", deliverRaw(4, 0, 16, "id:m1 stat:00005"), nil, undelivered("UNDELIV")},
		{"state called status", deliverRaw(4, 0, 22, "id:m1 status:DELIVERED"), nil, bare},
		{"state called state", deliverRaw(4, 0, 25, "id:m1 state:undeliverable"), nil, undelivered("UNDELIV")},
		{"word of the SMSC's own", deliverRaw(4, 0, 20, "id:m1 stat:DLVRD_ACK"), own,
			&channel.Receipt{ProviderID: "m1", State: channel.Delivered}},
		{"number of the SMSC's own", deliverRaw(4, 0, 13, "id:m1 stat:24"), own, undelivered("24")},
		{"number of the SMSC's own in the TLV", deliverRaw(4, 0, 0, tlv("\x18")), own, undelivered("24")},
		{"number of the standard that means another", deliverRaw(4, 0, 0, tlv("\x02")), own, undelivered("2")},
		{"number of the SMSC's own, unknown", deliverRaw(4, 0, 13, "id:m1 stat:24"), nil,
			&channel.Receipt{ProviderID: "m1", State: channel.Sent, Code: "24"}},
		{"number of the SMSC's own in the TLV, and the text's word", deliverRaw(4, 0, n, fullReceipt+tlv("\x63")), nil,
			delivered},

		{"esm_class 0x08", deliverRaw(8, 0, n, fullReceipt), nil, delivered},
		{"esm_class 0x08 with a text", deliverRaw(8, 0, 5, "hello"), nil, nil},
		{"esm_class 0x0C", deliverRaw(0x0C, 0, n, fullReceipt), nil, delivered},
		{"esm_class 0x24", deliverRaw(0x24, 0, n, fullReceipt), nil, delivered},
		{"esm_class 0x44 without a header", deliverRaw(0x44, 0, n+20, fullReceipt+"Your code is on its "), nil,
			delivered},
		{"esm_class 0", deliverRaw(0, 0, n, fullReceipt), nil, nil},
		{"esm_class 0 with ReceiptsInPlainMessages", deliverRaw(0, 0, n, fullReceipt), plainOnes, delivered},
		{"esm_class 0 with message_state", deliverRaw(0, 0, n, fullReceipt+
			string(wire.TLVs{}.Append(pdu.TagMessageState, []byte{5}))), nil, undelivered("UNDELIV err:000")},
		{"text of a person with ReceiptsInPlainMessages", deliverRaw(0, 0, 11, "id:1 please"), plainOnes, nil},
		{"text that looks like TLVs", deliverRaw(0, 0, 0, "\x00"+tlv("\x02")), nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := newReceipts()
			answered := make(chan wire.Header, 1)
			config := peers(t, func(p *peer, _ int) {
				p.bind()
				_, _ = p.Write(tt.pdu)
				answered <- p.Next().Header
				p.Drain()
			})
			config.Receipt = got.handle
			if tt.edit != nil {
				tt.edit(&config)
			}
			newClient(t, config)
			if h := <-answered; h != (wire.Header{ID: pdu.DeliverSmRespID, Seq: 77}) {
				t.Errorf("answered with %+v", h)
			}
			var want []channel.Receipt
			if tt.want != nil {
				want = []channel.Receipt{*tt.want}
			}
			if diff := cmp.Diff(want, got.got, cmpopts.IgnoreFields(channel.Receipt{}, "At")); diff != "" {
				t.Errorf("receipts (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReceiptStatesAreValidated(t *testing.T) {
	t.Parallel()
	for word, state := range map[string]smpp.MessageState{" ": smpp.MessageDelivered, "X": 10} {
		_, err := smpp.New(smpp.Config{Addr: "smsc.example:2776",
			ReceiptStates: map[string]smpp.MessageState{word: state}})
		if err == nil || !strings.Contains(err.Error(), "Config.ReceiptStates[") {
			t.Errorf("%q: error is %v", word, err)
		}
	}
	if got := smpp.MessageDelivered.String() + smpp.MessageState(10).String(); got != "DELIVRDOTHER" {
		t.Errorf("states print as %s", got)
	}
}
