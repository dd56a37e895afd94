package smpp_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/smpptest"
)

// sized is a message with a code and of so many octets in GSM-7.
func sized(octets int) string {
	const begin = "Your code is 482910. "
	return begin + strings.Repeat("x", octets-len(begin))
}

// TestGuideInputLimits has a case for each row of the input limits in OTP Blue's
// integration guide, on both sides of the limit. Where the client sees that a
// message is over it, nothing is submitted; the rest is the SMSC's to refuse.
func TestGuideInputLimits(t *testing.T) {
	t.Parallel()
	s := newServer(t, smpptest.Config{Handler: otpBlue()})
	config := plain(s)
	config.Long = smpp.LongPayload
	c := newClient(t, config)
	for _, tt := range []struct {
		name, to, text string
		class          channel.Class
		code           string
		submits        int
	}{
		{"short_message of 160 octets", withIMessage, sized(160), 0, "", 1},
		{"short_message of 161 octets, in message_payload", withIMessage, sized(161), 0, "", 1},
		{"short_message of 512 octets, in message_payload", withIMessage, sized(512), 0, "", 1},
		{"short_message of 513 octets", withIMessage, sized(513), channel.Misconfigured, "0x01", 1},
		{"destination_addr of 15 digits", "+141555501001234", "Your code is 482910", 0, "", 1},
		{"destination_addr of 16 digits", "+1415555010012345", "Your code is 482910", channel.InvalidRecipient, "", 0},
		{"destination_addr over 21 characters", "+1415555010012345678901", "Your code is 482910",
			channel.InvalidRecipient, "", 0},
		{"OTP code of 3 digits", withIMessage, "Your code is 123", channel.Misconfigured, "0x01", 1},
		{"OTP code of 4 digits", withIMessage, "Your PIN is 9821", 0, "", 1},
		{"OTP code of 10 digits", withIMessage, "Your code is 1234567890", 0, "", 1},
		{"OTP code of 11 digits", withIMessage, "Your code is 12345678901", channel.Misconfigured, "0x01", 1},
		{"phone number without +", "14155550100", "Your code is 482910", channel.InvalidRecipient, "", 0},
		{"phone number with a letter", "+1415555010O", "Your code is 482910", channel.InvalidRecipient, "", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := len(s.Submits())
			_, err := c.Send(t.Context(), message(tt.to, tt.text))
			if tt.class == 0 && err != nil {
				t.Errorf("Send: %v", err)
			} else if tt.class != 0 {
				wantClass(t, err, tt.class, tt.code)
			}
			all := s.Submits()[before:]
			if len(all) != tt.submits {
				t.Fatalf("%d submit_sm, want %d", len(all), tt.submits)
			}
			if len(all) == 1 && (all[0].Octets != len(tt.text) || all[0].Text != tt.text) {
				t.Errorf("the SMSC read %d octets, want %d", all[0].Octets, len(tt.text))
			}
		})
	}
}

// TestGuideCodeExtraction has a case for each message of the guide's section on
// the code.
func TestGuideCodeExtraction(t *testing.T) {
	t.Parallel()
	s := newServer(t, smpptest.Config{Handler: otpBlue()})
	c := newClient(t, plain(s))
	for _, text := range []string{
		"Your verification code is 482910", "OTP: 123456", "Use code 482910 to verify your account",
		"482910", "Your PIN is 9821", "code: 482-910",
	} {
		if _, err := c.Send(t.Context(), message(withIMessage, text)); err != nil {
			t.Errorf("%q: %v", text, err)
		}
		all := s.Submits()
		if got := all[len(all)-1].Text; got != text {
			t.Errorf("%q arrives as %q", text, got)
		}
	}
}

