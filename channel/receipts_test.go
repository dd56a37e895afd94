package channel_test

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/channel"
)

func TestReceipts(t *testing.T) {
	t.Parallel()
	var receipts channel.Receipts
	a, b := receipts.For("a"), receipts.For("b")
	if err := a(t.Context(), channel.Receipt{}); !errors.Is(err, channel.ErrNotAttached) {
		t.Errorf("before Attach: %v", err)
	}
	receipts.Attach(nil)
	if err := a(t.Context(), channel.Receipt{}); !errors.Is(err, channel.ErrNotAttached) {
		t.Errorf("after Attach(nil): %v", err)
	}

	var got []channel.Receipt
	receipts.Attach(func(_ context.Context, r channel.Receipt) error {
		got = append(got, r)
		return nil
	})
	receipt := channel.Receipt{ProviderID: "7", MessageID: "k3v9.1", State: channel.Delivered}
	for _, f := range []channel.ReceiptFunc{a, b, receipts.For("a")} {
		if err := f(t.Context(), receipt); err != nil {
			t.Error(err)
		}
	}
	onA, onB := receipt, receipt
	onA.Route, onB.Route = "a", "b"
	if diff := cmp.Diff([]channel.Receipt{onA, onB, onA}, got); diff != "" {
		t.Errorf("receipts (-want +got):\n%s", diff)
	}

	if err := receipts.Attach(func(context.Context, channel.Receipt) error { return nil }); !errors.Is(err,
		channel.ErrAttached) {
		t.Errorf("a second handler: %v", err)
	}
	if err := receipts.Attach(nil); err != nil {
		t.Error(err)
	}
	if err := a(t.Context(), receipt); !errors.Is(err, channel.ErrNotAttached) {
		t.Errorf("after the handler was detached: %v", err)
	}
	failure := errors.New("store is down")
	_ = receipts.Attach(func(context.Context, channel.Receipt) error { return failure })
	if err := a(t.Context(), receipt); !errors.Is(err, failure) {
		t.Errorf("the handler's error is %v", err)
	}
}

// TestReceiptsConcurrent attaches while receipts come: each is either handled
// or refused for being repeated.
func TestReceiptsConcurrent(t *testing.T) {
	t.Parallel()
	var receipts channel.Receipts
	var handled, accepted, refused atomic.Int64
	var wg sync.WaitGroup
	const routes, each = 8, 200
	for i := range routes {
		deliver := receipts.For(strconv.Itoa(i))
		wg.Go(func() {
			for range each {
				switch err := deliver(t.Context(), channel.Receipt{}); {
				case err == nil:
					accepted.Add(1)
				case errors.Is(err, channel.ErrNotAttached):
					refused.Add(1)
				default:
					t.Error(err)
				}
			}
		})
	}
	wg.Go(func() {
		for range 50 {
			_ = receipts.Attach(func(context.Context, channel.Receipt) error { handled.Add(1); return nil })
		}
	})
	wg.Wait()
	if handled.Load() != accepted.Load() || accepted.Load()+refused.Load() != routes*each {
		t.Errorf("%d handled, %d accepted, %d refused", handled.Load(), accepted.Load(), refused.Load())
	}
}
