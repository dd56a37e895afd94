package transport_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/transport"
)

var (
	errCarrierClosed = errors.New("carrier: closed")
	errCodeExpired   = errors.New("the code has expired")
)

// A Config of a channel for a carrier.
type Config struct {
	Sender  string
	Timeout time.Duration // default 15 s
	Window  int           // default 10, at most 1000
}

type carrier struct {
	config Config
	life   *transport.Lifecycle
}

func newCarrier(c Config) (*carrier, error) {
	v := transport.Validate("carrier: Config.")
	v.Check(c.Sender != "", "Sender", "is required")
	v.Duration("Timeout", &c.Timeout, 15*time.Second)
	v.Int("Window", &c.Window, 1, 10, 1000)
	if err := v.Err(); err != nil {
		return nil, err
	}
	return &carrier{config: c, life: transport.NewLifecycle(errCarrierClosed, errCodeExpired)}, nil
}

// Send ends with ctx, after Timeout, at the end of the code's life, or with Close.
func (c *carrier) Send(ctx context.Context, m *channel.Message) (channel.Submission, error) {
	if !c.life.Begin() {
		return channel.Submission{}, &channel.Error{Class: channel.Temporary, Op: "carrier", Err: errCarrierClosed}
	}
	defer c.life.End()
	ctx, cancel := c.life.Bound(ctx, time.Now().Add(c.config.Timeout), m.Expires)
	defer cancel()
	_ = ctx // for the request to the carrier
	return channel.Submission{State: channel.Sent}, nil
}

// Shutdown waits for the calls of Send.
func (c *carrier) Shutdown(ctx context.Context) error { return c.life.Drain(ctx) }

// A channel validates its Config, bounds each call, and waits for the calls at its end.
func Example() {
	_, err := newCarrier(Config{Sender: "MyBank", Window: 2000})
	fmt.Println(err)

	c, err := newCarrier(Config{Sender: "MyBank"})
	fmt.Println(c.config.Timeout, c.config.Window, err)
	s, err := c.Send(context.Background(), &channel.Message{})
	fmt.Println(s.State, err)
	fmt.Println(c.Shutdown(context.Background()))
	_, err = c.Send(context.Background(), &channel.Message{})
	fmt.Println(err)

	// Output:
	// carrier: Config.Window: 2000 is not within 1..1000
	// 15s 10 <nil>
	// sent <nil>
	// <nil>
	// carrier: temporary: carrier: closed
}
