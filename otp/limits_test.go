package otp_test

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
)

// What surely never went out costs nothing, and its key may be used again.
func TestUndeliveredIsFree(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *otp.Config) { c.Policy.PerRecipient = []otp.Rate{{Most: 3, Per: time.Hour}} })
	down := []error{refusal(channel.Temporary, "0x08")}
	for range 4 { // over the limit of three
		r.a.errs, r.b.errs, r.mail.errs = down, down, down
		c, err := r.Send(t.Context(), otp.Request{Subject: "u1", To: both, IdempotencyKey: "k"})
		wantReason(t, err, otp.ReasonUndelivered, otp.ErrUndelivered)
		if channel.ClassOf(err) != channel.Temporary || c.State != channel.Failed || len(c.Hops) == 0 {
			t.Fatalf("challenge %+v beside %v", c, err)
		}
	}
	r.a.errs, r.b.errs, r.mail.errs = nil, nil, nil
	c := r.send(t, otp.Request{IdempotencyKey: "k"})
	if c.Route == "" || c.State != channel.Sent {
		t.Errorf("after the outage: %+v", c)
	}
}

// An outage that outlasts the code costs nothing with a queue, either, however
// often the message was tried.
func TestOutageIsFree(t *testing.T) {
	t.Parallel()
	for _, life := range []time.Duration{5 * time.Minute, 30 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, func(c *otp.Config) {
				c.Async, c.Policy.Life = true, life
				c.Policy.PerRecipient = []otp.Rate{{Most: 1, Per: time.Hour}}
			})
			r.a.errs = slices.Repeat([]error{refusal(channel.Temporary, "0x08")}, 1000)
			work(t, r.Service)
			q := otp.Request{Subject: "u1", To: channel.Recipient{Phone: both.Phone}, Route: "A"}
			c := r.send(t, q)
			time.Sleep(life / 2)
			if _, err := r.Send(t.Context(), q); otp.ReasonOf(err) != otp.ReasonLimited {
				t.Errorf("while the message may go out yet: %v", err)
			}
			time.Sleep(life/2 - 1)
			if s, err := r.Status(t.Context(), ref(c.ID)); err != nil || s.State != channel.Failed {
				t.Errorf("%+v, %v", s, err)
			}
			r.send(t, q)
		})
	}
}

// What never went out, but was asked for so long ago that it does not count any
// more, gives nothing back that another took.
func TestUndeliveredTooLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *otp.Config) {
			c.Async, c.Workers = true, 1
			c.Policy.PerRecipient = []otp.Rate{{Most: 1, Per: 30 * time.Second}}
		})
		r.a.errs = []error{refusal(channel.Unreachable, "")}
		q := otp.Request{Subject: "u1", To: channel.Recipient{Phone: both.Phone}, Route: "A"}
		r.send(t, q)
		time.Sleep(31 * time.Second)
		r.send(t, q)
		work(t, r.Service)
		synctest.Wait()
		time.Sleep(time.Second)
		if n := r.a.count(); n != 2 {
			t.Fatalf("%d messages were tried", n)
		}
		_, err := r.Send(t.Context(), q)
		wantReason(t, err, otp.ReasonLimited, otp.ErrWait)
	})
}

// A request that is repeated while its message waits for a worker is one
// message, and counts as one.
func TestRepeatsCountOnce(t *testing.T) {
	t.Parallel()
	for _, parallel := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, func(c *otp.Config) {
				c.Async, c.Policy.PerRecipient = true, []otp.Rate{{Most: 4, Per: time.Hour}}
			})
			r.a.errs = []error{refusal(channel.Unreachable, "0x45")}
			q := otp.Request{Subject: "u1", To: channel.Recipient{Phone: both.Phone}, Route: "A", IdempotencyKey: "k"}
			r.send(t, q)
			stop := work(t, r.Service)
			synctest.Wait()
			stop()
			for range 4 {
				repeat := func() {
					if c, err := r.Send(t.Context(), q); err != nil || c.State != channel.Queued {
						t.Errorf("parallel=%v: %+v, %v", parallel, c, err)
					}
				}
				if parallel {
					go repeat()
				} else {
					repeat()
				}
			}
			synctest.Wait()
			work(t, r.Service)
			synctest.Wait()
			if n := r.a.count(); n != 2 {
				t.Fatalf("parallel=%v: %d messages, want the refused one and one more", parallel, n)
			}
			q.IdempotencyKey = ""
			for range 3 {
				r.send(t, q)
			}
			_, err := r.Send(t.Context(), q)
			wantReason(t, err, otp.ReasonLimited, otp.ErrWait)
		})
	}
}

