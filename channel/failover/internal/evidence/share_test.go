package evidence

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"
)

// exchange merges what w has seen of a region into value, and has w take it over.
func exchange(t testing.TB, w *ward, value []byte) []byte {
	t.Helper()
	value = w.Merge(w.now, "GB", value, w.Take("GB"), 4096, 7)
	if err := w.Replace(w.now, "GB", value); err != nil {
		t.Fatal(err)
	}
	return value
}

// Two processes that exchange their evidence order routes as one process with all of it
// does, also if one of them sends and the other verifies.
func TestExchangeIsASum(t *testing.T) {
	t.Parallel()
	one, two, alone := newWard(nil), newWard(nil), newWard(nil)
	one.Keep()
	two.Keep()
	var value []byte
	for i := range 300 {
		sent := one.now
		for _, w := range []*ward{one, alone} {
			w.Sent(sent, "GB", "a")
		}
		for _, w := range []*ward{one, two, alone} {
			w.rest(10 * time.Second)
		}
		if i%10 < 7 {
			for _, w := range []*ward{two, alone} {
				w.Verified(w.now, "GB", "a", sent)
			}
		}
		value = exchange(t, one, value)
		value = exchange(t, two, value)
	}
	value = exchange(t, one, value)
	if len(value) > 1500 {
		t.Errorf("a value of %d octets for one route", len(value))
	}
	want := alone.report("GB", "a")
	for name, w := range map[string]*ward{"sender": one, "verifier": two} {
		got := w.report("GB", "a")
		if math.Abs(got.Evidence-want.Evidence) > 3 || math.Abs(got.Estimate-want.Estimate) > 0.02 {
			t.Errorf("the %s has %+v, one process %+v", name, got, want)
		}
	}
	value = exchange(t, two, value)
	for range 12 {
		one.feed("GB", "a", 1, 0)
		two.now = one.now
		value = exchange(t, one, value)
		value = exchange(t, two, value)
	}
	if loss := two.report("GB", "a").Loss; loss < 0.5 {
		t.Errorf("the other process sees a loss of %v", loss)
	}
}

// Two processes that have seen the same write two values: each knows its own.
func TestMark(t *testing.T) {
	t.Parallel()
	one, two := newWard(nil), newWard(nil)
	var values [2]string
	for i, w := range []*ward{one, two} {
		w.Keep()
		w.feed("GB", "a", 5, 10)
		values[i] = string(w.Merge(w.now, "GB", nil, w.Take("GB"), 4096, uint64(i)))
	}
	if values[0] == values[1] {
		t.Error("both wrote the same value")
	}
}

// A delta whose exchange failed is exchanged later, once.
func TestReturn(t *testing.T) {
	t.Parallel()
	w := newWard(nil)
	w.Keep()
	w.feed("GB", "a", 5, 10)
	d := w.Take("GB")
	w.feed("GB", "a", 3, 10)
	w.Return(w.now, "GB", d)
	exchange(t, w, nil)
	if got := w.report("GB", "a").Evidence; got != 8 {
		t.Errorf("%v messages, want 8", got)
	}
	if d := w.Take("GB"); len(d) > 0 {
		t.Errorf("still to be exchanged: %v", d)
	}
}

// A value that cannot be read is left alone by Replace, and replaced by Merge. One that
// would be too long loses the routes with the least evidence.
func TestDamagedAndLong(t *testing.T) {
	t.Parallel()
	w := newWard(nil)
	w.Keep()
	if w.Replace(w.now, "GB", []byte("?")) == nil {
		t.Error("a damaged value is read")
	}
	w.feed("GB", "a", 3, 10)
	exchange(t, w, []byte("?"))
	for i := range MaxRoutes - 1 {
		w.feed("GB", strings.Repeat("r", 64)+string(rune('0'+i)), 1, 10)
	}
	w.feed("GB", "a", 30, 10)
	value := w.Merge(w.now, "GB", nil, w.Take("GB"), 1500, 7)
	cells, err := decode(value, w.slot)
	if err != nil || len(value) > 1500 || cells["a"] == nil || len(cells) < 2 {
		t.Errorf("%d octets, %d routes, %v", len(value), len(cells), err)
	}
	later := New(Defaults())
	if later.Replace(w.now.Add(-time.Hour), "GB", value) == nil {
		t.Error("a value of another time is read")
	}
}

// FuzzDecode: a value that was decoded can be used, and decodes alike after it was encoded
// again.
func FuzzDecode(f *testing.F) {
	w := newWard(nil)
	w.Keep()
	w.feed("GB", "a", 40, 5)
	w.feed("GB", "b", 4, 10)
	value := w.Merge(w.now, "GB", nil, w.Take("GB"), 4096, 7)
	f.Add(value)
	for _, cut := range []int{0, 1, 10, len(value) / 2, len(value) - 2} {
		f.Add(value[:cut])
	}
	f.Add([]byte("AQcB"))
	f.Add(append(bytes.Clone(value), 'A'))
	f.Fuzz(func(t *testing.T, b []byte) {
		cells, err := decode(b, w.slot)
		if err != nil {
			return
		}
		again, err := decode(encode(cells, 7), w.slot)
		if err != nil || len(again) != len(cells) {
			t.Fatalf("%q: %d routes, then %d, %v", b, len(cells), len(again), err)
		}
		e := newWard(nil)
		e.now = w.now
		if err := e.Replace(e.now, "GB", b); err != nil {
			t.Fatal(err)
		}
		e.order("GB")
		if r := e.report("GB", "a"); math.IsNaN(r.Estimate) || math.IsNaN(r.Loss) {
			t.Fatalf("%+v", r)
		}
	})
}
