package otp_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/failover"
	"github.com/otpcourier/otpcourier/channel/phone"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/oath"
	"github.com/otpcourier/otpcourier/otp/wording"
	"github.com/otpcourier/otpcourier/store/memstore"
)

// plain is a channel without TLS.
type plain struct{ channel.Channel }

func (plain) Plaintext() bool { return true }

func carrier(kinds ...channel.Address) channel.Channel {
	var routes []channel.Route
	for _, k := range kinds {
		routes = append(routes, channel.Route{Name: k.String(), Channel: &provider{name: k.String()}, Address: k})
	}
	f, err := failover.New(failover.Config{Router: failover.List(routes...)})
	if err != nil {
		panic(err)
	}
	return f
}

// profiled returns a Config that keeps to a profile.
func profiled(p otp.Profile) otp.Config {
	c := otp.Config{Channel: carrier(channel.Phone), Store: memstore.New(memstore.Config{}), Keys: otp.NewKeyring(),
		Wording: wording.Config{Brand: "MyBank"}, Profiles: []otp.Profile{p},
		Events: func(context.Context, otp.Event) {},
		Guard: otp.GuardFunc(func(context.Context, otp.Attempt) (otp.Verdict, error) {
			return otp.Verdict{}, nil
		})}
	switch p {
	case otp.NIST:
		c.Attest = otp.Attestations{BoundNumbers: true, Alternative: true, RisksTold: true}
	case otp.PSD2:
		c.Policy = otp.Policy{MaxFailures: 5}
		c.Attest.Payments = []string{"payment"}
	case otp.ASVS2:
		c.Attest.Alternative = true
	case otp.ASVS3:
		c.Channel, c.Async, c.Attest.Decoys = carrier(channel.Push), true, true
	}
	return c
}

func fixed(c *otp.Config) {
	c.FixedCodes = []otp.FixedCode{{Address: "+447912345678", Code: "123456"}}
	c.DangerouslyAcceptFixedCodes = true
}

func silent(c *otp.Config) { c.Events = nil }

