package otp_test

import (
	"errors"
	"testing"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/phone"
	"github.com/otpcourier/otpcourier/otp"
)

// TestKnownRangesOnly sends to a number of Barbados in no range that the metadata
// knows.
func TestKnownRangesOnly(t *testing.T) {
	t.Parallel()
	q := otp.Request{Subject: "u", To: channel.Recipient{Phone: "+12465552671"}}
	if _, err := newRig(t, nil).Send(t.Context(), q); err != nil {
		t.Errorf("by default: %v", err)
	}
	r := newRig(t, func(c *otp.Config) { c.KnownRangesOnly = true })
	_, err := r.Send(t.Context(), q)
	var e *phone.Error
	if !errors.Is(err, otp.ErrInvalidRequest) || !errors.As(err, &e) || e.Reason != phone.UnknownRange {
		t.Errorf("with KnownRangesOnly: %v", err)
	}
	q.To.Phone = "+12025552671"
	if _, err := r.Send(t.Context(), q); err != nil {
		t.Errorf("in a known range, with KnownRangesOnly: %v", err)
	}
}
