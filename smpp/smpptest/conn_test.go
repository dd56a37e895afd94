package smpptest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/otpcourier/otpcourier/smpp/smppserver"
)

// A script whose receipt cannot be sent is not one that sends none.
func TestImpossibleReceipt(t *testing.T) {
	t.Parallel()
	defer func() {
		if said := fmt.Sprint(recover()); !strings.Contains(said, "DeliveryReceipt.Stat") {
			t.Errorf("said %q", said)
		}
	}()
	new(Server).deliver(new(smppserver.Session), smppserver.DeliveryReceipt{ID: "m1", Stat: "NOT YET"})
}
