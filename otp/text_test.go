package otp_test

import (
	"encoding/json"
	"testing"

	"github.com/otpcourier/otpcourier/otp"
)

func TestTextForms(t *testing.T) {
	t.Parallel()
	type all struct {
		Next   otp.Next
		Reason otp.Reason
	}
	for text, v := range map[string]all{
		`{"Next":"wait","Reason":"too_soon"}`: {otp.NextWait, otp.ReasonTooSoon},
		`{"Next":"","Reason":""}`:             {},
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
	if err := json.Unmarshal([]byte(`"later"`), new(otp.Next)); err == nil {
		t.Error("Next took a text that it does not have")
	}
	if err := json.Unmarshal([]byte(`"wrongly"`), new(otp.Reason)); err == nil {
		t.Error("Reason took a text that it does not have")
	}
}
