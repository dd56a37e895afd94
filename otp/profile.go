package otp

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/phone"
)

// A Profile is the part of a standard that code can check. New and SetTenant refuse a
// configuration that breaks a clause, and name every broken clause. The embedder vouches
// by [Attestations] for facts that code cannot see.
type Profile uint8

// The profiles. The clauses in parentheses are checked.
const (
	// NIST is SP 800-63B-4, out-of-band authenticators: a code lives at most
	// 10 minutes and has six digits or more (§3.1.3.2); no route is e-mail, no
	// number VoIP (§3.1.3.1); at most 100 failures in a row (§3.2.2); no fixed
	// codes. To attest: BoundNumbers, Alternative, RisksTold (§3.1.3.3,
	// §3.2.9). Without SIMSwap it warns.
	NIST Profile = iota + 1

	// PSD2 is the RTS 2018/389: at most 5 failures, and 5 attempts, before a
	// block (Art. 4(3)(b)); Binding and Details for payments, which Send then
	// requires (Art. 5(1)); no fixed codes (Art. 4(1), 4(2)(c)); no e-mail
	// route, unless BoundClient (EBA Q&A 2018_4315). The embedder must show one
	// text for all of ErrInvalidCode, since the answer must not say which element
	// failed (Art. 4(3)(a)), and must alert the person before a permanent block
	// (Art. 4(4)).
	PSD2

	// PCI is PCI DSS 4.0.1: at most 10 failures before a lock of 30 minutes or
	// more (8.3.4); no plaintext transport (8.3.2); no fixed codes (8.5.1); an
	// audit trail (10.2).
	PCI

	// ASVS2 is OWASP ASVS 5.0 level 2: a code lives at most 10 minutes, a TOTP
	// period is at most 30 s (6.5.5); 20 bits, which six digits pass (6.5.4);
	// limits and a Guard (2.4.1, 6.6.3); no fixed codes (6.3.2); a log (16.3.1,
	// 16.3.3). To attest: Alternative (6.6.1).
	ASVS2

	// ASVS3 is level 3: in addition no phone route (6.6.1), no e-mail route
	// (6.3.6), push with limits (6.6.4), and Async, so that a Decoy takes as
	// long as a message (6.3.8). To attest: Decoys.
	ASVS3

	// Privacy keeps no data of a person for longer than Attestations.Retention
	// (GDPR Art. 5(1)(c), (e), 17, 25; NDPA 2023): no Rate and no RunLife may be
	// longer.
	Privacy
)

var profileNames = [...]string{NIST: "NIST SP 800-63B-4", PSD2: "PSD2 RTS 2018/389", PCI: "PCI DSS 4.0.1",
	ASVS2: "OWASP ASVS 5.0 L2", ASVS3: "OWASP ASVS 5.0 L3", Privacy: "Privacy"}

// String returns the standard's name.
func (p Profile) String() string {
	if p == 0 || int(p) >= len(profileNames) {
		return "invalid profile"
	}
	return profileNames[p]
}

// Attestations are facts that code cannot see. The embedder vouches for them to a
// [Profile].
type Attestations struct {
	BoundNumbers bool // a number is bound to a device of the person, and its change noticed (NIST §3.1.3.3)
	Alternative  bool // people are offered an authenticator without the phone network (NIST §3.2.9, ASVS 6.6.1)
	RisksTold    bool // people are told the risks of the phone network (NIST §3.2.9)
	SIMSwap      bool // the Guard checks for a swapped SIM (NIST §3.1.3.3, a should)
	BoundClient  bool // the mail client is bound to a device of the person (EBA Q&A 2018_4315)
	NoPayments   bool // no purpose authorises a payment (PSD2 Art. 5)
	Decoys       bool // Request.Decoy is used for people who have no account (ASVS 6.3.8)

	// Payments are the purposes that authorise a payment: Send requires a
	// Binding and Details for them (PSD2 Art. 5).
	Payments []string

	// Retention is the longest time that data of a person may be kept. Default 30
	// days.
	Retention time.Duration
}

// An audit collects violations.
type audit struct {
	profile    Profile
	violations []error
}

// add notes a violation of a clause, unless ok.
func (a *audit) add(ok bool, clause, field, do string) {
	if !ok {
		a.violations = append(a.violations, fmt.Errorf("otp: %s %s: %s, %s", a.profile, clause, field, do))
	}
}

