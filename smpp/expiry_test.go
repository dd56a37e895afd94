package smpp_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/smpptest"
)

// Send returns when its message expires, although the SMSC has not answered: as
// Unknown if the message was written, as Expired if it still waited for the
// window. A message that lives on is not cut short.
func TestExpiresBehindASilentSMSC(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, c := newPipe(t, smpptest.Config{Handler: func(smpptest.Submit) smpptest.Reply {
			return smpptest.Reply{Stall: true}
		}}, func(c *smpp.Config) { c.Window, c.ResponseTimeout = 1, 10*time.Second })
		began := time.Now()
		send := func(i int, life time.Duration) error {
			m := message(numbered(i), "482910")
			m.Expires = began.Add(life)
			_, err := c.Send(t.Context(), m)
			return err
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := send(1, 4*time.Second); channel.ClassOf(err) != channel.Unknown {
				t.Errorf("written: %v, want Unknown", err)
			}
			took(t, began, 4*time.Second)
		})
		waitSubmits(t, s, 1)
		wg.Go(func() {
			if err := send(2, 3*time.Second); channel.ClassOf(err) != channel.Expired {
				t.Errorf("waiting for the window: %v, want Expired", err)
			}
			took(t, began, 3*time.Second)
		})
		wg.Go(func() { // gets the slot when the SMSC has not answered in time, on another session
			if err := send(3, time.Minute); channel.ClassOf(err) != channel.Unknown {
				t.Errorf("living on: %v, want Unknown", err)
			}
		})
		wg.Wait()
		if n := len(s.Submits()); n > 2 {
			t.Errorf("%d messages were written, want the first and perhaps the third", n)
		}
	})
}
