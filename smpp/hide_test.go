package smpp_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/otpcourier/otpcourier/smpp"
)

// TestJSONShowsNoSecret: a careless log does not show what String hides.
func TestJSONShowsNoSecret(t *testing.T) {
	t.Parallel()
	for _, v := range []any{smpp.Inbound{To: "s3cret-number", Text: "s3cret"}} {
		b, err := json.Marshal([]any{v})
		if err != nil || strings.Contains(string(b), "s3cret") {
			t.Errorf("%T is %s, %v", v, b, err)
		}
	}
}