// auditConfig holds the parts of c that all tenants share against the profiles.
// heard: somebody gets the events.
func (s *Service) auditConfig(heard bool) error {
	var all []error
	c := &s.c
	for _, p := range c.Profiles {
		a := &audit{profile: p}
		switch p {
		case NIST:
			s.auditNIST(a)
		case PSD2:
			a.add(len(c.FixedCodes) == 0, "Art. 4(1), 4(2)(c)", "Config.FixedCodes", "remove them")
			a.add(len(c.Attest.Payments) > 0 || c.Attest.NoPayments, "Art. 5(1)", "Config.Attest.Payments",
				"name the purposes that authorise payments, or attest NoPayments")
		case PCI:
			a.add(len(c.FixedCodes) == 0, "8.5.1", "Config.FixedCodes", "remove them")
			a.add(heard, "10.2", "Config.Events", "set it, or Logger")
		case ASVS2, ASVS3:
			s.auditASVS(a, heard)
		case Privacy:
		default:
			return fmt.Errorf("otp: Config.Profiles: %d is not a profile", p)
		}
		all = append(all, a.violations...)
	}
	if slices.Contains(c.Profiles, NIST) && !c.Attest.SIMSwap {
		s.log.Warn("otp: NIST SP 800-63B-4 §3.1.3.3: check for swapped SIMs, and attest SIMSwap")
	}
	return errors.Join(all...)
}

func (s *Service) auditNIST(a *audit) {
	c := &s.c
	a.add(s.bits == 0 || s.bits >= bitsOf(Random{Length: 6}), "§3.1.3.2", "Config.Generator",
		"its codes need six digits or more")
	a.add(!slices.Contains(c.PhoneTypes, phone.VoIP), "§3.1.3.1", "Config.PhoneTypes", "remove phone.VoIP")
	a.add(len(c.FixedCodes) == 0, "§3.1.3.2", "Config.FixedCodes", "remove them")
	a.add(c.Attest.BoundNumbers, "§3.1.3.3", "Config.Attest.BoundNumbers",
		"bind each number to a device, and attest it")
	a.add(c.Attest.Alternative, "§3.2.9", "Config.Attest.Alternative",
		"offer an unrestricted authenticator, and attest it")
	a.add(c.Attest.RisksTold, "§3.2.9", "Config.Attest.RisksTold", "tell the risks, and attest it")
}

// A Periodic is a [Generator] whose codes change with the time, once in each Step. The
// profiles ASVS2 and ASVS3 check it.
type Periodic interface{ Step() time.Duration }

func (s *Service) auditASVS(a *audit, heard bool) {
	c := &s.c
	periodic, ok := c.Generator.(Periodic)
	a.add(!ok || periodic.Step() <= 30*time.Second, "6.5.5", "Config.Generator", "its period must be 30 s or less")
	a.add(s.bits == 0 || s.bits >= bitsOf(Random{Length: 6}), "6.5.4", "Config.Generator",
		"its codes need six digits or more")
	a.add(c.Guard != nil, "2.4.1", "Config.Guard", "set it: otp/guard has one")
	a.add(len(c.FixedCodes) == 0, "6.3.2", "Config.FixedCodes", "remove them")
	a.add(heard, "16.3.1, 16.3.3", "Config.Events", "set it, or Logger")
	if a.profile == ASVS2 {
		a.add(c.Attest.Alternative, "6.6.1", "Config.Attest.Alternative",
			"offer an authenticator that is not the phone network")
		return
	}
	a.add(c.Async, "6.3.8", "Config.Async", "set it, so that a Decoy takes as long as a Send")
	a.add(c.Attest.Decoys, "6.3.8", "Config.Attest.Decoys",
		"use Request.Decoy for people without an account, and attest it")
}

// auditTenant holds a tenant's policies and routes against the profiles. at
// begins the names of its fields.
func (s *Service) auditTenant(t *tenant, at string) error {
	at = strings.TrimPrefix(at, "otp: ")
	var all []error
	for _, p := range s.c.Profiles {
		a := &audit{profile: p}
		s.auditRoutes(a, t, at+"Channel")
		s.auditPolicy(a, &t.policy, at+"Policy.")
		for _, purpose := range slices.Sorted(maps.Keys(t.purposes)) {
			s.auditPolicy(a, t.purposes[purpose], fmt.Sprintf("%sPurposes[%q].", at, purpose))
		}
		all = append(all, a.violations...)
	}
	return errors.Join(all...)
}

