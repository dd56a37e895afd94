package channeltest_test

import (
	"context"
	"fmt"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/channeltest"
)

// The fake refuses one message, and accepts the others.
func ExampleFake() {
	carrier := &channeltest.Fake{
		Name:    "carrier-a",
		Answers: []channel.Func{channeltest.Refuse(channel.Throttled, "0x58")},
	}
	for _, id := range []string{"c4n7.1", "c4n7.2"} {
		s, err := carrier.Send(context.Background(), channeltest.Message(channel.Phone, id))
		fmt.Println(s.State, s.ProviderIDs, err)
	}
	fmt.Println(len(carrier.Calls()), "calls,", len(carrier.Accepted()), "accepted")

	// Output:
	// failed [] fake: send: throttled (0x58)
	// sent [carrier-a-1] <nil>
	// 2 calls, 1 accepted
}
