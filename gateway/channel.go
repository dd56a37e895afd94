package gateway

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/internal/lifecycle"
	"github.com/otpcourier/otpcourier/gateway/internal/token"
	"github.com/otpcourier/otpcourier/gateway/internal/web"
)

// Config describes an account at a provider. Logged or printed with %v it shows
// no secret.
type Config struct {
	// Provider is one of those that come with this package, as files in
	// profiles/. Their Values, those in parentheses optional:
	//
	//   - textbee, an app for Android phones: device, key (sim: a subscription
	//     id; webhook_secret)
	//   - httpsms, likewise: key, from (webhook_url and webhook_key). Let its
	//     phone try once: a second try comes after the code's life.
	//   - traccar, traccar-sms-gateway on a phone: url, key (slot: 0 or 1). It
	//     tells no states.
	//   - twilio: account, password, and from or messaging_service (user: an API
	//     key, and auth_token beside it; callback_url)
	//   - twilio-voice, a call that spells the code: account, password, from
	//     (voice_language: "de-DE"; user, auth_token, callback_url)
	//   - labsmobile: user, token (from; callback_token, and callback_url, which
	//     ends with "?token=" and that token)
	//   - routee: application, secret (from; callback_token, for a URL that ends
	//     likewise and is set at Routee)
	//   - whatsapp, an authentication template with a button to copy the code:
	//     phone_number_id, token, template (template_language; app_secret and
	//     verify_token)
	//
	// All have url, too, for a server of one's own or a test. What webhooks
	// need is optional: without it there are none, but polling where the
	// provider has that. Either this or Profile is required.
	Provider string

	// Profile is any other provider's.
	Profile *Profile

	// Values are the profile's: credentials, addresses, SIM slots. Those for
	// which it has no default are required.
	Values map[string]string

	// Client makes the requests: give one with an authority of one's own, a
	// client certificate, a proxy, or a transport that signs. Redirects are
	// not followed. Default: the system's roots, TLS 1.2 or later.
	Client *http.Client

	// DangerouslyPlaintext permits http URLs: whoever is on the way reads
	// codes and credentials. It is for a phone on a network of one's own.
	// Default false.
	DangerouslyPlaintext bool

	// Receipt is told what becomes of messages. Default: nobody, and neither
	// webhooks nor polling are of use.
	Receipt channel.ReceiptFunc

	// PollInterval is how long after its submission a message is first asked
	// for, where the provider can be; half as much again before each further
	// time, up to 30 s. At most ten polls begin in a second, for all messages
	// together, and one message may take a dozen: a busy provider needs
	// webhooks. Negative: only webhooks are heard. Default 2 s.
	PollInterval time.Duration

	// Timeout bounds one message. Default 15 s.
	Timeout time.Duration

	// Logger hears of what goes wrong, never of codes, credentials or
	// recipients. Default: none.
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
func (c Config) GoString() string { return "gateway.Config{" + c.String() + "}" }

// LogValue keeps secrets out of logs.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

// A Channel sends messages through a provider's HTTP API, as a [Profile]
// describes it. Create it with [New]; it is safe for concurrent use. Its
// goroutines poll, and end with Close or Shutdown.
type Channel struct {
	life     *lifecycle.Lifecycle
	config   Config
	spec     *profileSpec
	values   map[string]string
	tokens   *token.Cache
	verifier verifier // nil: there is no webhook
	answers  []string // secrets of the webhook's challenge
}

var _ channel.Channel = (*Channel)(nil)

// New returns a channel, without connecting to the provider. Its error names
// the field of c, or the value, that is wrong.
func New(c Config) (*Channel, error) {
	if err := c.settle(); err != nil {
		return nil, err
	}
	c.Logger = c.Logger.With(slog.String("profile", c.Profile.Name()))
	ch := &Channel{config: c, spec: &c.Profile.spec}
	var err error
	if ch.values, err = ch.spec.resolve(c.Values); err != nil {
		return nil, err
	}
	if err := ch.checkURLs(); err != nil {
		return nil, err
	}
	if err := ch.prepareWebhook(); err != nil {
		return nil, err
	}
	ch.tokens = token.New(token.Config{Op: opOAuth, Fetch: ch.fetchToken})
	ch.life = lifecycle.New(ch.lifecycle())
	return ch, nil
}

// String names the provider and no secret.
func (c *Channel) String() string { return c.config.String() }

// GoString keeps secrets out of %#v.
func (c *Channel) GoString() string { return "gateway.Channel{" + c.config.String() + "}" }

// LogValue keeps secrets out of logs.
func (c *Channel) LogValue() slog.Value { return c.config.LogValue() }

func (c *Config) settle() (err error) {
	switch {
	case c.Profile == nil && c.Provider == "":
		return errors.New("gateway: Config.Provider or Config.Profile is required")
	case c.Profile != nil && c.Provider != "":
		return errors.New("gateway: Config.Provider and Config.Profile are both set")
	case c.Profile != nil && c.Profile.spec.used == nil:
		return errors.New("gateway: Config.Profile was not made by ParseProfile")
	case c.Timeout < 0:
		return errors.New("gateway: Config.Timeout is negative")
	case c.Profile == nil:
		if c.Profile, err = builtIn(c.Provider); err != nil {
			return err
		}
	}
	if c.Timeout == 0 {
		c.Timeout = 15 * time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

// resolve joins what is configured with the profile's defaults.
func (s *profileSpec) resolve(configured map[string]string) (map[string]string, error) {
	for _, name := range sortedKeys(configured) {
		if _, ok := s.Values[name]; !ok {
			return nil, fmt.Errorf("gateway: Config.Values has %q, but profile %q has only %s",
				name, s.Name, strings.Join(sortedKeys(s.Values), ", "))
		}
	}
	values := make(map[string]string, len(s.Values))
	for _, name := range sortedKeys(s.Values) {
		value, set := configured[name]
		switch dflt := s.Values[name]; {
		case dflt != nil && !set:
			value = *dflt
		case dflt == nil && value == "":
			return nil, fmt.Errorf("gateway: Config.Values[%q] is required by profile %q", name, s.Name)
		}
		if !headerValue(value) {
			return nil, fmt.Errorf("gateway: Config.Values[%q] has a control character, or white space at an end", name)
		}
		values[name] = value
	}
	return values, nil
}

// value looks up a value, for templates that name nothing else.
func (c *Channel) value(name string) (string, error) { return c.values[name], nil }

// checkURLs checks where the profile's URLs begin.
func (c *Channel) checkURLs() error {
	urls := map[string]template{"send.url": c.spec.Send.url}
	if c.spec.Poll != nil {
		urls["poll.url"] = c.spec.Poll.url
	}
	if a := c.spec.Auth; a != nil && a.OAuth2 != nil {
		urls["auth.oauth2.url"] = a.url
	}
	for _, where := range sortedKeys(urls) {
		first := urls[where].parts[0]
		base, err := first.literal, error(nil)
		if first.names != nil {
			where = fmt.Sprintf("Config.Values[%q]", first.names[0])
			base, err = first.value(c.value)
		}
		if err == nil {
			_, err = web.ParseURL(base, c.config.DangerouslyPlaintext)
		}
		if err != nil {
			return fmt.Errorf("gateway: profile %q: %s %w", c.spec.Name, where, err)
		}
	}
	return nil
}

// lifecycle configures the channel's life.
func (c *Channel) lifecycle() lifecycle.Config {
	l := lifecycle.Config{
		Package: "gateway", Closed: ErrClosed, Timeout: c.config.Timeout, Logger: c.config.Logger,
		Client: c.config.Client, Plaintext: c.config.DangerouslyPlaintext, PollInterval: c.config.PollInterval,
	}
	if c.spec.Poll != nil || c.verifier != nil {
		l.Receipt = c.config.Receipt
	}
	if c.spec.Poll != nil {
		l.Poll = c.poll
	}
	return l
}
