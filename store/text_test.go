package store_test

import (
	"encoding"
	"encoding/json"
	"testing"

	"github.com/otpcourier/otpcourier/store"
)

func TestTextForms(t *testing.T) {
	t.Parallel()
	type all struct {
		Outcome  store.Outcome
		Priority store.Priority
		Reason   store.Reason
	}
	for text, v := range map[string]all{
		`{"Outcome":"open","Priority":"normal","Reason":"late"}`:      {store.Open, store.Normal, store.Late},
		`{"Outcome":"verified","Priority":"low","Reason":"failed"}`:   {store.Verified, store.Low, store.Failed},
		`{"Outcome":"cancelled","Priority":"high","Reason":"failed"}`: {store.Cancelled, store.High, store.Failed},
	} {
		data, err := json.Marshal(v)
		if err != nil || string(data) != text {
			t.Errorf("%v: %s, %v", v, data, err)
		}
		var back all
		if err := json.Unmarshal(data, &back); err != nil || back != v {
			t.Errorf("%s became %v, %v", data, back, err)
		}
	}
	for _, into := range []encoding.TextUnmarshaler{new(store.Outcome), new(store.Priority), new(store.Reason)} {
		for _, text := range []string{"", "Open", "later"} {
			if err := into.UnmarshalText([]byte(text)); err == nil {
				t.Errorf("%T took %q", into, text)
			}
		}
	}
	for _, invalid := range []encoding.TextMarshaler{store.Outcome(9), store.Priority(9), store.Priority(-9),
		store.Reason(0), store.Reason(9)} {
		if text, err := invalid.MarshalText(); err == nil {
			t.Errorf("%T became %q", invalid, text)
		}
	}
}
