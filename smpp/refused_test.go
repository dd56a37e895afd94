package smpp_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp"
)

func TestWrongPasswordIsNotHammered(t *testing.T) {
	t.Parallel()
	for _, status := range []smpp.Status{smpp.StatusInvalidPassword, smpp.StatusBindFailed,
		smpp.StatusInvalidSystemID} {
		t.Run(status.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, c := refusing(t, status)
				wantClass(t, c.Ready(t.Context()), channel.Misconfigured, status.Code())
				began := time.Now()
				for range 100 {
					_, err := c.Send(t.Context(), message(ann, "482910"))
					wantClass(t, err, channel.Misconfigured, status.Code())
				}
				took(t, began, 0)
				time.Sleep(time.Hour)
				synctest.Wait()
				if n := len(s.Binds()); n < 3 || n > 4 {
					t.Errorf("%d binds in an hour, want one every 15 min to 18 min 45 s", n)
				}
				s.RefuseBinds(smpp.StatusOK)
				time.Sleep(19 * time.Minute)
				if _, err := c.Send(t.Context(), message(ann, "482910")); err != nil {
					t.Errorf("after the credentials were right: %v", err)
				}
			})
		})
	}
}

// A refusal of the credentials stands until the SMSC answers a bind otherwise;
// a connection that fails tells nothing.
func TestRefusalEnds(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		then smpp.Status // answers the second bind; OK: the connection fails
		want channel.Class
		code string
	}{
		"already bound":      {smpp.StatusAlreadyBound, channel.Temporary, ""},
		"system error":       {smpp.StatusSystemError, channel.Temporary, ""},
		"wrong again":        {smpp.StatusBindFailed, channel.Misconfigured, "0x0D"},
		"connection refused": {smpp.StatusOK, channel.Misconfigured, "0x0E"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, c := refusing(t, smpp.StatusInvalidPassword)
				synctest.Wait()
				_, err := c.Send(t.Context(), message(ann, "482910"))
				wantClass(t, err, channel.Misconfigured, "0x0E")
				s.RefuseBinds(tt.then)
				if tt.then == smpp.StatusOK {
					s.Close()
				}
				time.Sleep(19 * time.Minute) // RefusedWait is at most 18 min 45 s
				_, err = c.Send(t.Context(), message(ann, "482910"))
				wantClass(t, err, tt.want, tt.code)
			})
		})
	}
}

func TestAlreadyBoundIsTemporary(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, c := refusing(t, smpp.StatusAlreadyBound)
		began := time.Now()
		_, err := c.Send(t.Context(), message(ann, "482910"))
		wantClass(t, err, channel.Temporary, "")
		if !errors.Is(err, smpp.StatusAlreadyBound) {
			t.Errorf("error is %v, want one that says why", err)
		}
		took(t, began, 5*time.Second)
		s.RefuseBinds(smpp.StatusOK)
		time.Sleep(time.Minute)
		if err := c.Ready(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
