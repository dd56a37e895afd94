package telemetry

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"

	"github.com/otpcourier/otpcourier/otp"
)

// scope is the name of the instrumentation scope: the import path.
const scope = "github.com/otpcourier/otpcourier/otp/telemetry"

// other stands for every value that the Config does not list.
const other = "other"

// Config configures a Telemetry. Its zero value observes nothing.
type Config struct {
	// MeterProvider makes the instruments, for instance otel.GetMeterProvider().
	// Default: no metrics.
	MeterProvider metric.MeterProvider

	// TracerProvider makes the spans, for instance otel.GetTracerProvider().
	// Default: no spans.
	TracerProvider trace.TracerProvider

	// Purposes, Countries and Routes are the values of the attributes
	// otp.purpose, geo.country.iso_code and otp.route. All others become "other".
	// Countries are the ISO 3166-1 codes, in upper case, of the messages'
	// destinations. Routes that were passed to Telemetry.Route need not be listed. Default:
	// none.
	Purposes, Countries, Routes []string

	// Price returns the price of an event's message, in Currency. It is called once
	// for each route that took the message or may have taken it. Event.Route is that
	// route; Event.Region and the number of Event.Providers, which equals the message's
	// parts, tell the tariff. Providers is empty if the route's answer was lost. Price
	// must be quick and safe for concurrent use. Default: no otp.message.cost.
	Price func(otp.Event) float64

	// Currency is an ISO 4217 code in upper case, "EUR". Required with Price.
	Currency string
}

// A Telemetry turns what happens to codes into metrics and spans. Make one with
// New.
type Telemetry struct {
	c      Config
	tracer trace.Tracer // nil: no spans
	instruments

	purposes, countries map[string]bool

	mu      sync.RWMutex
	routes  map[string]bool
	systems map[string]string // messaging.system by route
	options map[series]*options
}

// New returns a Telemetry, or an error that names the field at fault.
func New(c Config) (*Telemetry, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	t := &Telemetry{c: c, purposes: setOf(c.Purposes), countries: setOf(c.Countries), routes: setOf(c.Routes),
		systems: map[string]string{}, options: map[series]*options{}}
	provider := c.MeterProvider
	if provider == nil {
		provider = noop.NewMeterProvider()
	}
	if c.TracerProvider != nil {
		t.tracer = c.TracerProvider.Tracer(scope)
	}
	var err error
	if t.instruments, err = newInstruments(provider.Meter(scope), c.Currency); err != nil {
		return nil, fmt.Errorf("telemetry: %w", err)
	}
	return t, nil
}

func (c *Config) validate() error {
	for _, list := range []struct {
		field  string
		values []string
	}{{"Purposes", c.Purposes}, {"Countries", c.Countries}, {"Routes", c.Routes}} {
		if slices.Contains(list.values, "") {
			return fmt.Errorf("telemetry: Config.%s has an empty value", list.field)
		}
	}
	for _, country := range c.Countries {
		if len(country) != 2 || !upper(country) {
			return fmt.Errorf("telemetry: Config.Countries: %q is not an ISO 3166-1 code in upper case", country)
		}
	}
	switch {
	case c.Price != nil && (len(c.Currency) != 3 || !upper(c.Currency)):
		return fmt.Errorf("telemetry: Config.Currency: %q is not an ISO 4217 code in upper case", c.Currency)
	case c.Price == nil && c.Currency != "":
		return errors.New("telemetry: Config.Currency needs a Price")
	}
	return nil
}

func upper(s string) bool {
	for _, r := range s {
		if r < 'A' || r > 'Z' {
			return false
		}
	}
	return true
}

func setOf(list []string) map[string]bool {
	set := make(map[string]bool, len(list))
	for _, v := range list {
		set[v] = true
	}
	return set
}

// among returns value if it is listed or empty, else "other".
func among(set map[string]bool, value string) string {
	if value == "" || set[value] {
		return value
	}
	return other
}

// route is among for routes, which may be added at any time.
func (t *Telemetry) route(name string) string {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return among(t.routes, name)
}