func (s *Service) auditPolicy(a *audit, p *Policy, at string) {
	switch a.profile {
	case NIST:
		a.add(p.Life <= 10*time.Minute, "§3.1.3.2", at+"Life", "10 minutes at most")
		a.add(p.MaxRun > 0, "§3.2.2", at+"MaxRun", "100 at most")
	case PSD2:
		a.add(p.MaxFailures <= 5, "Art. 4(3)(b)", at+"MaxFailures", "5 at most")
		a.add(p.MaxAttempts <= 5, "Art. 4(3)(b)", at+"MaxAttempts", "5 at most")
	case PCI:
		a.add(p.MaxFailures <= 10, "8.3.4", at+"MaxFailures", "10 at most")
		a.add(p.Lock >= 30*time.Minute, "8.3.4", at+"Lock", "30 minutes at least")
	case ASVS2, ASVS3:
		a.add(p.Life <= 10*time.Minute, "6.5.5", at+"Life", "10 minutes at most")
		clause := "6.6.3"
		if a.profile == ASVS3 {
			clause = "6.6.3, 6.6.4"
		}
		a.add(len(p.PerRecipient) > 0, clause, at+"PerRecipient", "limit the messages to an address")
	case Privacy:
		retention := s.retention()
		for _, r := range slices.Concat(p.PerRecipient, p.PerIP) {
			a.add(r.Per <= retention, "GDPR Art. 5(1)(e)", at+"PerRecipient or PerIP",
				fmt.Sprintf("a Per of %v at most", retention))
		}
		a.add(p.MaxRun < 0 || p.RunLife <= retention, "GDPR Art. 5(1)(e)", at+"RunLife",
			fmt.Sprintf("%v at most", retention))
	}
}

func (s *Service) retention() time.Duration {
	if s.c.Attest.Retention > 0 {
		return s.c.Attest.Retention
	}
	return 30 * 24 * time.Hour
}

// auditRoutes holds the routes against a profile. A Channel without routes may
// carry messages to any kind of address.
func (s *Service) auditRoutes(a *audit, t *tenant, at string) {
	routes := t.routes()
	if routes == nil {
		routes = []channel.Route{{Channel: t.channel, Address: channel.Phone | channel.Email | channel.Push}}
		if a.profile == NIST || a.profile == ASVS3 || a.profile == PSD2 && !s.c.Attest.BoundClient {
			a.add(false, routeClause[a.profile], at, "make it a failover.Channel, so that its routes can be seen")
		}
	}
	for _, r := range routes {
		named := fmt.Sprintf("%s, route %q", at, r.Name)
		if r.Name == "" {
			named = at
		}
		mail, sms := r.Address == channel.Email, r.Address == channel.Phone
		switch a.profile {
		case NIST:
			a.add(!mail, "§3.1.3.1", named, "no code by e-mail")
		case PSD2:
			a.add(!mail || s.c.Attest.BoundClient, "EBA Q&A 2018_4315", named,
				"no code by e-mail, or attest BoundClient")
		case PCI:
			p, ok := channel.As[channel.Plaintexter](r.Channel)
			a.add(!ok || !p.Plaintext(), "8.3.2", named, "use TLS")
		case ASVS3:
			a.add(!sms, "6.6.1", named, "no code by the phone network")
			a.add(!mail, "6.3.6", named, "no code by e-mail")
		}
	}
}

// routeClause is the clause about routes.
var routeClause = map[Profile]string{NIST: "§3.1.3.1", PSD2: "EBA Q&A 2018_4315", ASVS3: "6.3.6, 6.6.1"}

// payment refuses a request whose purpose authorises a payment, and whose message does
// not show the payment.
func (s *Service) payment(q Request) error {
	if !slices.Contains(s.c.Profiles, PSD2) || !slices.Contains(s.c.Attest.Payments, q.Purpose) {
		return nil
	}
	switch {
	case len(q.Binding) == 0:
		return invalid("Binding", "a payment needs one (PSD2 RTS Art. 5(1)(b))")
	case q.Details == "":
		return invalid("Details", "a payment needs its amount and payee (PSD2 RTS Art. 5(1)(a))")
	}
	return nil
}

// heard reports whether somebody gets the events.
func (c Config) heard() bool {
	return c.Events != nil || c.Logger != nil && c.Logger.Handler() != slog.DiscardHandler
}
