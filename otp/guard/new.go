package guard

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/channel/phone"
)

// New returns a Guard, or an error that names the field at fault. It keeps no
// goroutine.
func New(c Config) (*Guard, error) {
	if c.Types == nil {
		c.Types = []phone.Type{phone.Mobile, phone.FixedLineOrMobile}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Conversion, c.CheckTimeout = cmp.Or(c.Conversion, 0.4), cmp.Or(c.CheckTimeout, 500*time.Millisecond)
	c.Limits = c.Limits.over(defaultLimits)
	if err := c.validate(); err != nil {
		return nil, err
	}
	g := &Guard{c: c, log: c.Logger, purposes: map[string]*settings{},
		extra: int(math.Ceil(1.2*(1/c.Conversion-1) - 1e-9))}
	g.macs.New = newMACs(c.Index)
	g.heard = c.Alert != nil || c.Logger.Enabled(context.Background(), slog.LevelWarn)
	g.own = &settings{countries: c.Countries, limits: c.Limits, checks: c.Checks, stepUp: c.StepUp, shadow: c.Shadow}
	for name, p := range c.Purposes {
		s := *g.own
		if p.Countries != nil {
			s.countries = p.Countries
		}
		if p.Checks != nil {
			s.checks = p.Checks
		}
		s.limits, s.always, s.shadow = p.Limits.over(c.Limits), p.StepUp, p.Shadow || c.Shadow
		if err := s.validate(fmt.Sprintf("otp/guard: Config.Purposes[%q].", name), &c); err != nil {
			return nil, err
		}
		g.purposes[name] = &s
	}
	if err := g.validatePrices(); err != nil {
		return nil, err
	}
	if _, ok := c.Countries[everywhere]; ok {
		g.log.Warn("otp/guard: messages go to every country of the world, which fraud lives on: list the countries")
	}
	return g, nil
}

// settings are those of a purpose.
type settings struct {
	countries map[string]Country
	limits    Limits
	checks    []Check
	stepUp    bool // can be asked for
	always    bool
	shadow    bool
}

func (g *Guard) settings(purpose string) *settings {
	if s, ok := g.purposes[purpose]; ok {
		return s
	}
	return g.own
}

func (s *settings) country(code string) Country {
	if c, ok := s.countries[code]; ok {
		return c
	}
	return s.countries[everywhere]
}

func (s *settings) allows(code string) bool {
	_, ok := s.countries[code]
	if !ok {
		_, ok = s.countries[everywhere]
	}
	return ok
}

// over returns l with its zero fields taken from base.
func (l Limits) over(base Limits) Limits {
	counts := func(c *Counts, b Counts) { c.StepUp, c.Refuse = cmp.Or(c.StepUp, b.StepUp), cmp.Or(c.Refuse, b.Refuse) }
	shares := func(c *Shares, b Shares) { c.StepUp, c.Refuse = cmp.Or(c.StepUp, b.StepUp), cmp.Or(c.Refuse, b.Refuse) }
	counts(&l.Network, base.Network)
	counts(&l.Block, base.Block)
	shares(&l.Volume, base.Volume)
	shares(&l.Unverified, base.Unverified)
	shares(&l.Total, base.Total)
	l.Least, l.Hour = cmp.Or(l.Least, base.Least), cmp.Or(l.Hour, base.Hour)
	return l
}

func (c *Config) validate() error {
	const at = "otp/guard: Config."
	switch {
	case c.Limiter == nil:
		return errors.New(at + "Limiter is required")
	case len(c.Index) < 32:
		return errors.New(at + "Index is required: 32 octets or more, Keyring.Index")
	case c.Countries == nil:
		return errors.New(at + "Countries is required: list them, or Everywhere() for all")
	case c.Budget <= 0:
		return fmt.Errorf("%sBudget: %d is not over 0; a day without messages is a Service that is off", at, c.Budget)
	case !(c.Conversion >= 0.1 && c.Conversion <= 0.9):
		return fmt.Errorf("%sConversion: %v is not within 0.1 and 0.9", at, c.Conversion)
	case c.CheckTimeout < 0:
		return fmt.Errorf("%sCheckTimeout: %v is negative", at, c.CheckTimeout)
	case len(c.Types) == 0:
		return errors.New(at + "Types: it is empty; nil means mobile numbers")
	}
	for i, prefix := range c.Deny {
		if len(prefix) < 2 || prefix[0] != '+' || strings.Trim(prefix[1:], "0123456789") != "" {
			return fmt.Errorf("%sDeny[%d] is not a plus sign and digits", at, i)
		}
	}
	s := settings{countries: c.Countries, limits: c.Limits, checks: c.Checks}
	return s.validate(at, c)
}

// validate refuses what cannot work.
func (s *settings) validate(at string, c *Config) error {
	for _, code := range slices.Sorted(maps.Keys(s.countries)) {
		set := s.countries[code]
		switch {
		case code != everywhere && (!phone.ValidRegion(code) || strings.ToUpper(code) != code):
			return fmt.Errorf("%sCountries: %q is not an ISO 3166-1 code in upper case", at, code)
		case set.PerDay < 0:
			return fmt.Errorf("%sCountries[%q].PerDay: %d is negative", at, code, set.PerDay)
		case set.StepUp && !c.StepUp:
			return fmt.Errorf("%sCountries[%q].StepUp needs Config.StepUp", at, code)
		}
	}
	if len(s.countries) == 0 {
		return errors.New(at + "Countries: it is empty, so that no number gets a message")
	}
	if s.always && !c.StepUp {
		return errors.New(at + "StepUp needs Config.StepUp")
	}
	if slices.ContainsFunc(s.checks, func(c Check) bool { return c == nil }) {
		return errors.New(at + "Checks: one is nil")
	}
	return s.limits.validate(at + "Limits.")
}

func (l *Limits) validate(at string) error {
	for _, c := range []struct {
		name string
		Counts
	}{{"Network", l.Network}, {"Block", l.Block}} {
		if c.StepUp < 1 || c.Refuse < c.StepUp {
			return fmt.Errorf("%s%s: step-up over %d and refusal over %d are out of order, or under 1", at, c.name,
				c.StepUp, c.Refuse)
		}
	}
	for _, c := range []struct {
		name string
		Shares
	}{{"Volume", l.Volume}, {"Unverified", l.Unverified}, {"Total", l.Total}} {
		if !(c.StepUp > 0 && c.Refuse >= c.StepUp && c.Refuse <= 1) {
			return fmt.Errorf("%s%s: step-up over %v and refusal over %v are out of order, or not within 0 and 1", at,
				c.name, c.StepUp, c.Refuse)
		}
	}
	switch {
	case l.Least < 1:
		return fmt.Errorf("%sLeast: %d is under 1", at, l.Least)
	case !(l.Hour > 0 && l.Hour <= 1):
		return fmt.Errorf("%sHour: %v is not within 0 and 1", at, l.Hour)
	}
	return nil
}

// validatePrices refuses a budget that is smaller than a message.
func (g *Guard) validatePrices() error {
	for _, s := range append(slices.Collect(maps.Values(g.purposes)), g.own) {
		hour := int(s.limits.Hour * float64(g.c.Budget))
		for code := range s.countries {
			if price := g.price(code); code != everywhere && price > hour {
				return fmt.Errorf("otp/guard: Config.Budget: %d allows %d in an hour, and a message to %s costs %d",
					g.c.Budget, hour, code, price)
			}
		}
	}
	return nil
}