// Each clause of each profile is broken by a Config of its own, and named with
// the field.
func TestProfileClauses(t *testing.T) {
	t.Parallel()
	anyChannel := func(c *otp.Config) { c.Channel = &provider{name: "any"} }
	mail := func(c *otp.Config) { c.Channel = carrier(channel.Phone, channel.Email) }
	long := func(c *otp.Config) { c.Policy.Life = 11 * time.Minute }
	for i, row := range []struct {
		profile       otp.Profile
		clause, field string
		change        func(*otp.Config)
	}{
		{otp.NIST, "§3.1.3.2", "Config.Policy.Life", long},
		{otp.NIST, "§3.1.3.2", `Config.Purposes["login"].Life`, func(c *otp.Config) {
			c.Purposes = map[string]otp.Policy{"login": {Life: 20 * time.Minute}}
		}},
		{otp.NIST, "§3.1.3.2", `Config.Tenants[0].Policy.Life`, func(c *otp.Config) {
			c.Tenants = []otp.Tenant{{Name: "x", Policy: otp.Policy{Life: 20 * time.Minute}}}
		}},
		{otp.NIST, "§3.1.3.2", "Config.Generator", func(c *otp.Config) { c.Generator = otp.Random{Length: 5} }},
		{otp.NIST, "§3.1.3.2", "Config.FixedCodes", fixed},
		{otp.NIST, "§3.1.3.1", `Config.Channel, route "email"`, mail},
		{otp.NIST, "§3.1.3.1", "Config.Channel", anyChannel},
		{otp.NIST, "§3.1.3.1", "Config.PhoneTypes", func(c *otp.Config) {
			c.PhoneTypes = []phone.Type{phone.Mobile, phone.VoIP}
		}},
		{otp.NIST, "§3.2.2", "Config.Policy.MaxRun", func(c *otp.Config) { c.Policy.MaxRun = -1 }},
		{otp.NIST, "§3.1.3.3", "Config.Attest.BoundNumbers", func(c *otp.Config) { c.Attest.BoundNumbers = false }},
		{otp.NIST, "§3.2.9", "Config.Attest.Alternative", func(c *otp.Config) { c.Attest.Alternative = false }},
		{otp.NIST, "§3.2.9", "Config.Attest.RisksTold", func(c *otp.Config) { c.Attest.RisksTold = false }},
		{otp.PSD2, "Art. 4(3)(b)", "Config.Policy.MaxFailures", func(c *otp.Config) { c.Policy.MaxFailures = 6 }},
		{otp.PSD2, "Art. 4(3)(b)", "Config.Policy.MaxAttempts", func(c *otp.Config) { c.Policy.MaxAttempts = 6 }},
		{otp.PSD2, "Art. 5(1)", "Config.Attest.Payments", func(c *otp.Config) { c.Attest.Payments = nil }},
		{otp.PSD2, "Art. 4(1), 4(2)(c)", "Config.FixedCodes", fixed},
		{otp.PSD2, "EBA Q&A 2018_4315", `Config.Channel, route "email"`, mail},
		{otp.PSD2, "EBA Q&A 2018_4315", "Config.Channel", anyChannel},
		{otp.PCI, "8.3.4", "Config.Policy.MaxFailures", func(c *otp.Config) { c.Policy.MaxFailures = 11 }},
		{otp.PCI, "8.3.4", "Config.Policy.Lock", func(c *otp.Config) { c.Policy.Lock = 29 * time.Minute }},
		{otp.PCI, "8.3.2", "Config.Channel", func(c *otp.Config) { c.Channel = plain{&provider{name: "any"}} }},
		{otp.PCI, "8.5.1", "Config.FixedCodes", fixed},
		{otp.PCI, "10.2", "Config.Events", silent},
		{otp.ASVS2, "6.5.5", "Config.Policy.Life", long},
		{otp.ASVS2, "6.5.5", "Config.Generator", func(c *otp.Config) { c.Generator = oath.TOTP{Period: time.Minute} }},
		{otp.ASVS2, "6.5.4", "Config.Generator", func(c *otp.Config) { c.Generator = otp.Random{Length: 5} }},
		{otp.ASVS2, "6.6.3", "Config.Policy.PerRecipient", func(c *otp.Config) {
			c.Policy.PerRecipient = []otp.Rate{}
		}},
		{otp.ASVS2, "2.4.1", "Config.Guard", func(c *otp.Config) { c.Guard = nil }},
		{otp.ASVS2, "6.3.2", "Config.FixedCodes", fixed},
		{otp.ASVS2, "16.3.1, 16.3.3", "Config.Events", silent},
		{otp.ASVS2, "6.6.1", "Config.Attest.Alternative", func(c *otp.Config) { c.Attest.Alternative = false }},
		{otp.ASVS3, "6.6.1", `Config.Channel, route "phone"`, func(c *otp.Config) {
			c.Channel = carrier(channel.Push, channel.Phone)
		}},
		{otp.ASVS3, "6.3.6", `Config.Channel, route "email"`, func(c *otp.Config) {
			c.Channel = carrier(channel.Push, channel.Email)
		}},
		{otp.ASVS3, "6.3.6, 6.6.1", "Config.Channel", anyChannel},
		{otp.ASVS3, "6.6.3, 6.6.4", "Config.Policy.PerRecipient", func(c *otp.Config) {
			c.Policy.PerRecipient = []otp.Rate{}
		}},
		{otp.ASVS3, "6.3.8", "Config.Async", func(c *otp.Config) { c.Async = false }},
		{otp.ASVS3, "6.3.8", "Config.Attest.Decoys", func(c *otp.Config) { c.Attest.Decoys = false }},
		{otp.ASVS3, "6.5.5", "Config.Policy.Life", long},
		{otp.ASVS3, "2.4.1", "Config.Guard", func(c *otp.Config) { c.Guard = nil }},
		{otp.Privacy, "GDPR Art. 5(1)(e)", "Config.Policy.PerRecipient", func(c *otp.Config) {
			c.Policy.PerRecipient = []otp.Rate{{Most: 9, Per: 31 * 24 * time.Hour}}
		}},
		{otp.Privacy, "GDPR Art. 5(1)(e)", "Config.Policy.RunLife", func(c *otp.Config) {
			c.Policy.RunLife = 31 * 24 * time.Hour
		}},
		{otp.Privacy, "GDPR Art. 5(1)(e)", "Config.Policy.RunLife", func(c *otp.Config) {
			c.Attest.Retention = 7 * 24 * time.Hour
		}},
	} {
		c := profiled(row.profile)
		if _, err := otp.New(c); err != nil {
			t.Fatalf("%v: %v", row.profile, err)
		}
		row.change(&c)
		_, err := otp.New(c)
		want := "otp: " + row.profile.String() + " " + row.clause + ": " + row.field
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%d: %v, want one violation, %q", i, err, want)
		}
	}
}

