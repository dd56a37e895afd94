package smsgate_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/gatewaytest"
	"github.com/otpcourier/otpcourier/gateway/smsgate"
)

func TestCancel(t *testing.T) {
	t.Parallel()
	inBubble(t, smsgate.Config{}, gatewaytest.Config{}, manual, func(t *testing.T, g *gate) {
		m := codeTo("c4n7.1", ann)
		mustSend(t, g, m)
		if err := g.Cancel(t.Context(), m, channel.Submission{}); err != nil {
			t.Errorf("Cancel: %v", err)
		}
		if taken := g.phone.Take(); len(taken) != 0 {
			t.Errorf("the phone was given %v", taken)
		}
		if err := g.Cancel(t.Context(), m, channel.Submission{}); err != nil {
			t.Errorf("Cancel again: %v", err)
		}
		n := len(g.server.Requests())
		time.Sleep(10 * time.Minute)
		if more := len(g.server.Requests()) - n; more != 0 {
			t.Errorf("%d requests after the cancellation", more)
		}
		g.ledger.want(t)

		m = codeTo("c4n7.2", ann)
		mustSend(t, g, m)
		g.phone.Report(m.ID, gatewaytest.Processed, "")
		wantRefused(t, g.Cancel(t.Context(), m, channel.Submission{}), channel.Unknown, "409")
		g.server.Script(gatewaytest.Rule{Method: http.MethodDelete, Status: 500, Times: 1})
		wantRefused(t, g.Cancel(t.Context(), m, channel.Submission{}), channel.Unknown, "500")
		err := g.Cancel(t.Context(), codeTo("c4n7.3", ann), channel.Submission{})
		wantRefused(t, err, channel.Misconfigured, "404")
		wantRefused(t, g.Cancel(t.Context(), codeTo("a/b", ann), channel.Submission{}), channel.Misconfigured, "")
	})
}

func TestCancelOnOldServer(t *testing.T) {
	t.Parallel()
	s, _ := newGateServer(t, gatewaytest.Config{NoCancel: true})
	g := newGate(t, s, smsgate.Config{})
	m := codeTo("c4n7.1", ann)
	mustSend(t, g, m)
	err := g.Cancel(t.Context(), m, channel.Submission{})
	wantRefused(t, err, channel.Misconfigured, "405")
	if !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("%v is not errors.ErrUnsupported", err)
	}
}