// A Resend that was not recorded counts as none. If the store does not say
// whether it recorded one, the message may come, and counts.
func TestRefusedResendIsFree(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		down     string
		takeover time.Duration
		counts   bool
	}{{"Get", 0, false}, {"Take", 0, false}, {"Enqueue", 20 * time.Second, false}, {"Update", 0, true}} {
		for _, async := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				f := &faulty{backend: newStore(t)}
				r := newRig(t, func(cfg *otp.Config) {
					cfg.Store, cfg.Async, cfg.Takeover = f, async, c.takeover
					cfg.Policy.PerRecipient = []otp.Rate{{Most: 2, Per: time.Hour}}
				})
				stop := work(t, r.Service)
				id := r.send(t, otp.Request{To: channel.Recipient{Phone: both.Phone}}).ID
				<-time.After(time.Minute)
				stop()
				f.setDown(c.down)
				got, err := r.Resend(t.Context(), otp.ResendRequest{ID: id, Subject: "u1", RequestID: "second"})
				wantReason(t, err, otp.ReasonUnavailable, otp.ErrUnavailable)
				if (got != nil) != c.counts {
					t.Errorf("%+v, async=%v: the challenge is %+v", c, async, got)
				}
				f.setDown("")
				<-time.After(time.Minute)
				_, err = r.Resend(t.Context(), otp.ResendRequest{ID: id, Subject: "u1"})
				if limited := otp.ReasonOf(err) == otp.ReasonLimited; limited != c.counts || !limited && err != nil {
					t.Errorf("%+v, async=%v: then %v", c, async, err)
				}
			})
		}
	}
}

// What may have gone out is counted, and can be verified.
func TestUnknownCounts(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *otp.Config) { c.Policy.PerRecipient = []otp.Rate{{Most: 1, Per: time.Hour}} })
	r.a.errs = []error{refusal(channel.Unknown, "")}
	c, err := r.Send(t.Context(), otp.Request{Subject: "u1", To: channel.Recipient{Phone: both.Phone}, Route: "A"})
	if channel.ClassOf(err) != channel.Unknown || c == nil || c.State != channel.Sent {
		t.Fatalf("%+v, %v", c, err)
	}
	_, err = r.Send(t.Context(), otp.Request{Subject: "u1", To: channel.Recipient{Phone: both.Phone}})
	wantReason(t, err, otp.ReasonLimited, otp.ErrWait)
	if err := verify(t.Context(), r, otp.Verification{ID: c.ID, Subject: "u1",
		Code: r.a.messages()[0].Code}); err != nil {
		t.Error(err)
	}
}

// So is what may have gone out by one route before the next refused it,
// whatever the channel calls that.
func TestUnknownHopCounts(t *testing.T) {
	t.Parallel()
	for _, async := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, func(c *otp.Config) {
				c.Async, c.Policy.PerRecipient, c.Receipts = async, []otp.Rate{{Most: 1, Per: time.Hour}}, nil
				c.Channel = channel.Func(func(context.Context, *channel.Message) (channel.Submission, error) {
					unknown, refused := refusal(channel.Unknown, ""), refusal(channel.Temporary, "0x08")
					return channel.Submission{Hops: []channel.Hop{
						{Route: "A", Address: channel.Phone, Class: channel.Unknown, Err: unknown},
						{Route: "B", Address: channel.Phone, Class: channel.Temporary, Err: refused},
					}}, refused
				})
			})
			work(t, r.Service)
			q := otp.Request{Subject: "u1", To: channel.Recipient{Phone: both.Phone}}
			c, _ := r.Send(t.Context(), q)
			synctest.Wait()
			if s, err := r.Status(t.Context(), ref(c.ID)); err != nil || s.State != channel.Sent {
				t.Errorf("async=%v: %+v, %v", async, s, err)
			}
			_, err := r.Send(t.Context(), q)
			wantReason(t, err, otp.ReasonLimited, otp.ErrWait)
		})
	}
}

