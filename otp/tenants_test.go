package otp_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/channeltest"
	"github.com/otpcourier/otpcourier/channel/failover"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/wording"
	"github.com/otpcourier/otpcourier/store/memstore"
)

// A brand is a Service, or a tenant of one, with a route of its own.
type brand struct {
	*otp.Service
	tenant string
	route  *channeltest.Fake
	log    lockedBuffer
}

// lockedBuffer is a log that several goroutines write.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func routeOf(t testing.TB, name string, fake *channeltest.Fake, await time.Duration) channel.Channel {
	t.Helper()
	f, err := failover.New(failover.Config{Router: failover.List(
		channel.Route{Name: name, Channel: fake, Address: channel.Phone, Await: await},
		channel.Route{Name: name + "-email", Channel: fake, Address: channel.Email},
	)})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// newBrand makes an application of its own.
func newBrand(t testing.TB, name string, keys otp.Keyring, shared *memstore.Store, change func(*otp.Config)) *brand {
	t.Helper()
	b := &brand{route: &channeltest.Fake{Name: name}}
	c := otp.Config{Channel: routeOf(t, "sms", b.route, 0), Store: shared, Keys: keys,
		Wording: wording.Config{Brand: name},
		Logger:  slog.New(slog.NewTextHandler(&b.log, nil)), Policy: otp.Policy{PerIP: []otp.Rate{}}}
	if change != nil {
		change(&c)
	}
	var err error
	if b.Service, err = otp.New(c); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *brand) send(t testing.TB, q otp.Request) *otp.Challenge {
	t.Helper()
	q.Tenant, q.Purpose = b.tenant, "login"
	if q.Subject == "" {
		q.Subject = "user-1"
	}
	q.To = channel.Recipient{Phone: "+447912345678"}
	c, err := b.Send(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// code is that of the latest message.
func (b *brand) code(t testing.TB) string {
	t.Helper()
	all := b.route.Accepted()
	if len(all) == 0 {
		t.Fatal("no message")
	}
	return all[len(all)-1].Code
}

func (b *brand) verify(t testing.TB, id, code string) error {
	_, err := b.Verify(t.Context(), otp.Verification{ID: id, Subject: "user-1", Tenant: b.tenant, Purpose: "login",
		Code: code})
	return err
}

// TestTwoApplicationsOnOneStore: two Services that share a store and even a keyring
// leave each other's challenges alone, say so, and serve their own.
func TestTwoApplicationsOnOneStore(t *testing.T) {
	t.Parallel()
	for _, async := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			keys, shared := otp.NewKeyring(), memstore.New(memstore.Config{})
			change := func(c *otp.Config) { c.Async = async }
			a, b := newBrand(t, "Alpha", keys, shared, change), newBrand(t, "Beta", keys, shared, change)
			ctx, cancel := context.WithCancel(t.Context())
			var working sync.WaitGroup
			for _, s := range []*brand{a, b} {
				working.Go(func() { _ = s.Work(ctx) })
			}
			defer working.Wait()
			defer cancel()

			const n = 20
			ids := map[*brand][]string{}
			for i := range n {
				for _, s := range []*brand{a, b} {
					c, err := s.Send(t.Context(), otp.Request{Subject: fmt.Sprint("user-", i),
						IdempotencyKey: fmt.Sprint("key-", i),
						To:             channel.Recipient{Phone: fmt.Sprintf("+4479123456%02d", i)}})
					if err != nil || c.Repeated {
						t.Fatalf("%+v, %v", c, err)
					}
					ids[s] = append(ids[s], c.ID)
				}
			}
			time.Sleep(30 * time.Second) // a job that the wrong worker took comes again
			for _, s := range []*brand{a, b} {
				name := s.route.Name
				all := s.route.Accepted()
				if len(all) != n {
					t.Errorf("async %v: %s sent %d messages, want %d", async, name, len(all), n)
				}
				for _, m := range all {
					if m.Sender != name || !strings.Contains(m.Text, name) {
						t.Errorf("%s sent %q in the name of %q", name, m.Text, m.Sender)
					}
				}
			}
			codes := map[string]string{}
			for _, m := range a.route.Accepted() {
				id, _, _ := strings.Cut(m.ID, ".")
				codes[id] = m.Code
			}
			for i, id := range ids[a] {
				v := otp.Verification{ID: id, Subject: fmt.Sprint("user-", i), Code: codes[id]}
				_, err := b.Verify(t.Context(), v)
				wantNotFound(t, err)
				_, err = b.Status(t.Context(), otp.Ref{ID: id, Subject: v.Subject})
				wantNotFound(t, err)
				wantNotFound(t, b.Cancel(t.Context(), otp.Ref{ID: id, Subject: v.Subject}))
				_, err = b.Resend(t.Context(), otp.ResendRequest{ID: id, Subject: v.Subject})
				wantNotFound(t, err)
				c, err := a.Verify(t.Context(), v)
				if err != nil || c.AttemptsLeft != 4 {
					t.Fatalf("its own: %+v, %v", c, err)
				}
			}
			if async && !strings.Contains(a.log.String()+b.log.String(), "another application") {
				t.Error("nobody says that the store is shared")
			}
		})
	}
}

