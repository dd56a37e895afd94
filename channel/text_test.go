package channel_test

import (
	"encoding"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/otpcourier/otpcourier/channel"
)

func TestClassNames(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for c := channel.Class(0); c.Valid(); c++ {
		got, err := channel.ParseClass(c.String())
		if err != nil || got != c || names[c.String()] {
			t.Errorf("%d %q: parsed as %d, %v", c, c, got, err)
		}
		names[c.String()] = true
	}
	if len(names) != 7 {
		t.Errorf("there are %d classes: %v; failover, its table and the docs know 7", len(names), names)
	}
	_, err := channel.ParseClass("Temporary")
	if err == nil || !strings.Contains(err.Error(), "temporary, throttled") {
		t.Errorf("got %v, want the names that there are", err)
	}
}

func TestTextForms(t *testing.T) {
	t.Parallel()
	for c := channel.Class(0); c.Valid(); c++ {
		roundTrip(t, c, new(channel.Class), c.String())
	}
	roundTrip(t, channel.State(0), new(channel.State), "none")
	roundTrip(t, channel.Delivered, new(channel.State), "delivered")
	roundTrip(t, channel.Address(0), new(channel.Address), "none")
	roundTrip(t, channel.Phone|channel.Email, new(channel.Address), "phone+email")
	for _, row := range []struct {
		into encoding.TextUnmarshaler
		text string
	}{
		{new(channel.Class), "wrong"}, {new(channel.Class), ""}, {new(channel.State), "lost"},
		{new(channel.Address), "fax"}, {new(channel.Address), "phone+"}, {new(channel.Address), ""},
	} {
		if err := row.into.UnmarshalText([]byte(row.text)); err == nil {
			t.Errorf("%T took %q", row.into, row.text)
		}
	}
	for _, invalid := range []encoding.TextMarshaler{channel.Class(200), channel.State(200), channel.Address(200)} {
		if text, err := invalid.MarshalText(); err == nil {
			t.Errorf("%T(200) became %q", invalid, text)
		}
	}
}

// roundTrip wants v in JSON as the string text, and back.
func roundTrip[T comparable](t *testing.T, v T, into *T, text string) {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil || string(data) != fmt.Sprintf("%q", text) {
		t.Errorf("%T %v: %s, %v", v, v, data, err)
	}
	if err := json.Unmarshal(data, into); err != nil || *into != v {
		t.Errorf("%s became %v, %v", data, *into, err)
	}
}
