package otp_test

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/store/memstore"
)

// Requests that are refused or refunded leave nothing behind: a store with room
// for a few limits and challenges serves any number of them, and a good request
// afterwards.
func TestRefusedLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	const n = 500
	number := func(i int) string { return fmt.Sprintf("+447912%06d", i) }
	for name, c := range map[string]struct {
		room   memstore.Config // beside what the good request takes
		errs   error           // of the route
		before func(t *testing.T, r *rig)
		send   func(t *testing.T, r *rig, i int) error
	}{
		"over a network's limit": {
			room: memstore.Config{MaxLimits: 1 + 2},
			before: func(t *testing.T, r *rig) {
				r.send(t, otp.Request{To: channel.Recipient{Phone: number(0)}, IP: netip.MustParseAddr("192.0.2.1")})
				time.Sleep(10 * time.Minute)
			},
			send: func(t *testing.T, r *rig, i int) error {
				_, err := r.Send(t.Context(), otp.Request{Subject: "u1", To: channel.Recipient{Phone: number(i)},
					IP: netip.MustParseAddr("192.0.2.1")})
				return err
			},
		},
		"over a recipient's limit": {
			room:   memstore.Config{MaxLimits: 1, MaxChallenges: 1},
			before: func(t *testing.T, r *rig) { r.send(t, otp.Request{To: channel.Recipient{Phone: number(0)}}) },
			send: func(t *testing.T, r *rig, i int) error {
				ip := netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)})
				_, err := r.Send(t.Context(), otp.Request{Subject: "u1", To: channel.Recipient{Phone: number(0)},
					IP: ip})
				return err
			},
		},
		"invalid": {
			send: func(t *testing.T, r *rig, i int) error {
				_, err := r.Send(t.Context(), otp.Request{Subject: "u1", To: channel.Recipient{Phone: number(i)},
					Details: "\n"})
				return err
			},
		},
		"of a locked subject": {
			room: memstore.Config{MaxLimits: 1, MaxChallenges: 1},
			before: func(t *testing.T, r *rig) {
				c := r.send(t, otp.Request{To: channel.Recipient{Email: both.Email}})
				synctest.Wait()
				_ = verify(t.Context(), r, otp.Verification{ID: c.ID, Subject: "u1",
					Code: another6(r.mail.messages()[0].Code)})
			},
			send: func(t *testing.T, r *rig, i int) error {
				_, err := r.Send(t.Context(), otp.Request{Subject: "u1", To: channel.Recipient{Phone: number(i)}})
				return err
			},
		},
		"undeliverable": { // the challenges stay, to be sent by a repeat
			room: memstore.Config{MaxChallenges: n},
			errs: refusal(channel.Misconfigured, "0x0E"),
			send: func(t *testing.T, r *rig, i int) error {
				_, err := r.Send(t.Context(), otp.Request{Subject: "u1", To: channel.Recipient{Phone: number(i)},
					Route: "A",
					IP:    netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)})})
				return err
			},
		},
		"unreachable": { // but for the network's limit
			room: memstore.Config{MaxChallenges: n, MaxLimits: 1},
			errs: refusal(channel.Unreachable, "0x0B"),
			send: func(t *testing.T, r *rig, i int) error {
				_, err := r.Send(t.Context(), otp.Request{Subject: "u1", To: channel.Recipient{Phone: number(i)},
					Route: "A",
					IP:    netip.MustParseAddr("192.0.2.1")})
				return err
			},
		},
		"without a caller": {
			send: func(t *testing.T, r *rig, i int) error {
				ctx, leave := context.WithCancel(t.Context())
				leave()
				_, err := r.Send(ctx, otp.Request{Subject: "u1", To: channel.Recipient{Phone: number(i)},
					IP: netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)})})
				return err
			},
		},
		"conflicting": {
			room: memstore.Config{MaxLimits: 1, MaxChallenges: 1},
			before: func(t *testing.T, r *rig) {
				r.send(t, otp.Request{To: channel.Recipient{Email: both.Email}, IdempotencyKey: "k"})
			},
			send: func(t *testing.T, r *rig, i int) error {
				_, err := r.Send(t.Context(), otp.Request{Subject: "u1", To: channel.Recipient{Phone: number(i)},
					IdempotencyKey: "k"})
				return err
			},
		},
	} {
		for _, async := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s,async=%v", name, async), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					room := c.room
					room.MaxLimits += 1 + 1 // of the good request: its number and its network
					room.MaxChallenges++
					room.MaxJobs = 1
					store := memstore.New(room)
					r := newRig(t, func(cfg *otp.Config) {
						cfg.Store, cfg.Async = store, async
						cfg.Policy.PerRecipient = []otp.Rate{{Most: 1, Per: time.Hour}}
						cfg.Policy.PerIP = []otp.Rate{{Most: 1, Per: time.Hour}}
						cfg.Policy.MaxFailures = 1
						if name == "unreachable" {
							cfg.Policy.PerIP = []otp.Rate{{Most: n, Per: time.Hour}}
						}
					})
					work(t, r.Service)
					if c.before != nil {
						c.before(t, r)
					}
					for i := range n {
						if c.errs != nil {
							r.a.fail(c.errs)
						}
						if err := c.send(t, r, i+1); err == nil && (!async || c.errs == nil) {
							t.Fatalf("request %d was not refused", i)
						}
						synctest.Wait()
					}
					good := otp.Request{Subject: "good", To: channel.Recipient{Phone: number(n + 1)},
						IP: netip.MustParseAddr("203.0.113.9")}
					if _, err := r.Send(t.Context(), good); err != nil {
						t.Errorf("a good request after %d that were refused: %v", n, err)
					}
				})
			})
		}
	}
}

// An address that no route reaches refunds its own limit and keeps the
// network's, so that nobody probes numbers for free. If a route was to blame,
// both are refunded.
func TestUnreachableKeepsTheNetworksLimit(t *testing.T) {
	t.Parallel()
	for class, kept := range map[channel.Class]bool{channel.Unreachable: true, channel.InvalidRecipient: true,
		channel.Misconfigured: false, channel.Throttled: false, channel.Temporary: false} {
		for _, async := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v,async=%v", class, async), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					r := newRig(t, func(c *otp.Config) {
						c.Async, c.Policy.PerRecipient, c.Policy.PerIP = async, perHour, perHour
					})
					work(t, r.Service)
					here, there := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
					q := otp.Request{Subject: "u1", To: channel.Recipient{Phone: both.Phone}, Route: "A", IP: here}
					for range 20 {
						r.a.errs = append(r.a.errs, refusal(class, "0x45"))
					}
					if _, err := r.Send(t.Context(), q); (err == nil) != async {
						t.Fatal(err)
					}
					time.Sleep(4*time.Minute + 30*time.Second) // a worker has given it up
					r.a.fail()
					other := otp.Request{Subject: "u1", To: channel.Recipient{Phone: "+447912345679"}, IP: here}
					if _, err := r.Send(t.Context(), other); (otp.ReasonOf(err) == otp.ReasonLimited) != kept {
						t.Errorf("from the network: %v", err)
					}
					q.IP = there
					if _, err := r.Send(t.Context(), q); err != nil {
						t.Errorf("to the number: %v", err)
					}
				})
			})
		}
	}
}
