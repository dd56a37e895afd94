package smppserver_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/otpcourier/otpcourier/smpp/smppserver"
)

// TestSecrets: nothing that is printed shows a password, a text or an
// address.
func TestSecrets(t *testing.T) {
	t.Parallel()
	for _, v := range []any{
		smppserver.BindRequest{SystemID: "bank", Password: "hunter22"},
		&smppserver.Submit{Text: "hunter22", Data: []byte("hunter22"), To: "+447911123456"},
		smppserver.DeliveryReceipt{ID: "m1", From: "+447911123456"},
	} {
		for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
			if got := fmt.Sprintf(format, v); strings.Contains(got, "hunter22") ||
				strings.Contains(got, "447911123456") {
				t.Errorf("%s of %T is %s", format, v, got)
			}
		}
	}
}
