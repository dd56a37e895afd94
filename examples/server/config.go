package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/channel/phone"
)

// config is the configuration file.
type config struct {
	// Listen is where the API is served. Default: 127.0.0.1:8080.
	Listen string `json:"listen,omitempty"`
	// Admin is where health is served, for the machines that watch over this
	// one. Default: 127.0.0.1:8081.
	Admin string `json:"admin,omitempty"`
	// Cert and Key are PEM files for TLS. Default: none, for a proxy that ends
	// TLS on this machine.
	Cert string `json:"cert,omitempty"`
	Key  string `json:"key,omitempty"`
	// PublicURL is where people's browsers reach this server,
	// https://verify.shop.example. Default: the address of Listen.
	PublicURL string `json:"public_url,omitempty"`
	// Store is the URL of what processes share: redis://user:password@host:6379/0,
	// rediss:, or postgres://user:password@host/database. Default: the memory of this
	// process.
	Store string `json:"store,omitempty"`
	// Proxies are the networks of reverse proxies, and ProxyHeader is the header
	// to which each adds the address that it was called from. Proxies is required if
	// PublicURL is https and there is no Cert: without it all people would have the
	// address of the proxy, and one could use up the limits of all.
	Proxies     []netip.Prefix `json:"proxies,omitempty"`
	ProxyHeader string         `json:"proxy_header,omitempty"`
	// CountryHeader is a header in which a proxy names the country that a person's address is
	// of, as ISO 3166-1 code, such as CF-IPCountry. It is chosen beforehand in the hosted page's
	// selector. Default: the country that the browser's languages name, if they name one.
	CountryHeader string `json:"country_header,omitempty"`
	// OAuth has POST /oauth/token trade API keys for access tokens of ten minutes.
	OAuth bool `json:"oauth,omitempty"`
	// Issuers are identity providers whose access tokens open the API.
	Issuers []issuer `json:"issuers,omitempty"`
	// ProblemTypes is the beginning of the type of each problem.
	ProblemTypes string `json:"problem_types,omitempty"`

	// Operators sign in to the dashboard, on the listener of Admin.
	Operators []operator `json:"operators,omitempty"`

	Applications []application `json:"applications"`

	traces    string          // where spans go by OTLP, of the variable; empty: nowhere
	hookWaits []time.Duration // between tries of a webhook, for tests; nil: the default
}

// An application is a brand with clients of its own. Nothing of it can be seen or
// changed with another's API key.
type application struct {
	Name    string   `json:"name"` // also in the keys of the store
	Brand   string   `json:"brand"`
	Support string   `json:"support,omitempty"`
	Region  string   `json:"region,omitempty"` // of numbers without a country code
	Life    duration `json:"life,omitempty"`   // of a code
	Async   bool     `json:"async,omitempty"`  // create answers before the message is sent
	Routes  []route  `json:"routes"`           // in the order in which they are tried

	// ReturnURLs are where a page may lead the person back to: the origin, and
	// the first segments of the path. Countries are the countries that a page offers, as ISO
	// 3166-1 codes. Default: all.
	ReturnURLs []string `json:"return_urls,omitempty"`
	Countries  []string `json:"countries,omitempty"`

	// Origin is the host to which a browser may hand the code of an SMS (WebOTP):
	// where the people of the application type it. Default: the host of PublicURL if
	// there are ReturnURLs, since people then use the hosted page; else none.
	Origin string `json:"origin,omitempty"`

	// Purposes are those that the figures and the metrics tell apart; all others are
	// "other". Default: none.
	Purposes []string `json:"purposes,omitempty"`

	// Currency is the ISO 4217 code of the routes' prices. Default: there are no prices,
	// and no spend is counted.
	Currency string `json:"currency,omitempty"`

	// Budget is what the messages of a day may cost, in Currency; without a Currency,
	// how many messages a day may have. The guard keeps to it, and the dashboard shows it
	// beside the spend. Required with a Guard.
	Budget json.Number `json:"budget,omitempty"`

	// Guard refuses SMS pumping, flooding and overspending, see otp/guard.
	// Default: none.
	Guard *guardConfig `json:"guard,omitempty"`

	// Authenticator names the application in the authenticator apps of its people: 1
	// to 64 octets without a colon. Default: it has no authenticators.
	Authenticator string `json:"authenticator,omitempty"`

	// Webhooks receive what becomes of the application's verifications.
	Webhooks []webhook `json:"webhooks,omitempty"`

	waits  []time.Duration // between sends, for tests; nil: the default
	tariff tariff          // of Currency, Budget and the routes' prices

	Keys []apiKey `json:"keys"`
}

