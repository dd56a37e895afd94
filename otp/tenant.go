package otp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp/wording"
)

// A Tenant is one of several brands in one Service. Requests name it by Request.Tenant.
// Codes, limits, locks and idempotency keys of two tenants are separate, even for the
// same subject and address. Tenants share the store and the workers, and they share the
// routes unless a tenant has a Channel.
type Tenant struct {
	// Name is 1 to 64 printable ASCII characters. It must not change while
	// challenges of the tenant live.
	Name string

	// Wording names the brand and the texts. Default, with an empty Brand:
	// Config.Wording.
	Wording wording.Config

	// Channel carries the tenant's messages, and Receipts connects the receipts of
	// its routes. Receipts must be nil if Channel is nil. Default: Config.Channel and
	// Config.Receipts.
	Channel  channel.Channel
	Receipts *channel.Receipts

	// Sender is channel.Message.Sender, for channels that send under the name of the
	// message. Default: the brand.
	Sender string

	// Policy and Purposes are laid over Config.Policy and Config.Purposes, field by
	// field: a zero field has the value of the Config.
	Policy   Policy
	Purposes map[string]Policy

	// Region and Support: as in the Config. Default: Config.Region, Config.Support.
	Region  string
	Support string
}

// A tenant is a Tenant ready for use; the tenant without a name is the Config itself.
type tenant struct {
	name     string
	words    *wording.Set
	channel  channel.Channel
	canceler channel.Canceler // nil: no route's channel implements one
	observer channel.Observer // nil: the channel implements none
	routed   bool             // the channel is a failover: it guards its routes itself
	scope    string           // separates the ids of providers: the name of the tenant that owns the channel
	sender   string
	region   string
	support  string
	policy   Policy
	purposes map[string]*Policy
	receipts *channel.Receipts
}

// of returns the policy for codes of a purpose.
func (t *tenant) of(purpose string) *Policy {
	if p, ok := t.purposes[purpose]; ok {
		return p
	}
	return &t.policy
}

// limited reports whether a policy has limits.
func (t *tenant) limited() bool {
	n := len(t.policy.PerRecipient) + len(t.policy.PerIP)
	for _, p := range t.purposes {
		n += len(p.PerRecipient) + len(p.PerIP)
	}
	return n > 0
}

// detach leaves the tenant's receipts to another Service. The channels let the
// providers repeat them.
func (t *tenant) detach() {
	if t.receipts != nil {
		_ = t.receipts.Attach(nil) // does not fail
	}
}

// routes returns the routes of the channel, or nil if it does not list them.
func (t *tenant) routes() []channel.Route {
	if lister, ok := channel.As[channel.RouteLister](t.channel); ok {
		return lister.Routes()
	}
	return nil
}

// SetTenant adds a tenant, or replaces the tenant of that name, for the calls that begin
// afterwards. It may be called while the Service is in use. At the start of a program,
// Config.Tenants is cheaper for many tenants. If a field of t is wrong, or breaks a
// clause of a profile, the error names it, and nothing is changed.
func (s *Service) SetTenant(t Tenant) error {
	ready, err := s.prepareTenant(t, "otp: Tenant.")
	if err != nil {
		return err
	}
	if err := s.auditTenant(ready, "otp: Tenant."); err != nil {
		ready.detach()
		return err
	}
	s.changeTenants(func(all map[string]*tenant) {
		if old := all[ready.name]; old != nil && old.receipts != ready.receipts {
			old.detach()
		}
		all[ready.name] = ready
	})
	return nil
}

// RemoveTenant removes a tenant, if there is one of that name. Its live challenges stay
// in the store: they can neither be sent nor verified until the tenant is set again.
func (s *Service) RemoveTenant(name string) {
	if name != "" {
		s.changeTenants(func(all map[string]*tenant) {
			if old := all[name]; old != nil {
				old.detach()
			}
			delete(all, name)
		})
	}
}

func (s *Service) changeTenants(change func(map[string]*tenant)) {
	s.tenantsMu.Lock()
	defer s.tenantsMu.Unlock()
	all := maps.Clone(*s.tenants.Load())
	change(all)
	s.tenants.Store(&all)
}

