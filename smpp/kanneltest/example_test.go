package kanneltest_test

import (
	"net/url"
	"testing"

	"github.com/otpcourier/otpcourier/smpp/kanneltest"
)

// Kannel binds to the SMSC under test, and submits a message to it.
func ExampleStart() {
	TestAggregator := func(t *testing.T) {
		port := 2775 // of the SMSC, on the loopback interface
		k := kanneltest.Start(t, kanneltest.Config{Port: port, Username: "bank", Password: "secret"})
		k.Send(t, url.Values{"from": {"MyBank"}, "to": {"447911123456"}, "text": {"482910 is your code."}})
	}
	_ = TestAggregator
}
