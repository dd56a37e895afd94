package smppserver_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
	"github.com/otpcourier/otpcourier/smpp/smppserver"
)

// TestWindow: what is over the window is refused, and what is in it is
// answered all the same.
func TestWindow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		c := serverConfig()
		c.Window = 3
		c.Handler = func(context.Context, *smppserver.Submit) (string, error) {
			<-release
			return "late", nil
		}
		e := bound(t, startServer(t, c))
		var burst []byte
		for seq := range uint32(5) {
			burst = append(burst, submitFrame(seq+1, nil)...)
		}
		e.Write(burst)
		for range 2 {
			if f := e.Next(); smpp.Status(f.Status) != smpp.StatusThrottled || f.Seq < 4 {
				t.Errorf("answered with %+v", f.Header)
			}
		}
		close(release)
		for range 3 {
			if f := e.Next(); f.Status != 0 || f.Seq > 3 || wire.DecodeID(f.Body) != "late" {
				t.Errorf("answered with %+v", f.Header)
			}
		}
	})
}
