package otp_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/failover"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/wording"
	"github.com/otpcourier/otpcourier/store/memstore"
)

// A receipt that is faster than the outcome of its message is an event too,
// after that of the message, and a repeated one is not.
func TestEarlyReceiptIsAnEvent(t *testing.T) {
	t.Parallel()
	for _, state := range []channel.State{channel.Delivered, channel.Failed} {
		var receipts channel.Receipts
		report := receipts.For("sms")
		sms := channel.Func(func(ctx context.Context, _ *channel.Message) (channel.Submission, error) {
			for range 2 { // the provider repeats itself
				if err := report(ctx, channel.Receipt{ProviderID: "p1", State: state, Code: "STATUS"}); err != nil {
					t.Error(err)
				}
			}
			return channel.Submission{ProviderIDs: []string{"p1"}, State: channel.Sent}, nil
		})
		routes, err := failover.New(failover.Config{Router: failover.List(
			channel.Route{Name: "sms", Channel: sms, Address: channel.Phone})})
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var events []otp.Event
		s, err := otp.New(otp.Config{Channel: routes, Store: memstore.New(memstore.Config{}), Keys: otp.NewKeyring(),
			Wording: wording.Config{Brand: "MyBank"}, Receipts: &receipts,
			Events: func(_ context.Context, e otp.Event) {
				mu.Lock()
				defer mu.Unlock()
				events = append(events, e)
			}})
		if err != nil {
			t.Fatal(err)
		}
		c, err := s.Send(t.Context(), otp.Request{Subject: "ann", To: channel.Recipient{Phone: "+447912345678"}})
		if err != nil || c.State != state {
			t.Fatal(c, err)
		}
		if err := report(t.Context(), channel.Receipt{ProviderID: "p1", State: state, At: time.Now()}); err != nil {
			t.Error(err)
		}
		var kinds []otp.EventKind
		for _, e := range events {
			kinds = append(kinds, e.Kind)
		}
		if want := []otp.EventKind{otp.EventGenerated, otp.EventSent, otp.EventReceipt}; !slices.Equal(kinds, want) {
			t.Fatalf("%v: events %v, want %v", state, kinds, want)
		}
		if e := events[2]; e.State != state || e.Route != "sms" || e.Step != 1 || e.Code != "STATUS" ||
			e.Challenge != c.ID || !slices.Equal(e.Providers, []string{"p1"}) {
			t.Errorf("%v: event %+v", state, e)
		}
	}
}
