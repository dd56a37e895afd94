package smpp_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ajankovic/smpp/pdu"
	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
	"github.com/otpcourier/otpcourier/smpp/smpptest"
)

// A cancel_sm names the message and has the addresses of its submit_sm.
func TestCancel(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(*smpp.Config){
		"message's sender":  func(*smpp.Config) {},
		"short code":        func(c *smpp.Config) { c.Sender = "12345" },
		"sender by country": func(c *smpp.Config) { c.Senders = map[string]string{"+44": "+447700900123"} },
		"numbering": func(c *smpp.Config) {
			c.SenderNumbering, c.DestNumbering = &smpp.Numbering{TON: 6, NPI: 1}, &smpp.Numbering{TON: 2, NPI: 1}
		},
		"service type": func(c *smpp.Config) { c.ServiceType = "OTP" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, c := newPipe(t, smpptest.Config{}, edit)
				m := message(ann, "482910")
				m.Expires = time.Now().Add(time.Minute)
				sub, err := c.Send(t.Context(), m)
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(2 * time.Minute) // what expires may be cancelled all the same
				if err := c.Cancel(t.Context(), m, sub); err != nil {
					t.Fatal(err)
				}
				sent := s.Submits()[0]
				want := []smpptest.Cancel{{Conn: 1, Sequence: s.Cancels()[0].Sequence, ID: "m1", From: sent.From,
					FromTON: sent.FromTON, To: sent.To}}
				if diff := cmp.Diff(want, s.Cancels()); diff != "" || sent.From == "" {
					t.Errorf("cancel_sm (-want +got):\n%s", diff)
				}
				wantClass(t, c.Cancel(t.Context(), m, sub), channel.Unknown, "0x11")
				m.Expires = time.Time{}
				if _, err := c.Send(t.Context(), m); err != nil || len(s.Submits()) != 2 || len(s.Cancels()) != 2 {
					t.Errorf("a message after it: %v, %d submit_sm, %d cancel_sm", err, len(s.Submits()),
						len(s.Cancels()))
				}
			})
		})
	}
}

func TestCancelTooLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		got := newReceipts()
		s, c := newPipe(t, smpptest.Config{}, func(c *smpp.Config) { c.Receipt = got.handle })
		s.On(ann, smpptest.Reply{Receipt: smpptest.Receipt{Delay: time.Minute}})
		m := message(ann, "482910")
		early, err := c.Send(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		late, err := c.Send(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Cancel(t.Context(), m, early); err != nil {
			t.Error(err)
		}
		time.Sleep(2 * time.Minute)
		for _, r := range got.wait(t, 2) {
			if want := r.ProviderID == early.ProviderIDs[0]; want != (r.Code == "DELETED err:000") ||
				want == (r.State == channel.Delivered) {
				t.Errorf("receipt is %+v", r)
			}
		}
		wantClass(t, c.Cancel(t.Context(), m, late), channel.Unknown, "0x11")
		wantClass(t, c.Cancel(t.Context(), m, channel.Submission{ProviderIDs: []string{"another"}}), channel.Unknown,
			"0x0C")
		other := message(ann, "482910")
		other.Sender = "Another"
		wantClass(t, c.Cancel(t.Context(), other, late), channel.Unknown, "0x0C")
	})
}

func TestCancelRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		status      smpp.Status
		class       channel.Class
		unsupported bool
	}{
		{smpp.StatusCancelFailed, channel.Unknown, false},
		{smpp.StatusInvalidMessageID, channel.Unknown, false},
		{smpp.StatusInvalidCmdID, channel.Misconfigured, true},
		{smpp.StatusSystemError, channel.Temporary, false},
		{smpp.StatusThrottled, channel.Throttled, false},
		{smpp.StatusInvalidBindStatus, channel.Temporary, false},
		{smpp.StatusInvalidSource, channel.Misconfigured, false},
		{0x0401, channel.Throttled, false}, // by Classes
		{0x0402, channel.Unknown, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			s, c := newPipe(t, smpptest.Config{}, func(c *smpp.Config) {
				c.Classes = map[smpp.Status]channel.Class{
					0x0401: channel.Throttled, smpp.StatusCancelFailed: channel.Unreachable,
					smpp.StatusInvalidMessageID: channel.Temporary,
				}
			})
			m := message(ann, "482910")
			sub, err := c.Send(t.Context(), m)
			if err != nil {
				t.Fatal(err)
			}
			s.NextCancels(1, smpptest.Reply{Status: tt.status})
			err = c.Cancel(t.Context(), m, sub)
			wantClass(t, err, tt.class, tt.status.Code())
			if !errors.Is(err, tt.status) || errors.Is(err, errors.ErrUnsupported) != tt.unsupported ||
				!strings.HasPrefix(err.Error(), "smpp: cancel_sm: ") {
				t.Errorf("error is %v", err)
			}
			if err := c.Cancel(t.Context(), m, sub); err != nil || len(s.Binds()) != 1 {
				t.Errorf("again: %v, %d binds", err, len(s.Binds()))
			}
		})
	}
}