// tenant returns the tenant of a name, nil if there is none.
func (s *Service) tenant(name string) *tenant {
	if all := s.tenants.Load(); all != nil {
		return (*all)[name]
	}
	return nil
}

// prepareTenants makes the map of all tenants, with the Config's own.
func (s *Service) prepareTenants() (err error) {
	base := defaultPolicy
	if s.c.Guard != nil {
		base.PerIP = nil
	}
	own, err := s.prepare(Tenant{Wording: s.c.Wording, Channel: s.c.Channel, Receipts: s.c.Receipts, Policy: s.c.Policy,
		Purposes: s.c.Purposes, Region: s.c.Region, Support: s.c.Support}, base, "otp: Config.")
	if err != nil {
		return err
	}
	s.own = own
	all, audits := map[string]*tenant{"": own}, []error{s.auditTenant(own, "otp: Config.")}
	defer func() {
		if err != nil { // their receipts are for a Service that can be made
			for _, t := range all {
				t.detach()
			}
		}
	}()
	for i, t := range s.c.Tenants {
		at := fmt.Sprintf("otp: Config.Tenants[%d].", i)
		if t.Name != "" && all[t.Name] != nil {
			return fmt.Errorf("%sName: %q is taken by an earlier tenant", at, t.Name)
		}
		ready, err := s.prepareTenant(t, at)
		if err != nil {
			return err
		}
		all[t.Name], audits = ready, append(audits, s.auditTenant(ready, at))
	}
	if err := errors.Join(audits...); err != nil {
		return err
	}
	s.tenants.Store(&all)
	return nil
}

// prepareTenant fills in the fields that a tenant leaves to the Config.
func (s *Service) prepareTenant(t Tenant, at string) (*tenant, error) {
	switch {
	case t.Name == "" || !printable(t.Name):
		return nil, fmt.Errorf("%sName: it must be 1 to 64 printable ASCII characters", at)
	case t.Channel != nil && missing(t.Channel):
		return nil, fmt.Errorf("%sChannel: it is a nil pointer: leave it out to use Config.Channel", at)
	case t.Receipts != nil && t.Channel == nil:
		return nil, fmt.Errorf("%sReceipts: they need a Channel of the tenant's own", at)
	}
	base := s.own
	words := base.words
	if t.Wording.Brand == "" {
		t.Wording = s.c.Wording
	} else {
		words = nil
	}
	if t.Region == "" {
		t.Region = base.region
	}
	if t.Support == "" {
		t.Support = base.support
	}
	purposes := map[string]Policy{}
	for purpose, p := range s.c.Purposes { // before they are laid over a policy
		purposes[purpose] = t.Purposes[purpose].over(p)
	}
	for purpose, p := range t.Purposes {
		if _, ok := purposes[purpose]; !ok {
			purposes[purpose] = p
		}
	}
	t.Purposes = purposes
	ready, err := s.prepareWith(t, words, base.policy, at)
	if err != nil {
		return nil, err
	}
	if t.Channel == nil {
		ready.channel, ready.canceler, ready.routed, ready.scope = base.channel, base.canceler, base.routed, base.scope
		ready.observer = base.observer
	}
	return ready, nil
}

func (s *Service) prepare(t Tenant, base Policy, at string) (*tenant, error) {
	return s.prepareWith(t, nil, base, at)
}

