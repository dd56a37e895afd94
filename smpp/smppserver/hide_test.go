package smppserver_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/otpcourier/otpcourier/smpp/smppserver"
)

// However a careless log formats a value, or a pointer to it, it does not show
// what String hides.
func TestNoFormattingShowsASecret(t *testing.T) {
	t.Parallel()
	submit := smppserver.Submit{To: "s3cret-number", From: "s3cret-sender", Text: "s3cret"}
	cancel := smppserver.CancelRequest{To: "s3cret-number", From: "s3cret-sender"}
	query := smppserver.QueryRequest{From: "s3cret-number"}
	for _, v := range []any{smppserver.BindRequest{Password: "s3cret"}, submit, &submit, cancel, &cancel, query, &query,
		smppserver.MobileMessage{To: "s3cret-number", Text: "s3cret"},
		smppserver.DeliveryReceipt{To: "s3cret-number"}} {
		encoded, err := json.Marshal([]any{v})
		if err != nil {
			t.Errorf("%T: %v", v, err)
		}
		var logged bytes.Buffer
		slog.New(slog.NewTextHandler(&logged, nil)).Info("", "v", v)
		shown := fmt.Sprintf("%v %+v %#v %s %s", v, v, v, encoded, logged.String())
		if strings.Contains(shown, "s3cret") {
			t.Errorf("%T: %s", v, shown)
		}
	}
}
