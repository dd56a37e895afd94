package failover_test

import (
	"context"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/channeltest"
	"github.com/otpcourier/otpcourier/channel/failover"
)

var submission = channel.Submission{ProviderIDs: []string{"1"}, State: channel.Sent}

func instantly(context.Context, *channel.Message) (channel.Submission, error) { return submission, nil }

// A promptly is a prompt channel.
type promptly struct{ channel.Func }

func (promptly) Prompt(channel.Channel) bool { return true }
func (promptly) SendUntil(context.Context, *channel.Message, time.Time) (channel.Submission, error) {
	return submission, nil
}

// BenchmarkSend compares a channel called directly with the same one behind a
// failover: what the failover costs.
func BenchmarkSend(b *testing.B) {
	phone := func(name string, f channel.Func) channel.Route {
		return channel.Route{Name: name, Channel: f, Address: channel.Phone}
	}
	refusal := &channel.Error{Class: channel.Unreachable, Op: "fake: send", Code: "0x45"}
	refuse := func(context.Context, *channel.Message) (channel.Submission, error) {
		return channel.Submission{}, refusal
	}
	weighted, err := failover.ByWeight(failover.Weights{Routes: []failover.Weighted{
		{Route: phone("a", instantly), Weight: 70}, {Route: phone("b", instantly), Weight: 30},
	}})
	if err != nil {
		b.Fatal(err)
	}
	for _, bench := range []struct {
		name   string
		router channel.Router
	}{
		{"direct", nil},
		{"first", failover.List(phone("a", instantly), phone("b", instantly))},
		{"prompt", failover.List(channel.Route{Name: "a", Channel: promptly{instantly}, Address: channel.Phone})},
		{"second", failover.List(phone("a", refuse), phone("b", instantly))},
		{"weighted", weighted},
	} {
		b.Run(bench.name, func(b *testing.B) {
			c := channel.Channel(channel.Func(instantly))
			if bench.router != nil {
				if c, err = failover.New(failover.Config{Router: bench.router}); err != nil {
					b.Fatal(err)
				}
			}
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			m := channeltest.Message(channel.Phone, "k3v9.1")
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Send(ctx, m); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkLearn is one decision over five routes, without the time that phone.Region
// takes.
func BenchmarkLearn(b *testing.B) {
	s := newStudent(b, failover.Learning{Router: failover.List(phoneRoute("a"), phoneRoute("b"),
		phoneRoute("c"), phoneRoute("d"), phoneRoute("e"))})
	m := s.message("+44")
	ctx := context.Background()
	for range 1000 {
		for _, name := range []string{"a", "b", "c", "d", "e"} {
			s.Observe(channel.Feedback{Kind: channel.FeedbackSent, Route: name, To: m.To, Sent: time.Now()})
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Route(ctx, m); err != nil {
			b.Fatal(err)
		}
	}
}