func wantNotFound(t testing.TB, err error) {
	t.Helper()
	if otp.ReasonOf(err) != otp.ReasonNotFound {
		t.Errorf("error %v (%q), want not_found", err, otp.ReasonOf(err))
	}
}

// tenants returns two brands of one Service.
func tenants(t *testing.T, change func(*otp.Config)) (a, b *brand) {
	t.Helper()
	a, b = &brand{tenant: "alpha"}, &brand{tenant: "beta"}
	a.route, b.route = &channeltest.Fake{Name: "a"}, &channeltest.Fake{Name: "b"}
	c := otp.Config{Channel: routeOf(t, "own", &channeltest.Fake{}, 0), Store: memstore.New(memstore.Config{}),
		Keys:    otp.NewKeyring(),
		Wording: wording.Config{Brand: "Own"}, Tenants: []otp.Tenant{
			{Name: "alpha", Wording: wording.Config{Brand: "Alpha"}, Channel: routeOf(t, "sms", a.route, time.Minute),
				Receipts: &channel.Receipts{}},
			{Name: "beta", Wording: wording.Config{Brand: "Beta"}, Channel: routeOf(t, "sms", b.route, 0),
				Sender: "BETA",
				Policy: otp.Policy{Life: 10 * time.Minute}},
		}}
	if change != nil {
		change(&c)
	}
	s, err := otp.New(c)
	if err != nil {
		t.Fatal(err)
	}
	a.Service, b.Service = s, s
	return a, b
}

// TestTenantsAreApart: codes, ids, idempotency keys, limits and locks of two
// tenants have nothing to do with each other.
func TestTenantsAreApart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var events []otp.Event
		a, b := tenants(t, func(c *otp.Config) {
			c.Events = func(_ context.Context, e otp.Event) { events = append(events, e) }
			c.Policy.PerRecipient = []otp.Rate{{Most: 2, Per: time.Hour}}
			c.Policy.MaxFailures = 2
		})
		ca, cb := a.send(t, otp.Request{IdempotencyKey: "k"}), b.send(t, otp.Request{IdempotencyKey: "k"})
		if ca.ID == cb.ID || ca.Repeated || cb.Repeated || ca.Tenant != "alpha" || cb.Tenant != "beta" {
			t.Fatalf("%+v\n%+v", ca, cb)
		}
		if life := cb.Expires.Sub(cb.Created); life != 10*time.Minute || ca.Expires.Sub(ca.Created) != 5*time.Minute {
			t.Errorf("beta's life is %v", life)
		}
		ma, mb := a.route.Accepted()[0], b.route.Accepted()[0]
		if ma.Sender != "Alpha" || mb.Sender != "BETA" || !strings.Contains(mb.Text, "Beta") || ma.Tenant != "alpha" ||
			ma.Code == mb.Code {
			t.Errorf("%+v\n%+v", ma, mb)
		}
		for _, e := range events {
			if e.Tenant != "alpha" && e.Tenant != "beta" {
				t.Errorf("an event of tenant %q: %v", e.Tenant, e.Kind)
			}
		}
		// One's code and id are nothing at the other, and cost nothing there.
		for range 3 {
			wantNotFound(t, b.verify(t, ca.ID, ma.Code))
			wantNotFound(t, a.verify(t, cb.ID, mb.Code))
		}
		if err := b.verify(t, cb.ID, ma.Code); otp.ReasonOf(err) != otp.ReasonWrong {
			t.Errorf("alpha's code at beta: %v", err)
		}
		// Locks and limits.
		if err := b.verify(t, cb.ID, ma.Code); otp.ReasonOf(err) != otp.ReasonWrong {
			t.Errorf("%v", err)
		}
		if err := b.verify(t, cb.ID, mb.Code); otp.ReasonOf(err) != otp.ReasonLocked {
			t.Errorf("beta is not locked: %v", err)
		}
		a.send(t, otp.Request{})
		if _, err := a.Send(t.Context(), otp.Request{Tenant: "alpha", Subject: "x",
			To: channel.Recipient{Phone: "+447912345678"}}); otp.ReasonOf(err) != otp.ReasonLimited {
			t.Errorf("alpha's limit: %v", err)
		}
		if _, err := b.Send(t.Context(), otp.Request{Tenant: "beta", Subject: "x",
			To: channel.Recipient{Phone: "+447912345678"}}); err != nil {
			t.Errorf("beta pays for alpha's messages: %v", err)
		}
		if err := a.verify(t, ca.ID, ma.Code); err != nil {
			t.Errorf("alpha is locked with beta: %v", err)
		}
	})
}