// TestGuideSender has a case for each line of the guide's section on the sender:
// alphanumeric ones are the brand's name, numeric ones (TON 1 or 3) fall back
// to the default of the account and are taken all the same.
func TestGuideSender(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		sender string
		ton    uint8
		want   string
	}{
		{"MyBank", 5, "MyBank"}, {"Acme", 5, "Acme"}, {"1xBet", 5, "1xBet"},
		{"MyBankMyBan", 5, "MyBankMyBan"}, // 11 characters
		{"+14155550199", 1, "14155550199"}, {"14155550199", 1, "14155550199"}, {"12345", 3, "12345"},
	} {
		t.Run(tt.sender, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, smpptest.Config{Handler: otpBlue()})
			config := plain(s)
			config.Sender = tt.sender
			if _, err := newClient(t, config).Send(t.Context(),
				message(withIMessage, "Your code is 482910")); err != nil {
				t.Fatal(err)
			}
			if got := s.Submits()[0]; got.FromTON != tt.ton || got.From != tt.want {
				t.Errorf("sender is %q, TON %d", got.From, got.FromTON)
			}
		})
	}
	t.Run("over 11 characters", func(t *testing.T) {
		t.Parallel()
		c, err := smpp.New(smpp.Config{Addr: "smsc.example:2776", Sender: "MyBankMyBank"})
		if err == nil || !strings.Contains(err.Error(), "Config.Sender") {
			t.Errorf("New: %v", err)
		}
		if c != nil {
			c.Close()
		}
	})
}

// TestGuideTroubleshooting has a case for each row of the guide's table of
// troubles that another of these tables has not: what the client does about it
// by itself is the guide's solution, and what it cannot it says.
func TestGuideTroubleshooting(t *testing.T) {
	t.Parallel()
	run := func(name string, f func(t *testing.T)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, f)
		})
	}
	for status, name := range map[smpp.Status]string{
		smpp.StatusInvalidPassword: "Bind rejected (0x0E): verify credentials",
		smpp.StatusBindFailed:      "Bind rejected (0x0D): request the IP to be allowed",
	} {
		run(name, func(t *testing.T) {
			s := smpptest.NewPipeServer(smpptest.Config{})
			t.Cleanup(s.Close)
			s.RefuseBinds(status)
			told := &events{}
			config := piped(s)
			config.Event = told.handle
			c := newClient(t, config)
			wantClass(t, c.Ready(t.Context()), channel.Misconfigured, status.Code())
			synctest.Wait()
			if all := told.all; len(all) != 1 || all[0].Kind != smpp.EventRefused || !errors.Is(all[0].Err, status) {
				t.Errorf("events are %+v", all)
			}
		})
	}
	run("submit_sm returns 0x04: bind first", func(t *testing.T) {
		s, c := newPipe(t, smpptest.Config{}, nil)
		s.Next(1, smpptest.Reply{Status: smpp.StatusInvalidBindStatus})
		_, err := c.Send(t.Context(), message(ann, "482910"))
		wantClass(t, err, channel.Temporary, "0x04")
		if _, err := c.Send(t.Context(), message(ann, "482910")); err != nil || len(s.Binds()) != 2 {
			t.Errorf("Send: %v, over %d binds", err, len(s.Binds()))
		}
	})
	run("submit_sm returns 0x58: reduce sending rate", func(t *testing.T) {
		s, c := newPipe(t, smpptest.Config{}, func(c *smpp.Config) { c.TPS = 100 })
		s.Next(1, smpptest.Reply{Status: smpp.StatusThrottled})
		_, err := c.Send(t.Context(), message(ann, "482910"))
		wantClass(t, err, channel.Throttled, "0x58")
		if r := c.State().Rate; r <= 0 || r > 50 {
			t.Errorf("the rate is %v, want at most half of 100", r)
		}
	})
	for _, wanted := range []bool{true, false} {
		run(fmt.Sprintf("No delivery receipt: registered_delivery, asked for %v", wanted), func(t *testing.T) {
			got := newReceipts()
			s, c := newPipe(t, smpptest.Config{}, func(c *smpp.Config) {
				if wanted {
					c.Receipt = got.handle
				}
			})
			if _, err := c.Send(t.Context(), message(ann, "482910")); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if asked := s.Submits()[0].Receipt; asked != wanted || (len(got.got) == 1) != wanted {
				t.Errorf("asked for %v, %d came", asked, len(got.got))
			}
		})
	}
}
