package smppserver_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
	"github.com/otpcourier/otpcourier/smpp/smppserver"
)

// absolute writes a validity_period as ESMEs do: the local time, and how many
// quarter hours that is ahead of UTC.
func absolute(t time.Time, quarters int) string {
	sign := byte('+')
	if quarters < 0 {
		sign, quarters = '-', -quarters
	}
	return t.Format("060102150405") + "0" + string([]byte{byte('0' + quarters/10), byte('0' + quarters%10), sign})
}

// TestValidity: each form of validity_period is the end of the message's life, for
// a Handler and for a channel.
func TestValidity(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var got *smppserver.Submit
		var out *channel.Message
		var ctxEnd time.Time
		c := serverConfig()
		pass := smppserver.ChannelHandler(channel.Func(func(ctx context.Context,
			m *channel.Message) (channel.Submission, error) {
			out = m
			ctxEnd, _ = ctx.Deadline()
			return channel.Submission{State: channel.Sent}, nil
		}))
		c.Handler = func(ctx context.Context, m *smppserver.Submit) (string, error) {
			got = m
			return pass(ctx, m)
		}
		e := bound(t, startServer(t, c))
		now := time.Now().UTC()
		for _, tt := range []struct {
			validity string
			want     time.Duration // zero: none; negative: refused
		}{
			{"", 0},
			{"000000000500000R", 5 * time.Minute},
			{"000000000010000R", 10 * time.Second},
			{absolute(now.Add(5*time.Minute), 0), 5 * time.Minute},
			{absolute(now.Add(5*time.Minute+2*time.Hour), 8), 5 * time.Minute},
			{absolute(now.Add(5*time.Minute-5*time.Hour), -20), 5 * time.Minute},
			{absolute(now.Add(5*time.Minute+345*time.Minute), 23), 5 * time.Minute}, // Kathmandu
			{absolute(now.Add(-time.Second), 0), -1},
			{absolute(now.Add(time.Hour), 8), -1}, // an hour ago
			{absolute(now, 0), -1},
			{"000000000000000R", -1},
			{"000000000500000X", -1},
			{"300", -1},
			{"99999999999999999", -1},
		} {
			got, out = nil, nil
			status := e.submit(func(m *wire.Message) { m.Validity = tt.validity })
			if tt.want < 0 {
				if status != smpp.StatusInvalidExpiry || got != nil {
					t.Errorf("%q: %v, handed on: %v", tt.validity, status, got != nil)
				}
				continue
			}
			want := time.Time{}
			if tt.want > 0 {
				want = time.Now().Add(tt.want)
			}
			if status != smpp.StatusOK || got.Validity != tt.want || !got.Expires.Equal(want) ||
				!out.Expires.Equal(want) {
				t.Errorf("%q: %v, %v until %v, for the channel %v", tt.validity, status, got.Validity, got.Expires,
					out.Expires)
			}
			if limit := time.Now().Add(30 * time.Second); tt.want > 0 && want.Before(limit) != ctxEnd.Before(limit) {
				t.Errorf("%q: ctx ends at %v", tt.validity, ctxEnd)
			}
		}
	})
}

// TestValidityOfParts: a long message lives as long as the part whose life ends
// first. If that is over when the last part comes, nothing is delivered.
func TestValidityOfParts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var got []*smppserver.Submit
		c := serverConfig()
		c.Assemble = true
		c.Handler = func(_ context.Context, m *smppserver.Submit) (string, error) {
			got = append(got, m)
			return "", nil
		}
		e := bound(t, startServer(t, c))
		part := func(reference, n byte, validity string) smpp.Status {
			return e.submit(func(m *wire.Message) {
				m.EsmClass, m.UDH, m.Short = wire.EsmUDHI, []byte{5, 0, 3, reference, 2, n}, []byte("482910 ")
				m.Validity = validity
			})
		}
		part(1, 1, "000000000100000R")
		time.Sleep(20 * time.Second)
		if status := part(1, 2, "000000000500000R"); status != smpp.StatusOK || len(got) != 1 ||
			got[0].Validity != 40*time.Second || !got[0].Expires.Equal(time.Now().Add(40*time.Second)) {
			t.Errorf("in time: %v, %+v", status, got)
		}
		part(2, 1, "000000000100000R")
		time.Sleep(time.Minute)
		if status := part(2, 2, ""); status != smpp.StatusInvalidExpiry || len(got) != 1 {
			t.Errorf("too late: %v, %d messages", status, len(got))
		}
		part(2, 1, "") // begins another message
		if status := part(2, 2, ""); status != smpp.StatusOK || len(got) != 2 || got[1].Validity != 0 {
			t.Errorf("without a life: %v, %d messages", status, len(got))
		}
	})
}

// TestLifeEndsAtHandler: a Handler that waits is told by its ctx that the code's
// life is over.
func TestLifeEndsAtHandler(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := serverConfig()
		c.Handler = func(ctx context.Context, _ *smppserver.Submit) (string, error) {
			<-ctx.Done()
			return "", ctx.Err()
		}
		e := bound(t, startServer(t, c))
		began := time.Now()
		if f := e.Ask(submitFrame(3, func(m *wire.Message) { m.Validity = "000000000007000R" })); f.Status == 0 ||
			f.ID != pdu.SubmitSmRespID {
			t.Errorf("answered with %+v", f.Header)
		}
		took(t, began, 7*time.Second)
	})
}
