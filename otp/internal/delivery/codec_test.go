package delivery

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/channel"
)

// full has something in every field.
func full() Delivery {
	return Delivery{Sends: 3, Send: 2, Asked: at(1), Attempt: Attempt{4, 2}, Owner: 1<<63 + 5, Phase: Sent, At: at(2),
		Doubt: true, Out: true, Counted: 5, State: channel.Sent,
		Message: Message{Step: 4, Route: "A", Kind: channel.Phone, Providers: []string{"x", ""}, Parts: 1 << 63},
		Early:   "B", Older: []Message{{Step: 1, Route: "B", Kind: channel.Email, Providers: []string{"y"}}, {Step: 2}},
		Tried: []string{"A", "B"}, Via: "C", Used: channel.Phone, Invalid: channel.Email, Reached: 1,
		Charges: []Charge{{At: at(3), Kinds: channel.Phone | channel.Email, Network: true}, {}},
		Request: "r1", Tokens: []uint64{7, 1 << 63}, SentAt: at(4), Undelivered: []string{"B"}}
}

func TestCodec(t *testing.T) {
	t.Parallel()
	for _, d := range []Delivery{full(), New(at(0), at(2), 9, Charge{}), {Charges: []Charge{{}}}} {
		got, err := Decode(d.Encode())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&d, got); diff != "" {
			t.Error(diff)
		}
	}
}

// A record of the version before is read for as long as a challenge lives.
func TestCodecBefore(t *testing.T) {
	t.Parallel()
	want := full()
	want.SentAt, want.Undelivered = time.Time{}, nil
	b := want.Encode()
	b = b[:len(b)-2] // no SentAt, no Undelivered
	b[0] = before
	got, err := Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&want, got); diff != "" {
		t.Error(diff)
	}
}

// FuzzDecode: whatever is read is written again as something that reads alike.
func FuzzDecode(f *testing.F) {
	d := full()
	b := d.Encode()
	f.Add(b)
	for _, cut := range []int{0, 1, 7, len(b) / 2, len(b) - 1} {
		f.Add(b[:cut])
	}
	f.Add(append(bytes.Clone(b), 0))
	f.Add(append([]byte{before}, b[1:]...))
	f.Add([]byte{version + 1})
	f.Add(bytes.Repeat([]byte{0xff}, 64))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := Decode(b)
		if err != nil {
			return
		}
		again, err := Decode(d.Encode())
		if err != nil {
			t.Fatalf("%x: %v", b, err)
		}
		if diff := cmp.Diff(d, again); diff != "" {
			t.Fatal(diff)
		}
	})
}
