package wire

import (
	"bytes"
	"testing"

	"github.com/ajankovic/smpp/pdu"
)

// receiptTLVs are the parameters of a receipt.
func receiptTLVs() TLVs {
	return TLVs{}.Append(pdu.TagReceiptedMessageID, []byte("m1\x00")).Append(pdu.TagMessageState, []byte{2})
}

func TestCutUncounted(t *testing.T) {
	t.Parallel()
	whole := receiptTLVs()
	for _, tt := range []struct {
		name, tail, cut string
		tlvs            TLVs
	}{
		{"nothing", "", "", nil},
		{"parameters", string(whole), "", whole},
		{"parameters and NULs", string(whole) + "\x00\x00", "", append(receiptTLVs(), 0, 0)},
		{"a NUL before them", "\x00" + string(whole), "\x00", whole},
		{"text before them", "stat:DELIVRD err:000" + string(whole), "stat:DELIVRD err:000", whole},
		{"text only", "stat:DELIVRD err:000", "stat:DELIVRD err:000", TLVs("stat:DELIVRD err:000")},
		{"parameters and one cut off", string(whole) + "\x04\x23\x00\x09", "", append(receiptTLVs(), 4, 0x23, 0, 9)},
		{"parameters of another kind, cut off", "\x02\x0c\x00\x02\x00\x01\x02", "\x02\x0c\x00\x02\x00\x01\x02",
			TLVs("\x02\x0c\x00\x02\x00\x01\x02")},
	} {
		m := &Message{TLVs: TLVs(tt.tail)}
		if got := m.CutUncounted(); string(got) != tt.cut || !bytes.Equal(m.TLVs, tt.tlvs) {
			t.Errorf("%s: cut %q, left %x", tt.name, got, m.TLVs)
		}
	}
}

// FuzzUncounted: a body that DecodeMessage takes reads the same, and nothing is made
// up.
func FuzzUncounted(f *testing.F) {
	m := &Message{EsmClass: EsmReceipt, Short: []byte("id:m1 stat:DELIVRD"), TLVs: receiptTLVs()}
	body := AppendMessage(nil, pdu.DeliverSmID, 1, m)[HeaderLen:]
	f.Add(body)
	for _, length := range []byte{0, 5, 255} {
		other := bytes.Clone(body)
		other[16] = length // sm_length
		f.Add(other)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := DecodeUncounted(body)
		strict, failure := DecodeMessage(body)
		if failure == nil && (err != nil || !bytes.Equal(m.Short, strict.Short) || !bytes.Equal(m.TLVs, strict.TLVs)) {
			t.Errorf("reads as %+v, %v; want %+v", m, err, strict)
		}
		if err != nil {
			return
		}
		before := bytes.Clone(m.TLVs)
		cut := m.CutUncounted()
		if len(cut) > maxUncounted || !bytes.HasPrefix(before, cut) || !bytes.HasSuffix(before, m.TLVs) {
			t.Errorf("cut %x off %x, left %x", cut, before, m.TLVs)
		}
	})
}
