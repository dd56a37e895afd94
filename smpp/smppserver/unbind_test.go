package smppserver_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/peertest"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
	"github.com/otpcourier/otpcourier/smpp/smppserver"
)

// TestShutdown: what the handlers have is answered, the peers are told,
// and nobody waits for one that does not answer longer than UnbindTimeout.
func TestShutdown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := serverConfig()
		c.Handler = func(context.Context, *smppserver.Submit) (string, error) {
			time.Sleep(2 * time.Second)
			return "m1", nil
		}
		s := startServer(t, c)
		polite, rude, silent := bound(t, s), bound(t, s), dial(t, s)
		polite.Write(submitFrame(5, nil))
		heard := make(chan []pdu.CommandID, 1)
		go func() {
			var ids []pdu.CommandID
			for f := polite.Next(); f.ID != 0; f = polite.Next() {
				ids = append(ids, f.ID)
				if f.ID == pdu.UnbindID {
					polite.Write(peertest.Answer(f))
				}
			}
			heard <- ids
		}()
		go rude.Drain()
		go silent.Drain()
		began := time.Now()
		if err := s.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("took %v, want the 5 s that the rude peer has", took)
		}
		if ids := <-heard; len(ids) != 2 || ids[0] != pdu.UnbindID || ids[1] != pdu.SubmitSmRespID {
			t.Errorf("heard %v", ids)
		}
		if err := s.Deliver("bank", smppserver.DeliveryReceipt{ID: "m1"}); !errors.Is(err, smppserver.ErrClosed) {
			t.Errorf("Deliver: %v", err)
		}
		if err := s.ServeConn(polite); !errors.Is(err, smppserver.ErrClosed) {
			t.Errorf("ServeConn: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := startServer(t, serverConfig()).Shutdown(ctx); err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

// onBound is a log that calls f when a session is bound.
type onBound struct {
	slog.Handler
	f func()
}

func (h onBound) Enabled(context.Context, slog.Level) bool { return true }

func (h onBound) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "smppserver: bound" {
		h.f()
	}
	return nil
}

// TestUnbindsAfterBind: a session that is to end as soon as it is bound
// is told so after its bind is answered.
func TestUnbindsAfterBind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s *smppserver.Server
		c := serverConfig()
		c.Logger = slog.New(onBound{slog.DiscardHandler, func() { s.Sessions()[0].Unbind() }})
		s = startServer(t, c)
		e := dial(t, s)
		if got := e.bindAs(pdu.BindTransceiverID, "secret"); got != smpp.StatusOK {
			t.Errorf("bind: %v", got)
		}
		if f := e.Next(); f.ID != pdu.UnbindID {
			t.Errorf("then %+v", f.Header)
		}
	})
}

// TestPeerUnbinds: unbind is answered after everything else.
func TestPeerUnbinds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := serverConfig()
		c.Handler = func(context.Context, *smppserver.Submit) (string, error) {
			time.Sleep(time.Second)
			return "m1", nil
		}
		e := bound(t, startServer(t, c))
		e.Write(append(submitFrame(5, nil), wire.AppendEmpty(nil, pdu.UnbindID, 0, 6)...))
		if f := e.Next(); f.ID != pdu.SubmitSmRespID || f.Status != 0 {
			t.Errorf("first %+v", f.Header)
		}
		if f := e.Next(); f.Header != (wire.Header{ID: pdu.UnbindRespID, Seq: 6}) {
			t.Errorf("then %+v", f.Header)
		}
		if !e.isClosed() {
			t.Error("connection is open")
		}
	})
}