// Every part is asked for, whatever became of another, but for those after a
// failure that says nothing of its part.
func TestCancelParts(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		replies []smpp.Status
		class   channel.Class
		code    string
		part    string
		asked   string
	}{
		{"all", []smpp.Status{0, 0, 0}, 0, "", "", "m1 m2 m3"},
		{"one delivered", []smpp.Status{0, smpp.StatusCancelFailed, 0}, channel.Unknown, "0x11", "part 2 of 3",
			"m1 m2 m3"},
		{"one unknown", []smpp.Status{smpp.StatusInvalidMessageID, 0, 0}, channel.Unknown, "0x0C", "part 1 of 3",
			"m1 m2 m3"},
		{"then no more", []smpp.Status{smpp.StatusCancelFailed, smpp.StatusSystemError, 0}, channel.Unknown, "0x11",
			"part 1 of 3", "m1 m2"},
		{"system error", []smpp.Status{0, smpp.StatusSystemError, 0}, channel.Temporary, "0x08", "part 2 of 3",
			"m1 m2"},
		{"not known", []smpp.Status{smpp.StatusInvalidCmdID, 0, 0}, channel.Misconfigured, "0x03", "part 1 of 3", "m1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, c := newPipe(t, smpptest.Config{}, nil)
				m := message(ann, strings.Repeat("a", 400))
				sub, err := c.Send(t.Context(), m)
				if err != nil || len(sub.ProviderIDs) != 3 {
					t.Fatal(sub, err)
				}
				for _, status := range tt.replies {
					s.NextCancels(1, smpptest.Reply{Status: status})
				}
				switch err := c.Cancel(t.Context(), m, sub); {
				case tt.part == "" && err != nil:
					t.Error(err)
				case tt.part != "":
					wantClass(t, err, tt.class, tt.code)
					if !strings.Contains(err.Error(), tt.part) {
						t.Errorf("error is %v", err)
					}
				}
				if got := asked(s); got != tt.asked {
					t.Errorf("cancel_sm for %s, want %s", got, tt.asked)
				}
			})
		})
	}
}

// asked are the ids of the cancel_sm that came.
func asked(s *smpptest.Server) string {
	var ids []string
	for _, v := range s.Cancels() {
		ids = append(ids, v.ID)
	}
	return strings.Join(ids, " ")
}

func TestCancelSpellsIDs(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		format          smpp.IDFormat
		given, id, want string
	}{
		{smpp.IDText, "00aF-1", "00aF-1", "00aF-1"},
		{smpp.IDHex, "A1F", "2591", "A1F"},
		{smpp.IDHex, "0x0a1f", "2591", "A1F"},
		{smpp.IDHex, "12", "18", "12"},
		{smpp.IDHex, "0", "0", "0"},
		{smpp.IDHex, "FFFFFFFFFFFFFFFFFFFFFFFF", "79228162514264337593543950335", "FFFFFFFFFFFFFFFFFFFFFFFF"},
		{smpp.IDHex, "x-1", "x-1", "x-1"},
		{smpp.IDHex, "-1", "-1", "-1"},
		{smpp.IDDecimal, "12", "12", "12"},
		{smpp.IDDecimal, "0012", "12", "12"},
	} {
		synctest.Test(t, func(t *testing.T) {
			s, c := newPipe(t, smpptest.Config{}, func(c *smpp.Config) { c.SubmitIDs = tt.format })
			s.Next(1, smpptest.Reply{ID: tt.given})
			s.NextCancels(1, smpptest.Reply{})
			m := message(ann, "482910")
			sub, err := c.Send(t.Context(), m)
			if err != nil || sub.ProviderIDs[0] != tt.id {
				t.Fatalf("%+v: %v, %v", tt, sub, err)
			}
			if err := c.Cancel(t.Context(), m, sub); err != nil || asked(s) != tt.want {
				t.Errorf("%+v: cancel_sm for %q, %v", tt, asked(s), err)
			}
		})
	}
}