// prepareWith makes a tenant. words nil: they are made.
func (s *Service) prepareWith(t Tenant, words *wording.Set, base Policy, at string) (*tenant, error) {
	ready := &tenant{name: t.Name, words: words, sender: t.Sender, region: strings.ToUpper(t.Region),
		support: t.Support, scope: t.Name, policy: t.Policy.over(base), purposes: map[string]*Policy{}}
	if err := s.validatePolicy(ready.policy, at+"Policy."); err != nil {
		return nil, err
	}
	for purpose, p := range t.Purposes {
		if !printable(purpose) {
			return nil, fmt.Errorf("%sPurposes: %q must be at most 64 printable ASCII characters", at, purpose)
		}
		p = p.over(ready.policy)
		if err := s.validatePolicy(p, fmt.Sprintf("%sPurposes[%q].", at, purpose)); err != nil {
			return nil, err
		}
		ready.purposes[purpose] = &p
	}
	if ready.limited() && s.c.Limiter == nil {
		return nil, fmt.Errorf("%sPolicy: limits need Config.Limiter: the Store does not implement store.Limiter", at)
	}
	if err := validRegion(t.Region); err != nil {
		return nil, fmt.Errorf("%sRegion: %w", at, err)
	}
	if words == nil {
		var err error
		if ready.words, err = wording.New(t.Wording); err != nil {
			return nil, fmt.Errorf("%sWording: %w", at, err)
		}
		s.lint(ready)
	}
	if ready.sender == "" {
		ready.sender = t.Wording.Brand
	}
	if t.Channel != nil {
		if err := s.connect(ready, t, at); err != nil {
			return nil, err
		}
	}
	return ready, nil
}

func (s *Service) validatePolicy(p Policy, at string) error {
	if s.c.Takeover > p.Life {
		return fmt.Errorf(
			"%sLife: %v is shorter than Config.Takeover, %v: a dead sender's message would not be taken over in time",
			at, p.Life, s.c.Takeover)
	}
	return p.validate(at, s.bits)
}

// lint logs the warnings about the tenant's texts.
func (s *Service) lint(t *tenant) {
	if !s.log.Enabled(context.Background(), slog.LevelInfo) { // it takes some milliseconds
		return
	}
	for _, w := range t.words.Lint() {
		level := slog.LevelDebug
		if w.Segments > 1 { // it costs two messages
			level = slog.LevelInfo
		}
		s.log.Log(context.Background(), level, "otp: wording", "tenant", t.name, "warning", w.String())
	}
}

// connect validates a channel and attaches its receipts.
func (s *Service) connect(t *tenant, from Tenant, at string) error {
	t.channel, t.canceler = from.Channel, cancelerOf(from.Channel)
	t.observer, _ = channel.As[channel.Observer](from.Channel)
	lister, named := channel.As[channel.RouteLister](from.Channel)
	t.routed = named
	if named {
		for _, r := range lister.Routes() {
			if r.Await > 0 && s.c.Queue == nil {
				return fmt.Errorf("%sChannel: route %q has an Await, which needs Config.Queue: the Store does not "+
					"implement store.Queue", at, r.Name)
			}
		}
	}
	if from.Receipts == nil {
		return nil
	}
	switch {
	case s.c.Tracker == nil:
		return fmt.Errorf("%sReceipts: they need Config.Tracker: the Store does not implement store.Tracker", at)
	case !named:
		return fmt.Errorf("%sReceipts: they need routes with names: make Channel a failover.Channel, even of one route",
			at)
	}
	t.receipts = from.Receipts
	if old := s.tenant(t.name); old != nil && old.receipts == from.Receipts { // the new tenant keeps them
		return nil
	}
	scope := t.scope
	err := from.Receipts.Attach(func(ctx context.Context, rc channel.Receipt) error {
		return s.handleReceipt(ctx, scope, rc)
	})
	if err != nil {
		return fmt.Errorf("%sReceipts: they belong to another Service, and each Service needs its own: %w", at, err)
	}
	return nil
}

// cancelerOf returns nil if no message can be withdrawn. It looks into a failover, which
// is a Canceler even if none of its routes' channels is.
func cancelerOf(c channel.Channel) channel.Canceler {
	canceler, ok := channel.As[channel.Canceler](c)
	if !ok {
		return nil
	}
	lister, ok := channel.As[channel.RouteLister](c)
	if !ok {
		return canceler
	}
	routes := lister.Routes()
	for _, r := range routes {
		if _, ok := channel.As[channel.Canceler](r.Channel); ok {
			return canceler
		}
	}
	if routes == nil {
		return canceler
	}
	return nil
}
