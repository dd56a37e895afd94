package smpp

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// A part that waits for the others keeps its text only, not the PDU that it
// came in, which may be a thousand times as long.
func TestJoinerKeepsText(t *testing.T) {
	t.Parallel()
	pdu := append([]byte{5, 0, 3, 1, 3, 1, 'a'}, make([]byte, 60000)...)
	j := newInboundJoiner()
	_, _, _ = j.addInbound(&wire.Message{EsmClass: wire.EsmUDHI, Short: pdu[:7]})
	_, _, _ = j.addInbound(&wire.Message{EsmClass: wire.EsmUDHI, Short: []byte{5, 0, 3, 1, 3, 2}}) // without text, and yet it has come
	for _, v := range j.open {
		if p := v.parts[0].text; string(p) != "a" || cap(p) > 64 {
			t.Errorf("%q is kept in %d octets", p, cap(p))
		}
	}
	data, _, _ := j.addInbound(&wire.Message{EsmClass: wire.EsmUDHI, Short: []byte{5, 0, 3, 1, 3, 3, 'b'}})
	if string(data) != "ab" {
		t.Errorf("put together: %q", data)
	}
}

// A joiner holds what it may, and no more.
func TestJoinerLimits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := &joiner{life: time.Minute, most: 2, octets: 10}
		key := func(from string) joinKey { return joinKey{owner: from[:1], from: from, parts: 2} }
		add := func(from string, n int, text, id string) string {
			v, id, err := j.add(key(from), n, joinPart{text: []byte(text), id: id})
			if v == nil {
				return fmt.Sprintf(`"" %s %v`, id, err)
			}
			defer j.settle(v, false)
			return fmt.Sprintf("%q %s %v", joinedText(v.parts), id, err)
		}
		for i, tt := range []struct {
			from     string
			n        int
			text, id string
			wait     time.Duration // before
			want     string
			open     int
		}{
			{"a", 1, "one ", "1", 0, `"" 1 <nil>`, 1},
			{"a", 1, "one!", "2", 0, `"" 1 <nil>`, 1}, // again, under its first id
			{"a", 2, "two", "3", 0, `"one!two" 3 <nil>`, 0},
			{"a", 2, "two", "4", 0, `"" 4 <nil>`, 1}, // of another message
			{"a", 1, "too long", "5", 0, `""  ` + errJoinTooLong.Error(), 0},
			{"b1", 1, "oldest", "6", 0, `"" 6 <nil>`, 1},
			{"b2", 1, "older", "7", 30 * time.Second, `"" 7 <nil>`, 2},
			{"b1", 1, "oldest", "8", 0, `"" 6 <nil>`, 2},
			{"b3", 1, "new", "9", 0, `""  ` + errJoinFull.Error(), 2},
			{"a", 1, "other", "10", 0, `"" 10 <nil>`, 3}, // another owner's has room
			{"b1", 2, "!", "11", 0, `"oldest!" 11 <nil>`, 2},
			{"b3", 1, "new", "12", 0, `"" 12 <nil>`, 3},
			{"b2", 2, "!", "13", time.Minute, `"" 13 <nil>`, 1}, // all were forgotten
		} {
			time.Sleep(tt.wait)
			if got := add(tt.from, tt.n, tt.text, tt.id); got != tt.want {
				t.Errorf("step %d: %s, want %s", i, got, tt.want)
			}
			if len(j.open) != tt.open || j.order.Len() != tt.open {
				t.Errorf("step %d: %d and %d are open, want %d", i, len(j.open), j.order.Len(), tt.open)
			}
			if n := j.owned["a"] + j.owned["b"]; n != tt.open {
				t.Errorf("step %d: %d are owned, want %d", i, n, tt.open)
			}
		}
	})
}