// New names all violations at once, of every profile and tenant.
func TestProfilesAllAtOnce(t *testing.T) {
	t.Parallel()
	_, err := otp.New(otp.Config{Channel: &provider{name: "any"}, Store: memstore.New(memstore.Config{}),
		Keys: otp.NewKeyring(), Wording: wording.Config{Brand: "MyBank"},
		Policy:   otp.Policy{Life: 20 * time.Minute, MaxAttempts: 10, MaxFailures: 50, Lock: time.Minute, MaxRun: -1},
		Tenants:  []otp.Tenant{{Name: "x"}},
		Profiles: []otp.Profile{otp.NIST, otp.PSD2, otp.PCI, otp.ASVS2, otp.ASVS3, otp.Privacy}})
	if err == nil {
		t.Fatal("no error")
	}
	violations := strings.Split(err.Error(), "\n")
	for _, p := range []string{"NIST SP 800-63B-4 §3.2.2", "PSD2 RTS 2018/389 Art. 4(3)(b)", "PCI DSS 4.0.1 8.3.4",
		"ASVS 5.0 L2 6.5.5", "ASVS 5.0 L3 6.3.8", "Config.Tenants[0].Policy.Lock"} {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("%q is missing", p)
		}
	}
	if len(violations) < 30 {
		t.Errorf("%d violations:\n%v", len(violations), err)
	}
	if _, err = otp.New(otp.Config{Channel: &provider{}, Store: memstore.New(memstore.Config{}),
		Keys: otp.NewKeyring(), Wording: wording.Config{Brand: "MyBank"}, Profiles: []otp.Profile{99}}); err == nil {
		t.Error("an unknown profile is accepted")
	}
}

// The defaults keep to the numbers of NIST SP 800-63B-4 and PCI DSS, as the
// package page says: only attestations are missing.
func TestDefaultsFit(t *testing.T) {
	t.Parallel()
	for p, missing := range map[otp.Profile]string{otp.NIST: "Config.Attest.", otp.PCI: "", otp.Privacy: ""} {
		c := profiled(p)
		c.Policy, c.Attest, c.Guard = otp.Policy{}, otp.Attestations{}, nil
		_, err := otp.New(c)
		if missing == "" && err != nil {
			t.Errorf("%v: %v", p, err)
		}
		for _, v := range strings.Split(errorText(err), "\n") {
			if !strings.Contains(v, missing) {
				t.Errorf("%v: %v", p, v)
			}
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// Under PSD2 a payment without its binding or its details is refused.
func TestProfilePayment(t *testing.T) {
	t.Parallel()
	s, err := otp.New(profiled(otp.PSD2))
	if err != nil {
		t.Fatal(err)
	}
	q := otp.Request{Subject: "u1", To: channel.Recipient{Phone: "+447912345678"}, Purpose: "payment",
		Binding: []byte("10 EUR to Shop"), Details: "10 EUR to Shop"}
	for field, change := range map[string]func(*otp.Request){"Binding": func(q *otp.Request) { q.Binding = nil },
		"Details": func(q *otp.Request) { q.Details = "" }} {
		bad := q
		change(&bad)
		_, err := s.Send(t.Context(), bad)
		if e := wantReason(t, err, otp.ReasonInvalid, otp.ErrInvalidRequest); e.Field != field {
			t.Error(e)
		}
		bad.Purpose = "login"
		if _, err := s.Send(t.Context(), bad); err != nil {
			t.Error(err)
		}
	}
	if _, err := s.Send(t.Context(), q); err != nil {
		t.Error(err)
	}
}

// A tenant that is set later is held to the profiles; NIST warns without a check
// for swapped SIMs.
func TestProfileTenant(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	c := profiled(otp.NIST)
	c.Logger = slog.New(slog.NewTextHandler(&log, nil))
	s, err := otp.New(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SetTenant(otp.Tenant{Name: "x", Policy: otp.Policy{Life: 20 * time.Minute}}); err == nil ||
		!strings.Contains(err.Error(), "§3.1.3.2: Tenant.Policy.Life") {
		t.Error(err)
	}
	if err := s.SetTenant(otp.Tenant{Name: "x"}); err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "SIMSwap") {
		t.Errorf("no warning in %s", &log)
	}
}