// TestReceiptsOfTenants: two tenants' routes of one name have providers that number
// their messages alike.
func TestReceiptsOfTenants(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b := tenants(t, nil)
		ca, cb := a.send(t, otp.Request{}), b.send(t, otp.Request{})
		rc := channel.Receipt{Tenant: "alpha", Route: "sms", ProviderID: "a-1", State: channel.Delivered}
		if err := a.HandleReceipt(t.Context(), rc); err != nil {
			t.Fatal(err)
		}
		rc.Tenant, rc.ProviderID = "beta", "a-1" // what beta's provider calls another message
		if err := a.HandleReceipt(t.Context(), rc); err != nil {
			t.Fatal(err)
		}
		got, err := a.Status(t.Context(), otp.Ref{ID: ca.ID, Subject: "user-1", Tenant: "alpha"})
		if err != nil || !got.Delivered || got.State != channel.Delivered {
			t.Errorf("alpha: %+v, %v", got, err)
		}
		got, err = b.Status(t.Context(), otp.Ref{ID: cb.ID, Subject: "user-1", Tenant: "beta"})
		if err != nil || got.Delivered {
			t.Errorf("beta: %+v, %v", got, err)
		}
	})
}

// TestTenantsComeAndGo: a tenant is added, changed and removed while the program
// runs. Its challenges wait for its return.
func TestTenantsComeAndGo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, _ := tenants(t, nil)
		late := &brand{Service: a.Service, tenant: "late", route: &channeltest.Fake{Name: "l"}}
		if _, err := late.Send(t.Context(), otp.Request{Tenant: "late", Subject: "u",
			To: channel.Recipient{Phone: "+447912345678"}}); otp.ReasonOf(err) != otp.ReasonInvalid {
			t.Errorf("before: %v", err)
		}
		receipts := &channel.Receipts{}
		set := otp.Tenant{Name: "late", Wording: wording.Config{Brand: "Late"}, Channel: routeOf(t, "sms", late.route,
			0), Receipts: receipts}
		if err := late.SetTenant(set); err != nil {
			t.Fatal(err)
		}
		c := late.send(t, otp.Request{})
		set.Wording.Brand = "Later"
		if err := late.SetTenant(set); err != nil { // with the same Receipts
			t.Fatal(err)
		}
		late.send(t, otp.Request{})
		if all := late.route.Accepted(); all[0].Sender != "Late" || all[1].Sender != "Later" {
			t.Errorf("%v", all)
		}
		late.RemoveTenant("late")
		if err := receipts.Attach(func(context.Context, channel.Receipt) error { return nil }); err != nil {
			t.Errorf("the receipts of a tenant that was removed: %v", err)
		}
		_ = receipts.Attach(nil)
		if err := late.verify(t, c.ID, late.route.Accepted()[0].Code); otp.ReasonOf(err) != otp.ReasonInvalid {
			t.Errorf("removed: %v", err)
		}
		if err := late.SetTenant(set); err != nil {
			t.Fatal(err)
		}
		if err := late.verify(t, c.ID, late.route.Accepted()[0].Code); err != nil {
			t.Errorf("set again: %v", err)
		}
		for _, bad := range []otp.Tenant{{}, {Name: "x", Wording: wording.Config{Brand: strings.Repeat("x", 99)}},
			{Name: "x", Receipts: receipts},
			{Name: "x", Policy: otp.Policy{Life: time.Second}}, {Name: "x", Region: "UK"}, {Name: strings.Repeat("x",
				65)}} {
			if err := late.SetTenant(bad); err == nil {
				t.Errorf("%+v was taken", bad)
			}
		}
	})
}

