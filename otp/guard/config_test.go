package guard_test

import (
	"bytes"
	"log/slog"
	"math"
	"strings"
	"testing"

	"github.com/otpcourier/otpcourier/channel/phone"
	"github.com/otpcourier/otpcourier/otp/guard"
	"github.com/otpcourier/otpcourier/store/memstore"
)

// Each bad Config is refused by an error that names the field.
func TestBadConfig(t *testing.T) {
	t.Parallel()
	counts := func(s, r int) guard.Counts { return guard.Counts{StepUp: s, Refuse: r} }
	shares := func(s, r float64) guard.Shares { return guard.Shares{StepUp: s, Refuse: r} }
	for i, c := range []struct {
		field  string
		change func(*guard.Config)
	}{
		{"Limiter", func(c *guard.Config) { c.Limiter = nil }},
		{"Index", func(c *guard.Config) { c.Index = index[:31] }},
		{"Countries", func(c *guard.Config) { c.Countries = nil }},
		{"Countries", func(c *guard.Config) { c.Countries = map[string]guard.Country{} }},
		{`"UK"`, func(c *guard.Config) { c.Countries = map[string]guard.Country{"UK": {}} }},
		{`"gb"`, func(c *guard.Config) { c.Countries = map[string]guard.Country{"gb": {}} }},
		{`"44"`, func(c *guard.Config) { c.Countries = map[string]guard.Country{"44": {}} }},
		{`Countries["GB"].PerDay`, func(c *guard.Config) {
			c.Countries = map[string]guard.Country{"GB": {PerDay: -1}}
		}},
		{"Config.StepUp", func(c *guard.Config) {
			c.Countries = map[string]guard.Country{"GB": {StepUp: true}}
		}},
		{"Budget", func(c *guard.Config) { c.Budget = 0 }},
		{"Budget", func(c *guard.Config) { c.Budget = -5 }},
		{"Budget", func(c *guard.Config) { c.Price = func(string) int { return 251 } }},
		{"Conversion", func(c *guard.Config) { c.Conversion = 0.95 }},
		{"Conversion", func(c *guard.Config) { c.Conversion = math.NaN() }},
		{"CheckTimeout", func(c *guard.Config) { c.CheckTimeout = -1 }},
		{"Types", func(c *guard.Config) { c.Types = []phone.Type{} }},
		{"Deny[1]", func(c *guard.Config) { c.Deny = []string{"+44", "44"} }},
		{"Deny[0]", func(c *guard.Config) { c.Deny = []string{"+"} }},
		{"Checks", func(c *guard.Config) { c.Checks = []guard.Check{nil} }},
		{"Limits.Network", func(c *guard.Config) { c.Limits.Network = counts(61, 60) }},
		{"Limits.Block", func(c *guard.Config) { c.Limits.Block = counts(-1, 60) }},
		{"Limits.Block", func(c *guard.Config) { c.Limits.Block = counts(20, 0) }}, // the default refuses over 15
		{"Limits.Volume", func(c *guard.Config) { c.Limits.Volume = shares(0.5, 0.4) }},
		{"Limits.Unverified", func(c *guard.Config) { c.Limits.Unverified = shares(0.5, 1.1) }},
		{"Limits.Total", func(c *guard.Config) { c.Limits.Total = shares(math.NaN(), 1) }},
		{"Limits.Least", func(c *guard.Config) { c.Limits.Least = -1 }},
		{"Limits.Hour", func(c *guard.Config) { c.Limits.Hour = 2 }},
		{`Purposes["login"].Limits.Block`, func(c *guard.Config) {
			c.Purposes = map[string]guard.Purpose{"login": {Limits: guard.Limits{Block: counts(30, 20)}}}
		}},
		{`Purposes["login"].Countries`, func(c *guard.Config) {
			c.Purposes = map[string]guard.Purpose{"login": {Countries: map[string]guard.Country{"XX": {}}}}
		}},
		{`Purposes["login"].StepUp`, func(c *guard.Config) {
			c.Purposes = map[string]guard.Purpose{"login": {StepUp: true}}
		}},
	} {
		config := guard.Config{Limiter: memstore.New(memstore.Config{}), Index: index, Budget: 1000,
			Countries: map[string]guard.Country{"GB": {}}}
		if _, err := guard.New(config); err != nil {
			t.Fatal(err)
		}
		c.change(&config)
		if _, err := guard.New(config); err == nil || !strings.Contains(err.Error(), c.field) {
			t.Errorf("%d: %v, want an error that names %s", i, err, c.field)
		}
	}
}

// Everywhere is loud.
func TestEverywhere(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	_, err := guard.New(guard.Config{Limiter: memstore.New(memstore.Config{}), Index: index, Budget: 1000,
		Countries: guard.Everywhere(), Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil || !strings.Contains(log.String(), "level=WARN") {
		t.Errorf("%v, log %q", err, &log)
	}
}

func TestKeywords(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]guard.Keyword{"STOP": guard.Stop, " stop.\r\n": guard.Stop,
		"Opt-Out": guard.Stop, "arrêt": guard.Stop, "td": guard.Stop, "unstop": guard.Start, "Yes!": guard.Start,
		"please stop": guard.NoKeyword, "": guard.NoKeyword, "STOPPED": guard.NoKeyword, "(Stop)": guard.Stop,
		"*STOP*": guard.Stop, "stop\u00a0": guard.Stop, "STOP 🙏": guard.Stop, "stop all": guard.Stop,
		"arre\u0302t": guard.Stop, "стоп": guard.Stop, "¡Alto!": guard.Stop, "stop 1": guard.NoKeyword,
		"ＳＴＯＰ": guard.Stop, "ｓｔａｒｔ！": guard.Start} {
		if got := guard.ReadKeyword(text); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

func TestCents(t *testing.T) {
	t.Parallel()
	for country, want := range map[string]int{"": 1, "US": 1, "UZ": 28, "ZZ": 50} {
		if got := guard.Cents(country); got != want {
			t.Errorf("%s: %d, want %d", country, got, want)
		}
	}
}
