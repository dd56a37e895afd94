package smpp_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/peertest"
	"github.com/otpcourier/otpcourier/smpp/smpptest"
)

const (
	withIMessage    = "+14155550100"
	withoutIMessage = "+14155550101"
)

func otpBlue() smpptest.Handler {
	return smpptest.OTPBlue(func(number string) bool { return number != withoutIMessage })
}

// TestGuideCommandStatus has a case for each row of the command_status table in
// OTP Blue's integration guide: what the guide says to do is what a failover
// does after the class.
func TestGuideCommandStatus(t *testing.T) {
	t.Parallel()
	const text = "Your verification code is 482910. Do not share this code."
	for _, tt := range []struct {
		name  string
		setup func(*smpptest.Server)
		to    string
		text  string
		class channel.Class // what the guide says to do, in a comment
		code  string
	}{
		{name: "ESME_ROK delivered via iMessage", to: withIMessage},
		{name: "ESME_RSUBMITFAIL no iMessage", to: withoutIMessage,
			class: channel.Unreachable, code: "0x45"}, // fail over to SMS
		{name: "ESME_RTHROTTLED rate limit exceeded", to: withIMessage,
			setup: func(s *smpptest.Server) { s.Next(1, smpptest.Reply{Status: smpp.StatusThrottled}) },
			class: channel.Throttled, code: "0x58"}, // retry after backoff
		{name: "ESME_RINVDSTADR invalid number", to: withIMessage,
			setup: func(s *smpptest.Server) { s.Next(1, smpptest.Reply{Status: smpp.StatusInvalidDestination}) },
			class: channel.InvalidRecipient, code: "0x0B"}, // drop
		{name: "ESME_RSYSERR temporary system error", to: withIMessage,
			setup: func(s *smpptest.Server) { s.Next(1, smpptest.Reply{Status: smpp.StatusSystemError}) },
			class: channel.Temporary, code: "0x08"}, // retry or fail over
		{name: "ESME_RINVMSGLEN no code in the message", to: withIMessage, text: "Hello",
			class: channel.Misconfigured, code: "0x01"}, // check the format
		{name: "ESME_RINVBNDSTS not bound", to: withIMessage,
			setup: func(s *smpptest.Server) { s.Next(1, smpptest.Reply{Status: smpp.StatusInvalidBindStatus}) },
			class: channel.Temporary, code: "0x04"}, // bind first
		{name: "ESME_RINVPASWD authentication failed", to: withIMessage,
			setup: func(s *smpptest.Server) { s.RefuseBinds(smpp.StatusInvalidPassword) },
			class: channel.Misconfigured, code: "0x0E"}, // check the credentials
		{name: "ESME_RBINDFAIL IP not allowed or blocked", to: withIMessage,
			setup: func(s *smpptest.Server) { s.RefuseBinds(smpp.StatusBindFailed) },
			class: channel.Misconfigured, code: "0x0D"}, // check the allow-list
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := smpptest.NewTLSServer(smpptest.Config{Handler: otpBlue()})
			defer s.Close()
			if tt.setup != nil {
				tt.setup(s)
			}
			c := newClient(t, smpp.Config{Addr: s.Addr, TLS: s.ClientTLS(), Sender: "MyBank"})
			if tt.text == "" {
				tt.text = text
			}
			_, err := c.Send(t.Context(), message(tt.to, tt.text))
			if tt.code == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantClass(t, err, tt.class, tt.code)
			if name, _, _ := strings.Cut(tt.name, " "); !strings.Contains(err.Error(), name) {
				t.Errorf("error is %q, want it to name %s", err, name)
			}
		})
	}
}

// TestGuideSubmitFields checks the fields of the guide's example submit_sm.
func TestGuideSubmitFields(t *testing.T) {
	t.Parallel()
	s := newServer(t, smpptest.Config{Handler: otpBlue()})
	config := plain(s)
	config.Sender, config.Receipt = "MyBank", newReceipts().handle
	if _, err := newClient(t, config).Send(t.Context(),
		message("+14155551234", "Your verification code is 482910")); err != nil {
		t.Fatal(err)
	}
	got := s.Submits()[0]
	if got.FromTON != 5 || got.From != "MyBank" || got.To != "+14155551234" || got.DataCoding != 0 || !got.Receipt {
		t.Errorf("submit_sm is %+v", got)
	}
}

// TestGuideReceipt checks the receipt that the guide prints.
func TestGuideReceipt(t *testing.T) {
	t.Parallel()
	s := newServer(t, smpptest.Config{Handler: otpBlue()})
	got := newReceipts()
	config := plain(s)
	config.Receipt = got.handle
	c := newClient(t, config)
	s.Next(1, smpptest.Reply{ID: "abc-123"})
	sub, err := c.Send(t.Context(), message(withIMessage, "Your code is 482910"))
	if err != nil {
		t.Fatal(err)
	}
	if r := got.wait(t, 1)[0]; r.ProviderID != sub.ProviderIDs[0] || r.State != channel.Delivered {
		t.Errorf("receipt is %+v for %v", r, sub.ProviderIDs)
	}
	s.Next(1, smpptest.Reply{Receipt: smpptest.Receipt{Stat: "UNDELIV", Err: "001"}})
	if _, err := c.Send(t.Context(), message(withIMessage, "Your code is 482910")); err != nil {
		t.Fatal(err)
	}
	r := got.wait(t, 2)[1]
	if r.State != channel.Failed || r.Class != channel.Unreachable || r.Code != "UNDELIV err:001" {
		t.Errorf("receipt is %+v", r)
	}
}

// TestGuideKeepalive: enquire_link comes at least every 60 s, so that the
// inactivity limit of 90 s is never reached.
func TestGuideKeepalive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var last time.Time
		c := newClient(t, peers(t, func(p *peer, _ int) {
			p.bind()
			last = time.Now()
			for f := p.Next(); f.ID != 0; f = p.Next() {
				if gap := time.Since(last); gap > time.Minute {
					t.Errorf("silent for %v", gap)
				}
				last = time.Now()
				if !f.IsResponse() {
					_, _ = p.Write(peertest.Answer(f))
				}
			}
		}))
		ready(t, c)
		time.Sleep(time.Hour)
		synctest.Wait()
		if gap := time.Since(last); gap > time.Minute {
			t.Errorf("silent for %v", gap)
		}
	})
}

// TestGuideThrottling: the rate is the SMSC's to say. Who stays within it is
// never refused, who does not learns it.
func TestGuideThrottling(t *testing.T) {
	t.Parallel()
	for _, tps := range []int{5, 0} {
		synctest.Test(t, func(t *testing.T) {
			_, c := newPipe(t, smpptest.Config{TPS: 5}, func(c *smpp.Config) { c.TPS = tps })
			ready(t, c)
			throttled := 0
			for i := range 60 {
				_, err := c.Send(t.Context(), message(numbered(i), "482910"))
				if errors.Is(err, smpp.StatusThrottled) {
					throttled++
				} else if err != nil {
					t.Error(err)
				}
			}
			if tps == 0 && (throttled < 1 || throttled > 15) || tps != 0 && throttled != 0 {
				t.Errorf("with a TPS of %d: %d of 60 throttled", tps, throttled)
			}
		})
	}
}