// What cannot be asked is not: least of all for no message in particular.
func TestCancelRefuses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, c := newPipe(t, smpptest.Config{}, nil)
		for _, ids := range [][]string{nil, {""}, {"m1", ""}, {"a\x00b"}, {strings.Repeat("1", 65)}} {
			wantClass(t, c.Cancel(t.Context(), message(ann, "482910"), channel.Submission{ProviderIDs: ids}),
				channel.Misconfigured, "")
		}
		one := channel.Submission{ProviderIDs: []string{"m1"}}
		wantClass(t, c.Cancel(t.Context(), message("", "482910"), one), channel.InvalidRecipient, "")
		wantClass(t, c.Cancel(t.Context(), message("07911", "482910"), one), channel.InvalidRecipient, "")
		m := message(ann, "482910")
		m.Sender = "Twelve chars"
		wantClass(t, c.Cancel(t.Context(), m, one), channel.Misconfigured, "")
		if got := s.Cancels(); len(got) != 0 {
			t.Errorf("the SMSC received %+v", got)
		}
	})
}

func TestCancelUnanswered(t *testing.T) {
	t.Parallel()
	one := channel.Submission{ProviderIDs: []string{"m1", "m2"}}
	for _, tt := range []struct {
		name  string
		reply smpptest.Reply
		ctx   time.Duration
		class channel.Class
		took  time.Duration
		cause error
	}{
		{"no answer", smpptest.Reply{Stall: true}, time.Hour, channel.Unknown, 10 * time.Second, nil},
		{"late answer", smpptest.Reply{Delay: 11 * time.Second}, time.Hour, channel.Unknown, 10 * time.Second, nil},
		{"connection lost", smpptest.Reply{Hangup: true, Delay: time.Second}, time.Hour, channel.Unknown, time.Second,
			nil},
		{"ctx ends", smpptest.Reply{Stall: true}, 3 * time.Second, channel.Unknown, 3 * time.Second,
			context.DeadlineExceeded},
		{"ctx ended", smpptest.Reply{}, 0, channel.Temporary, 0, context.DeadlineExceeded},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, c := newPipe(t, smpptest.Config{}, nil)
				ready(t, c)
				s.NextCancels(1, tt.reply)
				ctx, cancel := context.WithTimeout(t.Context(), tt.ctx)
				defer cancel()
				began := time.Now()
				err := c.Cancel(ctx, message(ann, "482910"), one)
				wantClass(t, err, tt.class, "")
				took(t, began, tt.took)
				if tt.cause != nil && !errors.Is(err, tt.cause) ||
					!strings.HasPrefix(err.Error(), "smpp: cancel_sm: ") {
					t.Errorf("error is %v", err)
				}
				if n := len(s.Cancels()); n > 1 {
					t.Errorf("%d cancel_sm", n)
				}
			})
		})
	}
}

func TestCancelClosed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, c := newPipe(t, smpptest.Config{}, nil)
		one := channel.Submission{ProviderIDs: []string{"m1"}}
		ready(t, c)
		s.NextCancels(1, smpptest.Reply{Delay: time.Second})
		last := make(chan error, 1)
		go func() { last <- c.Cancel(context.Background(), message(ann, "482910"), one) }()
		synctest.Wait()
		if err := c.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if err := <-last; err != nil {
			t.Errorf("Cancel during Shutdown: %v", err)
		}
		err := c.Cancel(t.Context(), message(ann, "482910"), one)
		wantClass(t, err, channel.Temporary, "")
		if !errors.Is(err, smpp.ErrClosed) {
			t.Errorf("error is %v", err)
		}
	})
}