// A guardConfig is what a guard cannot know: the countries of the application's people.
type guardConfig struct {
	Countries []string `json:"countries"`
	Shadow    bool     `json:"shadow,omitempty"` // alerts in the log, and refuses nothing
}

// A route is a way to people: smpps://user@host:2776?sender=Shop,
// smtp://user@host:587?from=codes@shop.example, smtps:, provider:twilio, or console:phone
// and console:email, which print. A password that the URL leaves out is that of the
// variable OTP_PASSWORD_APPLICATION_ROUTE.
type route struct {
	Name string `json:"name"`
	URL  string `json:"url"`
	// Values are those of a provider, see gateway/provider. One that begins with "$" is the
	// name of a variable. The provider reports to /hooks/APPLICATION/ROUTE.
	Values map[string]string `json:"values,omitempty"`
	// Prices are what a message costs, or each part of a long SMS: "default", and the
	// countries with a price of their own. Required if the application has a Currency.
	Prices map[string]json.Number `json:"prices,omitempty"`
}

// An apiKey is what is kept of an API key: 256 random bits need no slow hash. A
// client has two of them while it goes over from one to the next.
type apiKey struct {
	ID       string         `json:"id"`
	SHA256   string         `json:"sha256"`             // of the whole key
	Scopes   []string       `json:"scopes"`             // see scopes
	Networks []netip.Prefix `json:"networks,omitempty"` // of the client; default: any
	Rate     int            `json:"rate,omitempty"`     // requests a minute; default: 600
	Expires  time.Time      `json:"expires,omitzero"`

	app string // the application's name
	sum []byte
}

// duration is a time.Duration as text: "5m".
type duration time.Duration

// UnmarshalText reads "5m".
func (d *duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	*d = duration(parsed)
	return err
}

const defaultRate = 600 // requests a minute

// The scopes of a key.
const (
	scopeVerifications = "verifications" // create, look at, resend, check, cancel
	scopePages         = "pages"         // make hosted pages, and ask what has come of them
	scopeWebhooks      = "webhooks"      // test them, list what failed, send it again
	scopeStats         = "stats"         // figures
	scopeEvents        = "events"        // the log of events, addresses masked

	scopeAuthenticators = "authenticators" // enrol, confirm, check, recover, remove, unlock
)

var scopes = []string{scopeVerifications, scopePages, scopeWebhooks, scopeStats, scopeEvents,
	scopeAuthenticators}

// readConfig reads the file, and the variables that take the place of its fields.
func readConfig(path string, env func(string) string) (*config, error) {
	text, err := os.ReadFile(path) //nolint:gosec // the operator names it
	if err != nil {
		return nil, err
	}
	c, err := parseConfig(text, env)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

func parseConfig(text []byte, env func(string) string) (*config, error) {
	c := &config{Listen: "127.0.0.1:8080", Admin: "127.0.0.1:8081"}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(c); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the JSON object")
	}
	for name, field := range map[string]*string{"OTP_LISTEN": &c.Listen, "OTP_ADMIN": &c.Admin, "OTP_STORE": &c.Store} {
		if v := env(name); v != "" {
			*field = v
		}
	}
	c.traces = env(otlpEndpoint)
	return c, c.validate(env)
}

var (
	nameForm = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)
	idForm   = regexp.MustCompile(`^[a-z0-9]{1,16}$`)
)

