package channeltest_test

import (
	"context"
	"fmt"
	"testing"

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

// The test of a channel runs the suite with hooks for the provider behind it. Here the
// fake is its own provider.
func ExampleRun() {
	TestConformance := func(t *testing.T) {
		channeltest.Run(t, channeltest.Harness{
			Address:     channel.Phone,
			ProviderIDs: true,
			New: func(testing.TB) channeltest.Subject {
				fake := &channeltest.Fake{Name: "carrier-a"}
				return channeltest.Subject{
					Channel:  fake,
					Accepted: func() int { return len(fake.Accepted()) },
					Refuse: func(class channel.Class) bool {
						fake.Then = channeltest.Refuse(class, "42")
						return class != channel.Unknown
					},
				}
			},
		})
	}
	_ = TestConformance
}