// TestPurposesHaveTheirPolicy: Config.Purposes are laid over Config.Policy, and a
// tenant's over both.
func TestPurposesHaveTheirPolicy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, _ := tenants(t, func(c *otp.Config) {
			c.Policy = otp.Policy{Life: 4 * time.Minute, MaxAttempts: 3}
			c.Purposes = map[string]otp.Policy{"payment": {MaxAttempts: 2}, "link": {Life: 6 * time.Minute}}
			c.Tenants[0].Purposes = map[string]otp.Policy{"payment": {Life: 2 * time.Minute, Waits: []time.Duration{}}}
		})
		for _, row := range []struct {
			tenant, purpose string
			life            time.Duration
			attempts        int
		}{
			{"", "login", 4 * time.Minute, 3}, {"", "payment", 4 * time.Minute, 2}, {"", "link", 6 * time.Minute, 3},
			{"alpha", "login", 4 * time.Minute, 3}, {"alpha", "payment", 2 * time.Minute, 2}, {"alpha", "link",
				6 * time.Minute, 3},
			{"beta", "login", 10 * time.Minute, 3}, {"beta", "payment", 10 * time.Minute, 2},
		} {
			c, err := a.Send(t.Context(), otp.Request{Tenant: row.tenant, Purpose: row.purpose, Subject: "u",
				To: channel.Recipient{Email: row.tenant + row.purpose + "@example.com"}})
			if err != nil || c.Expires.Sub(c.Created) != row.life || c.AttemptsLeft != row.attempts {
				t.Errorf("%q %q: life %v, %d attempts, %v", row.tenant, row.purpose, c.Expires.Sub(c.Created),
					c.AttemptsLeft, err)
			}
		}
	})
}

// TestReceiptsNameOnlyTheirTenantsMessages: a tenant's provider that names the
// message of another, or of the Config's routes, changes nothing.
func TestReceiptsNameOnlyTheirTenantsMessages(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	routes := map[string]*provider{"": r.a, "x": {name: "x"}, "y": {name: "y"}}
	receipts := map[string]*channel.Receipts{"": r.receipts, "x": {}, "y": {}}
	for _, name := range []string{"x", "y"} {
		f, err := failover.New(failover.Config{Router: failover.List(
			channel.Route{Name: "A", Channel: routes[name], Address: channel.Phone})})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.SetTenant(otp.Tenant{Name: name, Channel: f, Receipts: receipts[name]}); err != nil {
			t.Fatal(err)
		}
	}
	for _, from := range []string{"", "x", "y"} {
		for _, state := range []channel.State{channel.Delivered, channel.Failed} {
			c := r.send(t, otp.Request{Tenant: from})
			all := routes[from].messages()
			rc := channel.Receipt{MessageID: all[len(all)-1].ID, State: state}
			told := func(by string) channel.State {
				if err := receipts[by].For("A")(t.Context(), rc); err != nil {
					t.Fatal(err)
				}
				s, err := r.Status(t.Context(), otp.Ref{ID: c.ID, Subject: "u1", Tenant: from})
				if err != nil {
					t.Fatal(err)
				}
				return s.State
			}
			for by := range routes {
				if by == from {
					continue
				}
				if got := told(by); got != channel.Sent {
					t.Fatalf("a receipt of %q makes a message of %q %v", by, from, got)
				}
			}
			if got := told(from); got != state {
				t.Errorf("its own receipt leaves a message of %q %v, not %v", from, got, state)
			}
		}
	}
}
