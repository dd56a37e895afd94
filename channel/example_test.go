package channel_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/otpcourier/otpcourier/channel"
)

// errBusy is what a push service's client library might return.
var errBusy = errors.New("503 Service Unavailable")

func notify(_ context.Context, token, text string) (string, error) {
	if token == "busy-device" {
		return "", errBusy
	}
	return "projects/example/messages/42", nil
}

// A push service becomes a channel: one function, whose errors say by their
// class whether the message may have gone out.
func ExampleFunc() {
	push := channel.Func(func(ctx context.Context, m *channel.Message) (channel.Submission, error) {
		if err := m.To.Validate(); err != nil {
			return channel.Submission{}, err
		}
		id, err := notify(ctx, m.To.Push, m.Text)
		switch {
		case errors.Is(err, errBusy):
			return channel.Submission{}, &channel.Error{Class: channel.Temporary, Op: "push: notify", Code: "503",
				Err: err}
		case err != nil: // the answer may have been lost
			return channel.Submission{}, &channel.Error{Class: channel.Unknown, Op: "push: notify", Err: err}
		}
		return channel.Submission{ProviderIDs: []string{id}, State: channel.Sent}, nil
	})

	for _, token := range []string{"my-device", "busy-device", "not a token"} {
		m := &channel.Message{ID: "k3v9.1", To: channel.Recipient{Push: token}, Text: "482913 is your code."}
		s, err := push.Send(context.Background(), m)
		fmt.Println(s.State, s.ProviderIDs, err)
	}
	// Output:
	// sent [projects/example/messages/42] <nil>
	// none [] push: notify: temporary (503): 503 Service Unavailable
	// none [] channel: recipient: invalid recipient: push token is malformed
}

func ExampleMask() {
	fmt.Println(channel.Mask("+447912345678"))
	fmt.Println(channel.Mask("ann@example.com"))
	// Output:
	// +44******5678
	// a***@example.com
}

// Channels are built before whoever handles their receipts.
func ExampleReceipts() {
	var receipts channel.Receipts
	carrier := receipts.For("carrier-a") // into the channel's configuration

	fmt.Println(carrier(context.Background(), channel.Receipt{ProviderID: "7", State: channel.Delivered}))

	receipts.Attach(func(_ context.Context, r channel.Receipt) error {
		fmt.Println(r.Route, r.ProviderID, r.State)
		return nil
	})
	fmt.Println(carrier(context.Background(), channel.Receipt{ProviderID: "7", State: channel.Delivered}))
	// Output:
	// channel: no receipt handler attached yet
	// carrier-a 7 delivered
	// <nil>
}

// A program acts on the class of an error: it says whether the message may have gone out.
func ExampleClassOf() {
	refused := &channel.Error{Class: channel.Temporary, Op: "push: notify", Code: "503"}
	for _, err := range []error{refused, errors.New("connection reset")} {
		fmt.Println(channel.ClassOf(err))
	}
	// Output:
	// temporary
	// unknown
}

// An optional interface is found through wrappers, such as a failover.
func ExampleAs() {
	var c channel.Channel = channel.Func(func(context.Context, *channel.Message) (channel.Submission, error) {
		return channel.Submission{State: channel.Sent}, nil
	})
	_, ok := channel.As[channel.Canceler](c)
	fmt.Println("can withdraw a message:", ok)
	// Output: can withdraw a message: false
}
