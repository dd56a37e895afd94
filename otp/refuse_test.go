package otp_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/failover"
	"github.com/otpcourier/otpcourier/channel/phone"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/wording"
	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/memstore"
)

func TestBadRequests(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	for name, c := range map[string]struct {
		q     otp.Request
		field string
	}{
		"no subject":        {otp.Request{To: both}, "Subject"},
		"long subject":      {otp.Request{Subject: strings.Repeat("x", 257), To: both}, "Subject"},
		"no address":        {otp.Request{Subject: "u"}, "To"},
		"words for a phone": {otp.Request{Subject: "u", To: channel.Recipient{Phone: "call me"}}, "To.Phone"},
		"national":          {otp.Request{Subject: "u", To: channel.Recipient{Phone: "07912 345678"}}, "To.Phone"},
		"not assigned":      {otp.Request{Subject: "u", To: channel.Recipient{Phone: "+447700900123"}}, "To.Phone"},
		"fixed line":        {otp.Request{Subject: "u", To: channel.Recipient{Phone: "+442079460000"}}, "To.Phone"},
		"premium":           {otp.Request{Subject: "u", To: channel.Recipient{Phone: "+449012345678"}}, "To.Phone"},
		"huge phone": {otp.Request{Subject: "u", To: channel.Recipient{Phone: strings.Repeat("1", 1<<20)}},
			"To.Phone"},
		"bad mailbox": {otp.Request{Subject: "u", To: channel.Recipient{Email: "ann@"}}, "To.Email"},
		"header injection": {otp.Request{Subject: "u",
			To: channel.Recipient{Email: "ann@example.com\r\nBcc: eve@example.com"}}, "To.Email"},
		"parameters": {otp.Request{Subject: "u", To: channel.Recipient{Email: "x@y> NOTIFY=NEVER ORCPT=<q"}},
			"To.Email"},
		"push alone":       {otp.Request{Subject: "u", To: channel.Recipient{Push: "token"}}, "To"},
		"language":         {otp.Request{Subject: "u", To: both, Language: "xx"}, "Language"},
		"garbled language": {otp.Request{Subject: "u", To: both, Language: "\x00!!"}, "Language"},
		"purpose":          {otp.Request{Subject: "u", To: both, Purpose: "a\nb"}, "Purpose"},
		"details":          {otp.Request{Subject: "u", To: both, Details: "10 EUR\nto Bob"}, "Details"},
		"long details":     {otp.Request{Subject: "u", To: both, Details: strings.Repeat("x", 201)}, "Details"},
		"request id":       {otp.Request{Subject: "u", To: both, RequestID: "a\nb"}, "RequestID"},
		"binding":          {otp.Request{Subject: "u", To: both, Binding: make([]byte, 1<<17)}, "Binding"},
		"idempotency key": {otp.Request{Subject: "u", To: both, IdempotencyKey: strings.Repeat("x", 257)},
			"IdempotencyKey"},
		"route":         {otp.Request{Subject: "u", To: both, Route: "fax"}, "Route"},
		"route without": {otp.Request{Subject: "u", To: channel.Recipient{Phone: both.Phone}, Route: "M"}, "To"},
	} {
		_, err := r.Send(t.Context(), c.q)
		var e *otp.Error
		if !errors.As(err, &e) || !errors.Is(err, otp.ErrInvalidRequest) || e.Field != c.field {
			t.Errorf("%s: %v with field %+v, want %s", name, err, e, c.field)
		}
		if e := r.last(); e.Kind != otp.EventRefused || e.Reason != otp.ReasonInvalid {
			t.Errorf("%s: event %+v", name, e)
		}
	}
	if n := r.a.count() + r.b.count() + r.mail.count(); n != 0 {
		t.Errorf("%d messages were sent", n)
	}
	if _, err := r.Send(t.Context(), otp.Request{Subject: "u",
		To: channel.Recipient{Phone: "\u200e+44 (7912) 345-678"}}); err != nil {
		t.Errorf("as people write it: %v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for field, spoil := range map[string]func(*otp.Config){
		"Channel": func(c *otp.Config) { c.Channel = nil },
		"Store":   func(c *otp.Config) { c.Store = nil },
		"Limiter": func(c *otp.Config) { c.Store = onlyStore{c.Store} },
		"Async needs Config.Queue": func(c *otp.Config) {
			c.Store = onlyStore{c.Store}
			c.Limiter = newStore(t)
			c.Receipts = nil
			c.Async = true
		},
		"Tracker":     func(c *otp.Config) { c.Store = onlyStore{c.Store}; c.Limiter = newStore(t) },
		"Index":       func(c *otp.Config) { c.Keys.Index = nil },
		"Current":     func(c *otp.Config) { c.Keys.Current = "k9" },
		`key "k1"`:    func(c *otp.Config) { c.Keys.Keys = map[string][]byte{"k1": []byte("short")} },
		"differ":      func(c *otp.Config) { c.Keys.Index = c.Keys.Keys["k1"] },
		"Generator":   func(c *otp.Config) { c.Generator = otp.Random{Length: 3} },
		"Wording":     func(c *otp.Config) { c.Wording.Brand = "" },
		"Life":        func(c *otp.Config) { c.Policy.Life = time.Hour },
		"MaxAttempts": func(c *otp.Config) { c.Policy.MaxAttempts = 11 },
		"Waits":       func(c *otp.Config) { c.Policy.Waits = []time.Duration{0} },
		"SentWait":    func(c *otp.Config) { c.Policy.SentWait = 6 * time.Minute },
		"MaxFailures": func(c *otp.Config) { c.Policy.MaxFailures = 101 },
		"Lock":        func(c *otp.Config) { c.Policy.Lock = time.Second },
		"Rate":        func(c *otp.Config) { c.Policy.PerIP = []otp.Rate{{0, time.Hour}} },
		"Workers":     func(c *otp.Config) { c.Workers = -1 },
		"Takeover":    func(c *otp.Config) { c.Takeover = time.Millisecond },
		"DangerouslyAcceptFixedCodes": func(c *otp.Config) {
			c.FixedCodes = []otp.FixedCode{{"+447912345678",
				"123456"}}
		},
		"without FixedCodes": func(c *otp.Config) { c.DangerouslyAcceptFixedCodes = true },
		"FixedCodes[0].Address": func(c *otp.Config) {
			c.FixedCodes, c.DangerouslyAcceptFixedCodes = []otp.FixedCode{{"everyone", "123456"}}, true
		},
		"FixedCodes[0].Code": func(c *otp.Config) {
			c.FixedCodes, c.DangerouslyAcceptFixedCodes = []otp.FixedCode{{"+447912345678", "1"}}, true
		},
	} {
		r := newRig(t, nil)
		cfg := r.cfg
		spoil(&cfg)
		if _, err := otp.New(cfg); err == nil || !strings.Contains(err.Error(), field) ||
			!strings.HasPrefix(err.Error(), "otp: ") {
			t.Errorf("%s: %v", field, err)
		}
	}
	r := newRig(t, nil)
	cfg := r.cfg
	cfg.Channel, cfg.Store, cfg.Limiter, cfg.Tracker = r.failover(t, time.Minute), onlyStore{r.store}, r.store, r.store
	if _, err := otp.New(cfg); err == nil || !strings.Contains(err.Error(), `route "A" has an Await`) {
		t.Errorf("Await without a Queue: %v", err)
	}
	cfg.Wording = wording.Config{Brand: "MyBank\r\nBcc: eve@example.com"}
	cfg.Queue = r.store
	if _, err := otp.New(cfg); err == nil {
		t.Error("a brand with a line break passes")
	}
}

// New refuses what cannot work, and says what to do instead.
func TestNewRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	zero := make([]byte, 32)
	for name, c := range map[string]struct {
		spoil func(*otp.Config)
		texts []string
	}{
		"a region that is none": {func(c *otp.Config) { c.Region = "UK" }, []string{"Region", "GB"}},
		"a region of no country": {func(c *otp.Config) { c.Region = "Europe" }, []string{"Region",
			"ISO 3166-1"}},
		"a type of number that is none": {func(c *otp.Config) { c.PhoneTypes = []phone.Type{0, phone.Mobile} },
			[]string{"PhoneTypes", "channel/phone"}},
		"a purpose that none can have": {func(c *otp.Config) { c.Purposes = map[string]otp.Policy{"größe": {}} },
			[]string{"Purposes", "ASCII"}},
		"… of a tenant": {func(c *otp.Config) {
			c.Tenants = []otp.Tenant{{Name: "b", Purposes: map[string]otp.Policy{"a\nb": {}}}}
		}, []string{"Tenants[0].Purposes", "ASCII"}},
		"two rates of one span": {func(c *otp.Config) {
			c.Policy.PerRecipient = []otp.Rate{{Most: 5, Per: time.Hour}, {Most: 3, Per: time.Hour}}
		}, []string{"PerRecipient", "lower Most"}},
		"… of a purpose, by network": {func(c *otp.Config) {
			c.Purposes = map[string]otp.Policy{"pay": {PerIP: []otp.Rate{{5, time.Hour}, {6, 60 * time.Minute}}}}
		}, []string{`Purposes["pay"].PerIP`, "lower Most"}},
		"two fixed codes of one reviewer": {func(c *otp.Config) {
			c.FixedCodes = []otp.FixedCode{{"+447912345678", "123456"}, {"+447912345678", "654321"}}
			c.DangerouslyAcceptFixedCodes = true
		}, []string{"FixedCodes[1].Address", "keep one"}},
		"a channel that is a nil pointer": {func(c *otp.Config) { c.Channel = (*failover.Channel)(nil) },
			[]string{"Channel", "required"}},
		"… a nil function": {func(c *otp.Config) { c.Channel = channel.Func(nil) }, []string{"Channel", "required"}},
		"… of a tenant, a nil pointer": {func(c *otp.Config) {
			c.Tenants = []otp.Tenant{{Name: "b", Channel: (*failover.Channel)(nil)}}
		}, []string{"Tenants[0].Channel", "leave it out"}},
		"a store that is a nil pointer": {func(c *otp.Config) { c.Store = (*memstore.Store)(nil) },
			[]string{"Store", "required"}},
		"a queue that is a nil pointer": {func(c *otp.Config) { c.Queue = (*memstore.Store)(nil) },
			[]string{"Queue", "leave it out"}},
		"a region in lower case": {func(c *otp.Config) { c.Region = "xx" }, []string{"Region"}},
		"a takeover longer than a life": {func(c *otp.Config) { c.Takeover = 6 * time.Minute }, []string{"Takeover",
			"6m"}},
		"… than a purpose's": {func(c *otp.Config) {
			c.Takeover = 3 * time.Minute
			c.Purposes = map[string]otp.Policy{"pay": {Life: 2 * time.Minute}}
		}, []string{"Takeover"}},
		"… than a tenant's": {func(c *otp.Config) {
			c.Takeover = 3 * time.Minute
			c.Tenants = []otp.Tenant{{Name: "b", Policy: otp.Policy{Life: 2 * time.Minute}}}
		}, []string{"Takeover", "Tenants[0]"}},
		"no types of number": {func(c *otp.Config) { c.PhoneTypes = []phone.Type{} },
			[]string{"PhoneTypes", "nil"}},
		"no keys": {func(c *otp.Config) { c.Keys = otp.Keyring{} }, []string{"Keys",
			"ParseKeyring", "NewKeyring"}},
		"a key of zeros": {func(c *otp.Config) { c.Keys.Keys = map[string][]byte{"k1": zero} },
			[]string{"Keys", `"k1"`, "not random"}},
		"an index of zeros": {func(c *otp.Config) { c.Keys.Index = zero }, []string{"Keys", "Index",
			"not random"}},
		"an old key of zeros": {func(
			c *otp.Config) {
			c.Keys.Keys = map[string][]byte{"k1": c.Keys.Keys["k1"], "k0": zero}
		}, []string{`"k0"`}},
		"a life without time to resend": {func(c *otp.Config) { c.Policy.Life = time.Minute }, []string{"Life",
			"Resend", "Waits"}},
		"… of a purpose": {func(
			c *otp.Config) {
			c.Purposes = map[string]otp.Policy{"pay": {Life: time.Minute}}
		},
			[]string{`Purposes["pay"]`, "Life"}},
		"a long life of a short code": {func(c *otp.Config) { c.Policy.Life = time.Hour }, []string{"Life",
			"64 bits", "Random{Length: 22}"}},
		"a life of days": {func(
			c *otp.Config) {
			c.Policy.Life = 25 * time.Hour
			c.Generator = otp.Random{Length: 32}
		}, []string{"Life",
			"24 hours"}},
		"a tenant without a name": {func(c *otp.Config) { c.Tenants = []otp.Tenant{{}} },
			[]string{"Tenants[0].Name"}},
		"two tenants of a name": {func(c *otp.Config) {
			c.Tenants = []otp.Tenant{{Name: "b"},
				{Name: "b"}}
		}, []string{"Tenants[1].Name", "taken"}},
		"a tenant of a region that is none": {func(c *otp.Config) {
			c.Tenants = []otp.Tenant{{Name: "b",
				Region: "UK"}}
		}, []string{"Tenants[0].Region", "GB"}},
		"a tenant's receipts alone": {func(c *otp.Config) {
			c.Tenants = []otp.Tenant{{Name: "b",
				Receipts: &channel.Receipts{}}}
		}, []string{"Tenants[0].Receipts", "Channel"}},
		"asynchronous without a queue": {func(c *otp.Config) {
			c.Store, c.Limiter, c.Tracker, c.Async = onlyStore{c.Store}, newStore(t), newStore(t), true
		}, []string{"Async", "Queue"}},
		"takeover without a queue": {func(c *otp.Config) {
			c.Store, c.Limiter, c.Tracker, c.Takeover = onlyStore{c.Store}, newStore(t), newStore(t), lease
		}, []string{"Takeover", "Queue"}},
		"limits without a limiter": {func(c *otp.Config) { c.Store, c.Receipts = onlyStore{c.Store}, nil },
			[]string{"Limiter"}},
	} {
		r := newRig(t, nil)
		cfg := r.cfg
		cfg.Receipts = nil
		c.spoil(&cfg)
		_, err := otp.New(cfg)
		if err == nil || !strings.HasPrefix(err.Error(), "otp: ") {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, text := range c.texts {
			if !strings.Contains(err.Error(), text) {
				t.Errorf("%s: %v, without %q", name, err, text)
			}
		}
	}
}

// One Receipts has one Service: a second is refused, and takes nothing from the
// first. A New that fails for another reason leaves its Receipts to the next.
func TestReceiptsHaveOneService(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	if _, err := otp.New(r.cfg); !errors.Is(err, channel.ErrAttached) || !strings.Contains(err.Error(),
		"Config.Receipts") {
		t.Errorf("a second Service: %v", err)
	}
	c := r.send(t, otp.Request{})
	rc := channel.Receipt{ProviderID: "a-1", State: channel.Delivered}
	if err := r.receipts.For("A")(t.Context(), rc); err != nil {
		t.Fatal(err)
	}
	if s := r.status(t, c.ID); !s.Delivered {
		t.Errorf("the first Service lost its receipts: %+v", s)
	}
	cfg := newRig(t, nil).cfg
	cfg.Receipts = &channel.Receipts{}
	tenants := []otp.Tenant{{Name: "b", Channel: cfg.Channel, Receipts: &channel.Receipts{}}, {Name: "c", Region: "UK"}}
	cfg.Tenants = tenants
	if _, err := otp.New(cfg); err == nil {
		t.Fatal("a region that is none passes")
	}
	tenants[1].Region = "GB"
	if _, err := otp.New(cfg); err != nil {
		t.Errorf("after it was put right: %v", err)
	}
}

// SetTenant refuses what New would, and leaves the tenant as it was.
func TestSetTenantRefuses(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *otp.Config) { c.Takeover = 3 * time.Minute })
	if err := r.SetTenant(otp.Tenant{Name: "b", Wording: wording.Config{Brand: "Brand B"}}); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []otp.Tenant{{Name: "b", Region: "UK"}, {Name: "b", Policy: otp.Policy{Life: time.Minute}},
		{Name: "b", Policy: otp.Policy{Life: 2 * time.Minute, Waits: []time.Duration{}}}, {Name: ""}, {Name: "b\n"}} {
		if err := r.SetTenant(bad); err == nil || !strings.HasPrefix(err.Error(), "otp: Tenant.") {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	r.send(t, otp.Request{Tenant: "b"})
	if m := r.a.messages()[0]; m.Tenant != "b" || !strings.Contains(m.Text, "Brand B") {
		t.Errorf("%s: %s", m.Tenant, m.Text)
	}
}

// onlyStore hides that a store is a limiter, a tracker and a queue too.
type onlyStore struct{ store.Store }
