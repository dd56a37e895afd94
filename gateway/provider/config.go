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
	// Provider names a profile that comes with this package. Either this or
	// Profile is required. The providers and their Values, optional ones in
	// parentheses:
	//
	//   - textbee, an app for Android phones: device, key (sim: a subscription
	//     id; webhook_secret). A server of one's own without a queue returns no
	//     batch ID, so that no states are known: a warning in the log says so.
	//   - httpsms, an app for Android phones: key, from (webhook_url and
	//     webhook_key). Let its phone try once: a second try comes after the
	//     code's life.
	//   - traccar, traccar-sms-gateway on a phone: url, key (slot: 0 or 1). It
	//     reports no states.
	//   - twilio: account, password, and from or messaging_service (user: an API
	//     key, and auth_token beside it; callback_url)
	//   - twilio-voice, a call that spells the code: account, password, from
	//     (voice_language: "de-DE"; user, auth_token, callback_url)
	//   - labsmobile: user, token (from; callback_token, and callback_url, which
	//     ends with "?token=" and that token)
	//   - routee: application, secret (from; callback_token, for a URL that is
	//     set at Routee and ends with "?token=" and that token)
	//   - kannel, Kannel's sendsms: url, user, password (from; smsc: an smsc-id;
	//     callback_url, in which "%" must be "%%", and callback_token, of letters and
	//     digits, for delivery reports by dlr-url). The password stands in the URL of
	//     the request: put TLS before Kannel, or call it on the same host.
	//   - whatsapp, an authentication template with a button to copy the code:
	//     phone_number_id, token, template (template_language; app_secret and
	//     verify_token)
	//
	// Every profile has the value url, for a server of one's own or a test.
	// Without the values for webhooks there are none, and the provider is polled
	// if it can be.
	Provider string

	// Profile describes any other provider.
	Profile *Profile

	// Values are the profile's values: credentials, addresses, SIM slots. Those
	// without a default in the profile are required.
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
