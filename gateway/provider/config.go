package provider

import (
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/transport"
)

// Config describes an account at a provider. Logged or printed with %v it shows
// no secret.
type Config struct {
	// Provider names a profile that comes with this package, "twilio" or "resend"
	// say. Either this or Profile is required. The package's page lists the
	// providers with their Values, states, and how their webhooks are signed.
	Provider string

	// Profile describes any other provider.
	Profile *Profile

	// Values are the profile's values: credentials, addresses, SIM slots. Those
	// without a default in the profile are required. A value that is only about
	// messages may have variants by purpose and language, as for the IDs of
	// templates: "template:login/pt-BR", "template:login", "template:/pt".
	Values map[string]string

	// Client makes the requests. It may have another certificate authority, a
	// client certificate, a proxy, or a transport that signs. Redirects are not
	// followed. Default: the system's roots, TLS 1.2 or later.
	Client *http.Client

	// DangerouslyPlaintext permits http URLs, for a phone on a private network:
	// anyone on the way can read codes and credentials. Default false.
	DangerouslyPlaintext bool

	// Receipt is called with the states of messages. Default: none, and
	// webhooks and polling have no effect.
	Receipt channel.ReceiptFunc

	// PollInterval is the time from a message's submission to its first poll, if
	// the provider can be polled. Each further interval is half as long again,
	// up to 30 s. At most ten polls begin in a second, for all messages
	// together, and one message may take a dozen: a busy provider needs
	// webhooks. Negative: the provider is not polled. Default 2 s.
	PollInterval time.Duration

	// Timeout bounds one message. Default 15 s.
	Timeout time.Duration

	// Logger logs failures, never codes, credentials or recipients. Default:
	// none.
	Logger *slog.Logger
}

// String names the provider and no secret.
func (c Config) String() string {
	if c.Profile != nil {
		return c.Profile.Name()
	}
	return c.Provider
}

// GoString keeps secrets out of %#v.
func (c Config) GoString() string { return "provider.Config{" + c.String() + "}" }

// LogValue keeps secrets out of logs.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

// validate refuses a wrong field, fills in defaults and loads the profile.
func (c *Config) validate(v *transport.Validator) {
	v.Check(c.Profile != nil || c.Provider != "", "Provider", "is required, or Profile")
	v.Check(c.Profile == nil || c.Provider == "", "Provider", "is set, and Profile as well")
	v.Check(c.Profile == nil || c.Profile.spec.used != nil, "Profile", "was not made by ParseProfile")
	v.Duration("Timeout", &c.Timeout, 15*time.Second)
	v.Logger(&c.Logger)
	if !v.Failed() && c.Profile == nil {
		var err error
		c.Profile, err = builtIn(c.Provider)
		v.Error("Provider", err)
	}
}

func valuesField(name string) string { return fmt.Sprintf("Values[%q]", name) }
