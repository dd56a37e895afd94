package failover_test

import (
	"testing"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/channeltest"
	"github.com/otpcourier/otpcourier/channel/failover"
)

// TestConformance puts the failover through the suite for channels.
func TestConformance(t *testing.T) {
	t.Parallel()
	channeltest.Run(t, channeltest.Harness{
		Address: channel.Phone, ProviderIDs: true,
		New: func(t testing.TB) channeltest.Subject {
			fake := &channeltest.Fake{Address: channel.Phone}
			c, err := failover.New(failover.Config{Router: failover.List(channel.Route{Name: "only", Channel: fake,
				Address: channel.Phone})})
			if err != nil {
				t.Fatal(err)
			}
			return channeltest.Subject{
				Channel:  c,
				Accepted: func() int { return taken(fake) },
				Refuse:   func(class channel.Class) bool { fake.Then = refuse(class, "1"); return true },
				Codes:    map[channel.Class]string{channel.Throttled: "1", channel.Misconfigured: "1"},
				Stall: func() func() {
					fake.Then = channeltest.Stall()
					return func() { fake.Then = nil }
				},
			}
		},
	})
}

// taken counts the messages that the fake accepted or read without an answer.
func taken(f *channeltest.Fake) (n int) {
	for _, c := range f.Calls() {
		if c.Answered && (c.Err == nil || channel.ClassOf(c.Err) == channel.Unknown) {
			n++
		}
	}
	return n
}
