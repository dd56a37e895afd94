package smppserver_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/otpcourier/otpcourier/smpp/smppserver"
)

// TestJSONShowsNoSecret: a careless log does not show what String hides.
func TestJSONShowsNoSecret(t *testing.T) {
	t.Parallel()
	for _, v := range []any{smppserver.BindRequest{Password: "s3cret"}, &smppserver.Submit{To: "s3cret-number", Text: "s3cret"},
		smppserver.MobileMessage{To: "s3cret-number", Text: "s3cret"},
		smppserver.DeliveryReceipt{To: "s3cret-number"}, &smppserver.CancelRequest{To: "s3cret-number"},
		&smppserver.QueryRequest{From: "s3cret-number"}} {
		b, err := json.Marshal([]any{v})
		if err != nil || strings.Contains(string(b), "s3cret") {
			t.Errorf("%T is %s, %v", v, b, err)
		}
	}
}
