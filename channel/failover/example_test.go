package failover_test

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/channeltest"
	"github.com/otpcourier/otpcourier/channel/failover"
	"github.com/otpcourier/otpcourier/channel/phone"
)

// The routes that OTP Blue's integration guide recommends: iMessage first, and
// if the person has none, the SMS carriers take over without delay.
func Example() {
	// In place of three smpp.Clients.
	blue := &channeltest.Fake{Then: channeltest.Refuse(channel.Unreachable, "0x45")} // no iMessage
	carrierA := &channeltest.Fake{Then: channeltest.Refuse(channel.Temporary, "0x08")}
	carrierB := &channeltest.Fake{Name: "b"}

	sms, err := failover.New(failover.Config{
		Router: failover.List(
			channel.Route{
				Name: "imessage", Channel: blue, Address: channel.Phone,
				// The guide's word for a country that it does not serve; a
				// carrier may serve it.
				Classes: map[string]channel.Class{"0x0B": channel.Unreachable},
			},
			channel.Route{
				Name: "carrier-a", Channel: carrierA, Address: channel.Phone,
				Retry: channel.Retry{Attempts: 2, Backoff: time.Millisecond},
				Await: 20 * time.Second, // for its delivery receipt
			},
			channel.Route{Name: "carrier-b", Channel: carrierB, Address: channel.Phone},
		),
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	s, err := sms.Send(ctx, channeltest.Message(channel.Phone, "k3v9.1"))
	for _, hop := range s.Hops {
		if hop.Err != nil {
			fmt.Printf("%s: %v (%s)\n", hop.Route, hop.Class, hop.Code)
		}
	}
	fmt.Println(s.State, "by", s.Route, s.ProviderIDs, err)
	// Output:
	// imessage: unreachable (0x45)
	// carrier-a: temporary (0x08)
	// carrier-a: temporary (0x08)
	// sent by carrier-b [b-1] <nil>
}

func ExampleByCountry() {
	route := func(name string, kind channel.Address) channel.Route {
		return channel.Route{Name: name, Address: kind, Channel: &channeltest.Fake{}}
	}
	router, err := failover.ByCountry(failover.Countries{
		Routes: map[string][]channel.Route{
			"US": {route("imessage", channel.Phone), route("carrier-us", channel.Phone)},
			"KE": {route("carrier-africa", channel.Phone)},
		},
		Default:  []channel.Route{route("carrier-world", channel.Phone)},
		Everyone: []channel.Route{route("email", channel.Email)},
		Region:   phone.Region,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, number := range []string{"+14155552671", "+254712123456", "+447911123456"} {
		routes, _ := router.Route(context.Background(), &channel.Message{To: channel.Recipient{Phone: number}})
		fmt.Print(number, ":")
		for _, r := range routes {
			fmt.Print(" ", r.Name)
		}
		fmt.Println()
	}
	// Output:
	// +14155552671: imessage carrier-us email
	// +254712123456: carrier-africa email
	// +447911123456: carrier-world email
}

// A person prefers e-mail: the message goes by that route or by none.
func ExampleChannel_Send_preferred() {
	send, err := failover.New(failover.Config{Router: failover.List(
		channel.Route{Name: "sms", Channel: &channeltest.Fake{}, Address: channel.Phone},
		channel.Route{Name: "email", Channel: &channeltest.Fake{}, Address: channel.Email},
	)})
	if err != nil {
		fmt.Println(err)
		return
	}
	m := channeltest.Message(channel.Phone|channel.Email, "k3v9.1")
	m.Route = "email"
	s, err := send.Send(context.Background(), m)
	fmt.Println(s.Route, err)
	// Output: email <nil>
}

// Two carriers share the messages; e-mail takes over if both fail.
func ExampleByWeight() {
	router, err := failover.ByWeight(failover.Weights{Routes: []failover.Weighted{
		{Weight: 70, Route: channel.Route{Name: "carrier-a", Channel: &channeltest.Fake{}, Address: channel.Phone}},
		{Weight: 30, Route: channel.Route{Name: "carrier-b", Channel: &channeltest.Fake{}, Address: channel.Phone}},
		{Weight: 0, Route: channel.Route{Name: "email", Channel: &channeltest.Fake{}, Address: channel.Email}},
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	first := map[string]int{}
	for range 10_000 {
		routes, _ := router.Route(context.Background(), &channel.Message{})
		first[routes[0].Name]++
	}
	fmt.Println(first["carrier-a"] > 6500, first["carrier-b"] > 2500, first["email"])
	// Output: true true 0
}

// A failover is no route of another; routers are joined instead.
func Example_joinedRouters() {
	route := func(name string, kind channel.Address) channel.Route {
		return channel.Route{Name: name, Address: kind, Channel: &channeltest.Fake{}}
	}
	carriers, err := failover.ByWeight(failover.Weights{Routes: []failover.Weighted{
		{Weight: 70, Route: route("carrier-a", channel.Phone)},
		{Weight: 30, Route: route("carrier-b", channel.Phone)},
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	everybody := failover.List(route("imessage", channel.Phone), route("email", channel.Email))
	joined := channel.RouterFunc(func(ctx context.Context, m *channel.Message) ([]channel.Route, error) {
		apart, err := everybody.Route(ctx, m)
		if err != nil {
			return nil, err
		}
		shared, err := carriers.Route(ctx, m)
		return slices.Concat(apart[:1], shared, apart[1:]), err
	})
	send, err := failover.New(failover.Config{Router: joined})
	if err != nil {
		fmt.Println(err)
		return
	}
	m := channeltest.Message(channel.Phone, "k3v9.1")
	m.Route = "carrier-b" // found, wherever it comes from
	s, err := send.Send(context.Background(), m)
	fmt.Println(s.Route, err)
	// Output: carrier-b <nil>
}

// Push notification as a route before SMS: a channel is one function.
func Example_push() {
	notify := func(_ context.Context, token, text string) (string, error) { return "fcm-1", nil }
	push := channel.Func(func(ctx context.Context, m *channel.Message) (channel.Submission, error) {
		if err := m.To.Validate(); err != nil || m.To.Push == "" {
			return channel.Submission{}, &channel.Error{Class: channel.InvalidRecipient, Op: "push: notify", Err: err}
		}
		id, err := notify(ctx, m.To.Push, m.Text)
		if err != nil {
			return channel.Submission{}, &channel.Error{Class: channel.Temporary, Op: "push: notify", Err: err}
		}
		return channel.Submission{ProviderIDs: []string{id}, State: channel.Sent}, nil
	})
	send, err := failover.New(failover.Config{Router: failover.List(
		channel.Route{Name: "push", Channel: push, Address: channel.Push, Await: 10 * time.Second},
		channel.Route{Name: "sms", Channel: &channeltest.Fake{}, Address: channel.Phone},
	)})
	if err != nil {
		fmt.Println(err)
		return
	}
	s, err := send.Send(context.Background(), channeltest.Message(channel.Push|channel.Phone, "k3v9.1"))
	fmt.Println(s.Route, s.ProviderIDs, !s.Await.IsZero(), err)
	// Output: push [fcm-1] true <nil>
}

// A carrier that accepts messages and loses them comes last until it delivers again. The
// evidence is the codes that people verify, which an otp.Service reports.
func ExampleLearn() {
	route := func(name string) channel.Route {
		return channel.Route{Name: name, Address: channel.Phone, Channel: &channeltest.Fake{}}
	}
	learner, err := failover.Learn(failover.Learning{
		Router:  failover.List(route("carrier-a"), route("carrier-b")), // the order without evidence
		Region:  phone.Region,
		Explore: -1, // for an output that is the same each time
		// Shared: a store.Credentials, and go learner.Run(ctx), if there are several processes
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	sms, err := failover.New(failover.Config{Router: learner}) // for otp.Config.Channel
	if err != nil {
		fmt.Println(err)
		return
	}
	for i := range 40 {
		m := channeltest.Message(channel.Phone, fmt.Sprintf("k%d.1", i))
		m.To.Phone = fmt.Sprintf("+4479123%05d", i)
		s, err := sms.Send(context.Background(), m)
		if err != nil {
			fmt.Println(err)
			return
		}
		kind := channel.FeedbackVerified
		if s.Route == "carrier-a" && i >= 2 { // it loses messages: people ask for another
			kind = channel.FeedbackResent
		}
		sms.Observe(channel.Feedback{Kind: kind, Route: s.Route, To: m.To, Sent: time.Now()})
	}
	for _, r := range learner.Health().Routes {
		if r.Region == "GB" {
			fmt.Printf("%d. %s, given as %d: %s\n", r.Place, r.Route, r.Given, r.Reason)
		}
	}
	// Output:
	// 1. carrier-b, given as 2: lifted: it has the better estimate or price, or those before it are doubted
	// 2. carrier-a, given as 1: doubted: its messages may get lost
}

// A page for operators shows which routes are skipped.
func ExampleChannel_Health() {
	down := &channeltest.Fake{Then: channeltest.Refuse(channel.Temporary, "0x08")}
	sms, err := failover.New(failover.Config{
		Router: failover.List(
			channel.Route{Name: "carrier-a", Channel: down, Address: channel.Phone},
			channel.Route{Name: "carrier-b", Channel: &channeltest.Fake{}, Address: channel.Phone},
		),
		Breaker: failover.BreakerConfig{Failures: 1},
	})
	if err != nil {
		panic(err)
	}
	if _, err := sms.Send(context.Background(), channeltest.Message(channel.Phone, "k3v9.1")); err != nil {
		panic(err)
	}
	for _, route := range sms.Health() {
		fmt.Println(route.Route, "is skipped:", route.Open)
	}
	// Output:
	// carrier-a is skipped: true
	// carrier-b is skipped: false
}

// A Router of one's own: payments go by the expensive carrier only.
func ExampleNew_router() {
	cheap := channel.Route{Name: "cheap", Channel: &channeltest.Fake{}, Address: channel.Phone}
	good := channel.Route{Name: "good", Channel: &channeltest.Fake{}, Address: channel.Phone}
	sms, err := failover.New(failover.Config{
		Router: channel.RouterFunc(func(_ context.Context, m *channel.Message) ([]channel.Route, error) {
			if m.Purpose == "payment" {
				return []channel.Route{good}, nil
			}
			return []channel.Route{cheap, good}, nil
		}),
	})
	if err != nil {
		panic(err)
	}
	for _, purpose := range []string{"login", "payment"} {
		m := channeltest.Message(channel.Phone, "k3v9."+purpose)
		m.Purpose = purpose
		s, err := sms.Send(context.Background(), m)
		fmt.Println(purpose, "by", s.Route, err)
	}
	// Output:
	// login by cheap <nil>
	// payment by good <nil>
}
