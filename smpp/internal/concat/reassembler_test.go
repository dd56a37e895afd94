package concat

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// A part that waits for the others keeps its text only, not the PDU that it
// came in, which may be a thousand times as long.
func TestKeepsTextOnly(t *testing.T) {
	t.Parallel()
	pdu := append([]byte{'a'}, make([]byte, 60000)...)
	r := New(Limits{Life: time.Minute, PerOwner: 1, Octets: 10})
	key := Key{From: "a", Parts: 3}
	_, _, _ = r.Add(key, 1, Part{Text: pdu[:1]})
	_, _, _ = r.Add(key, 2, Part{}) // without text, and yet it has come
	for _, m := range r.incomplete {
		if p := m.parts[0].Text; string(p) != "a" || cap(p) > 64 {
			t.Errorf("%q is kept in %d octets", p, cap(p))
		}
	}
	whole, _, _ := r.Add(key, 3, Part{Text: []byte{'b'}})
	if whole == nil || string(whole.Text()) != "ab" {
		t.Errorf("put together: %v", whole)
	}
}

// A Reassembler holds what it may, and no more.
func TestLimits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := New(Limits{Life: time.Minute, PerOwner: 2, Octets: 10})
		key := func(from string) Key { return Key{Owner: from[:1], From: from, Parts: 2} }
		add := func(from string, n int, text, id string) string {
			v, id, err := r.Add(key(from), n, Part{Text: []byte(text), ID: id})
			if v == nil {
				return fmt.Sprintf(`"" %s %v`, id, err)
			}
			defer r.Forget(v)
			return fmt.Sprintf("%q %s %v", v.Text(), id, err)
		}
		for i, tt := range []struct {
			from       string
			n          int
			text, id   string
			wait       time.Duration // before
			want       string
			incomplete int
		}{
			{"a", 1, "one ", "1", 0, `"" 1 <nil>`, 1},
			{"a", 1, "one!", "2", 0, `"" 1 <nil>`, 1}, // again, under its first id
			{"a", 2, "two", "3", 0, `"one!two" 3 <nil>`, 0},
			{"a", 2, "two", "4", 0, `"" 4 <nil>`, 1}, // of another message
			{"a", 1, "too long", "5", 0, `""  ` + ErrTooLong.Error(), 0},
			{"b1", 1, "oldest", "6", 0, `"" 6 <nil>`, 1},
			{"b2", 1, "older", "7", 30 * time.Second, `"" 7 <nil>`, 2},
			{"b1", 1, "oldest", "8", 0, `"" 6 <nil>`, 2},
			{"b3", 1, "new", "9", 0, `""  ` + ErrFull.Error(), 2},
			{"a", 1, "other", "10", 0, `"" 10 <nil>`, 3}, // another owner's has room
			{"b1", 2, "!", "11", 0, `"oldest!" 11 <nil>`, 2},
			{"b3", 1, "new", "12", 0, `"" 12 <nil>`, 3},
			{"b2", 2, "!", "13", time.Minute, `"" 13 <nil>`, 1}, // all were forgotten
		} {
			time.Sleep(tt.wait)
			if got := add(tt.from, tt.n, tt.text, tt.id); got != tt.want {
				t.Errorf("step %d: %s, want %s", i, got, tt.want)
			}
			if len(r.incomplete) != tt.incomplete || r.order.Len() != tt.incomplete {
				t.Errorf("step %d: %d and %d are incomplete, want %d", i, len(r.incomplete), r.order.Len(),
					tt.incomplete)
			}
			if n := r.perOwner["a"] + r.perOwner["b"]; n != tt.incomplete {
				t.Errorf("step %d: %d are owned, want %d", i, n, tt.incomplete)
			}
		}
	})
}
