package smpp

import (
	"testing"

	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// A part that waits for the others keeps its text only, not the PDU that it
// came in, which may be a thousand times as long.
func TestJoinerKeepsText(t *testing.T) {
	t.Parallel()
	pdu := append([]byte{5, 0, 3, 1, 3, 1, 'a'}, make([]byte, 60000)...)
	j := newJoiner()
	j.add(&wire.Message{EsmClass: wire.EsmUDHI, Short: pdu[:7]})
	j.add(&wire.Message{EsmClass: wire.EsmUDHI, Short: []byte{5, 0, 3, 1, 3, 2}}) // without text, and yet it has come
	for _, v := range j.open {
		if p := v.parts[0]; string(p) != "a" || cap(p) > 64 {
			t.Errorf("%q is kept in %d octets", p, cap(p))
		}
	}
	data, _ := j.add(&wire.Message{EsmClass: wire.EsmUDHI, Short: []byte{5, 0, 3, 1, 3, 3, 'b'}})
	if string(data) != "ab" {
		t.Errorf("put together: %q", data)
	}
}