func TestCancelUnbound(t *testing.T) {
	t.Parallel()
	one := channel.Submission{ProviderIDs: []string{"m1"}}
	synctest.Test(t, func(t *testing.T) {
		_, c := refusing(t, smpp.StatusSystemError)
		began := time.Now()
		wantClass(t, c.Cancel(t.Context(), message(ann, "482910"), one), channel.Temporary, "")
		took(t, began, 5*time.Second)
	})
	synctest.Test(t, func(t *testing.T) {
		_, c := refusing(t, smpp.StatusInvalidPassword)
		synctest.Wait()
		err := c.Cancel(t.Context(), message(ann, "482910"), one)
		wantClass(t, err, channel.Misconfigured, "0x0E")
	})
}

// Each cancel_sm takes a message's place in the rate and in the window.
func TestCancelKeepsToLimits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, c := newPipe(t, smpptest.Config{}, func(c *smpp.Config) { c.TPS, c.Window = 1, 1 })
		m := message(ann, "482910")
		ready(t, c)
		began := time.Now()
		sub, err := c.Send(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		s.NextCancels(1, smpptest.Reply{Delay: 5 * time.Second})
		go func() { _ = c.Cancel(t.Context(), m, sub) }()
		synctest.Wait()
		if _, err := c.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		took(t, began, 6*time.Second)
	})
	synctest.Test(t, func(t *testing.T) {
		s, c := newPipe(t, smpptest.Config{}, func(c *smpp.Config) { c.TPS = 10 })
		s.NextCancels(1, smpptest.Reply{Status: smpp.StatusThrottled})
		one := channel.Submission{ProviderIDs: []string{"m1"}}
		wantClass(t, c.Cancel(t.Context(), message(ann, "482910"), one), channel.Throttled, "0x58")
		if rate := c.State().Rate; rate != 5 {
			t.Errorf("rate is %v, want half of 10", rate)
		}
	})
}

// The SMSC may tell its load in the answer to any command (SMPP 5.0, section
// 4.8.4.18).
func TestCancelHeedsCongestion(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		config := peers(t, func(p *peer, _ int) {
			p.bind()
			f, _ := p.Await(pdu.CancelSmID)
			p.Write([]byte{0, 0, 0, 21, 0x80, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, byte(f.Seq), 0x04, 0x28, 0, 1, 80})
			p.Drain()
		})
		config.TPS = 10
		c := newClient(t, config)
		if err := c.Cancel(t.Context(), message(ann, "482910"),
			channel.Submission{ProviderIDs: []string{"m1"}}); err != nil {
			t.Fatal(err)
		}
		if rate := c.State().Rate; rate != 9 {
			t.Errorf("rate is %v, want nine tenths of 10", rate)
		}
	})
}

// A response to another command is no answer, whatever its number.
func TestAnswerToAnotherCommand(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		answer func(f wire.Frame) []byte
		class  channel.Class
		code   string
		took   time.Duration
	}{
		{"crossed", func(f wire.Frame) []byte {
			if f.ID == pdu.CancelSmID {
				return accept(f, "m1")
			}
			return wire.AppendEmpty(nil, pdu.CancelSmRespID, 0, f.Seq)
		}, channel.Unknown, "", 10 * time.Second},
		{"generic_nack", func(f wire.Frame) []byte {
			return wire.AppendEmpty(nil, pdu.GenericNackID, uint32(smpp.StatusInvalidCmdID), f.Seq)
		}, channel.Misconfigured, "0x03", 0},
		{"empty generic_nack", func(f wire.Frame) []byte {
			return wire.AppendEmpty(nil, pdu.GenericNackID, 0, f.Seq)
		}, channel.Unknown, "", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newClient(t, peers(t, func(p *peer, _ int) {
					p.bind()
					for f := p.Next(); f.ID != 0; f = p.Next() {
						if f.ID == pdu.SubmitSmID || f.ID == pdu.CancelSmID {
							p.Write(tt.answer(f))
						}
					}
				}))
				ready(t, c)
				m := message(ann, "482910")
				began := time.Now()
				err := c.Cancel(t.Context(), m, channel.Submission{ProviderIDs: []string{"m1"}})
				wantClass(t, err, tt.class, tt.code)
				took(t, began, tt.took)
				if unsupported := tt.code == "0x03"; errors.Is(err, errors.ErrUnsupported) != unsupported {
					t.Errorf("error is %v", err)
				}
				_, err = c.Send(t.Context(), m)
				wantClass(t, err, tt.class, tt.code)
				took(t, began, 2*tt.took)
			})
		})
	}
}
