package pull_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/otpcourier/otpcourier/gateway/pull"
)

// TestJSONShowsNoSecret: a careless log does not show what String hides.
func TestJSONShowsNoSecret(t *testing.T) {
	t.Parallel()
	for _, v := range []any{pull.Phone{ID: "p1", Password: "s3cret"}} {
		b, err := json.Marshal([]any{v})
		if err != nil || strings.Contains(string(b), "s3cret") {
			t.Errorf("%T is %s, %v", v, b, err)
		}
	}
}