// validate returns an error that names the field. It completes the keys.
func (c *config) validate(env func(string) string) error {
	if len(c.Applications) == 0 {
		return errors.New("applications: there is none")
	}
	if (c.Cert == "") != (c.Key == "") {
		return errors.New("cert and key belong together")
	}
	if c.OAuth && c.Store != "" && c.PublicURL == "" {
		return errors.New("oauth: with a store it needs public_url, which names the issuer in all processes")
	}
	if u, err := url.Parse(c.PublicURL); c.PublicURL != "" && (err != nil || u.Host == "" || u.Path != "") {
		return errors.New("public_url: it must be an origin, as https://verify.shop.example")
	}
	if strings.HasPrefix(c.PublicURL, "https:") && c.Cert == "" && len(c.Proxies) == 0 {
		return errors.New("proxies: it is required, since public_url is https and there is no cert")
	}
	names, ids := map[string]bool{}, map[string]bool{}
	for i := range c.Operators {
		if err := c.Operators[i].complete(); err != nil {
			return fmt.Errorf("operators[%d].%w", i, err)
		}
		if slices.ContainsFunc(c.Operators[:i], func(o operator) bool { return o.Name == c.Operators[i].Name }) {
			return fmt.Errorf("operators[%d].name: another has it", i)
		}
	}
	for i := range c.Applications {
		a := &c.Applications[i]
		at := fmt.Sprintf("applications[%d]", i)
		switch {
		case !nameForm.MatchString(a.Name) || names[a.Name]:
			return fmt.Errorf("%s.name: it must be 1 to 32 of a-z, 0-9 and -, and no other's", at)
		case a.Brand == "":
			return fmt.Errorf("%s.brand: it is required: messages begin with it", at)
		case len(a.Routes) == 0:
			return fmt.Errorf("%s.routes: there is none", at)
		}
		names[a.Name] = true
		if err := errors.Join(a.validatePages(at), a.validatePrices(at), a.validateWebhooks(at, env)); err != nil {
			return err
		}
		for j := range a.Keys {
			k := &a.Keys[j]
			if err := k.complete(a.Name, scopes); err != nil {
				return fmt.Errorf("%s.keys[%d].%w", at, j, err)
			}
			if ids[k.ID] {
				return fmt.Errorf("%s.keys[%d].id: another key has it", at, j)
			}
			ids[k.ID] = true
		}
	}
	for j := range c.Issuers {
		if err := c.Issuers[j].complete(c); err != nil {
			return fmt.Errorf("issuers[%d].%w", j, err)
		}
	}
	return nil
}

func (a *application) validatePages(at string) error {
	for j, to := range a.ReturnURLs {
		u, err := url.Parse(to)
		if err != nil || u.Host == "" || u.Path == "" || u.Scheme != "https" && u.Scheme != "http" {
			return fmt.Errorf("%s.return_urls[%d]: it must be a URL with a path, as https://shop.example/", at, j)
		}
	}
	for j, region := range a.Countries {
		if !phone.ValidRegion(region) || region != strings.ToUpper(region) {
			return fmt.Errorf("%s.countries[%d]: %q is no ISO 3166-1 country that has phone numbers", at, j, region)
		}
	}
	return nil
}

func (a *application) validateWebhooks(at string, env func(string) string) error {
	for j := range a.Webhooks {
		if err := a.Webhooks[j].complete(env); err != nil {
			return fmt.Errorf("%s.webhooks[%d].%w", at, j, err)
		}
		if slices.ContainsFunc(a.Webhooks[:j], func(h webhook) bool { return h.Name == a.Webhooks[j].Name }) {
			return fmt.Errorf("%s.webhooks[%d].name: another has it", at, j)
		}
	}
	return nil
}

// may reports whether a key has a scope.
func (k *apiKey) may(scope string) bool { return slices.Contains(k.Scopes, scope) }

// plainNetworks writes networks of IPv4 in IPv6, ::ffff:192.0.2.0/120, as those of IPv4,
// which addresses are compared with.
func plainNetworks(all []netip.Prefix) (plain []netip.Prefix) {
	for _, n := range all {
		if a := n.Addr(); a.Is4In6() && n.Bits() >= 96 {
			n = netip.PrefixFrom(a.Unmap(), n.Bits()-96)
		}
		plain = append(plain, n)
	}
	return plain
}

// complete returns an error that names the field, as if a scope is none of allowed.
func (k *apiKey) complete(app string, allowed []string) (err error) {
	k.app, k.Networks = app, plainNetworks(k.Networks)
	if k.sum, err = hex.DecodeString(k.SHA256); err != nil || len(k.sum) != 32 {
		return errors.New("sha256: it must be 64 hexadecimal digits")
	}
	if k.Rate == 0 {
		k.Rate = defaultRate
	}
	switch {
	case !idForm.MatchString(k.ID):
		return errors.New("id: it must be 1 to 16 of a-z and 0-9")
	case len(k.Scopes) == 0:
		return fmt.Errorf("scopes: it needs one of %q", allowed)
	case k.Rate < 0:
		return errors.New("rate: it is negative")
	}
	for _, s := range k.Scopes {
		if !slices.Contains(allowed, s) {
			return fmt.Errorf("scopes: %q is none of %q", s, allowed)
		}
	}
	return nil
}