// What follows a message that went out gives nothing of it back.
func TestNextRouteGivesNothingBack(t *testing.T) {
	t.Parallel()
	for _, failed := range []bool{false, true} { // or silent
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, func(c *otp.Config) { c.Policy.PerRecipient = []otp.Rate{{Most: 2, Per: time.Hour}} })
			r.cfg.Channel = r.failover(t, await)
			r.Service = r.another(t)
			r.b.errs = []error{refusal(channel.Unreachable, "0x45")}
			work(t, r.Service)
			q := otp.Request{Subject: "u1", To: channel.Recipient{Phone: both.Phone}}
			r.send(t, q)
			if failed {
				handle(t, r.Service, channel.Receipt{Route: "A", ProviderID: "a-1", State: channel.Failed})
			}
			<-time.After(await + time.Second)
			if n := r.b.count(); n != 1 {
				t.Fatalf("%d messages by B", n)
			}
			r.send(t, otp.Request{To: q.To, Route: "A"}) // B's was refunded
			_, err := r.Send(t.Context(), q)
			wantReason(t, err, otp.ReasonLimited, otp.ErrWait)
		})
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		for i := range 5 {
			r.send(t, otp.Request{Subject: strings.Repeat("x", i+1)})
		}
		_, err := r.Send(t.Context(), otp.Request{Subject: "other", To: channel.Recipient{Phone: "+44 7912 345678"}})
		if e := wantReason(t, err, otp.ReasonLimited, otp.ErrWait); e.RetryAfter != 10*time.Minute {
			t.Errorf("recipient: %+v", e)
		}
		r.send(t, otp.Request{To: channel.Recipient{Phone: "+447912345679"}})
		time.Sleep(10 * time.Minute)
		for range 5 {
			r.send(t, otp.Request{Subject: "again"})
		}
		time.Sleep(10 * time.Minute)
		_, err = r.Send(t.Context(), otp.Request{Subject: "other", To: both})
		if e := wantReason(t, err, otp.ReasonLimited, otp.ErrWait); e.RetryAfter != 24*time.Hour-20*time.Minute {
			t.Errorf("ten a day: %+v", e)
		}
	})
}

func TestLimitPerIP(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		number := func(i int) channel.Recipient {
			return channel.Recipient{Phone: "+4479123456" + string([]byte{byte('0' + i/10), byte('0' + i%10)})}
		}
		for i := range 10 {
			ip := netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 15: byte(i)}) // one /64
			r.send(t, otp.Request{To: number(i), IP: ip})
		}
		_, err := r.Send(t.Context(), otp.Request{Subject: "u1", To: number(11),
			IP: netip.MustParseAddr("2001:db8::ffff")})
		if e := wantReason(t, err, otp.ReasonLimited, otp.ErrWait); e.RetryAfter != time.Hour {
			t.Errorf("%+v", e)
		}
		r.send(t, otp.Request{To: number(12), IP: netip.MustParseAddr("2001:db8:0:1::1")})
		for i := range 10 {
			r.send(t, otp.Request{To: number(20 + i), IP: netip.MustParseAddr("192.0.2.1")})
		}
		_, err = r.Send(t.Context(), otp.Request{Subject: "u1", To: number(30),
			IP: netip.MustParseAddr("::ffff:192.0.2.1")})
		wantReason(t, err, otp.ReasonLimited, otp.ErrWait)
		r.send(t, otp.Request{To: number(31), IP: netip.MustParseAddr("192.0.2.2")})
	})
}
