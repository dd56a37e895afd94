package provider

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/transport"
	"github.com/otpcourier/otpcourier/gateway/internal/lifecycle"
	"github.com/otpcourier/otpcourier/gateway/internal/token"
	"github.com/otpcourier/otpcourier/gateway/internal/web"
)

// A Channel sends messages through a provider's HTTP API, as a [Profile]
// describes it. Create it with [New]; it is safe for concurrent use. Its
// goroutines poll, and end with Close or Shutdown.
type Channel struct {
	life     *lifecycle.Lifecycle
	config   Config
	spec     *profileSpec
	values   values
	tokens   *token.Cache
	verifier verifier // nil: there is no webhook
	answers  []string // secrets of the webhook's challenge

	noID      sync.Once // warns that the account returns no message id
	unmatched pause     // between log lines of webhooks that match nothing
}

var _ channel.Channel = (*Channel)(nil)
var _ channel.Plaintexter = (*Channel)(nil)

// ErrClosed is the cause of errors after Close or Shutdown.
var ErrClosed = errors.New("provider: channel closed")

// New returns a channel, without connecting to the provider. Its error names
// the field of c that is wrong.
func New(c Config) (*Channel, error) {
	ch := &Channel{config: c}
	err := transport.Validate("provider: Config.").Steps(
		ch.config.validate, ch.resolveValues, ch.validateURLs, ch.validateSigning, ch.prepareWebhook,
	)
	if err != nil {
		return nil, err
	}
	ch.config.Logger = ch.config.Logger.With(slog.String("profile", ch.spec.Name))
	ch.tokens = token.New(token.Config{Op: opToken, Fetch: ch.fetchToken})
	ch.life = lifecycle.New(ch.lifecycle())
	return ch, nil
}

func (c *Channel) resolveValues(v *transport.Validator) {
	c.spec, c.values = &c.config.Profile.spec, c.config.resolve(v)
}

// String names the provider and no secret.
func (c *Channel) String() string { return c.config.String() }

// GoString keeps secrets out of %#v.
func (c *Channel) GoString() string { return "provider.Channel{" + c.config.String() + "}" }

// LogValue keeps secrets out of logs.
func (c *Channel) LogValue() slog.Value { return c.config.LogValue() }

// validateURLs refuses a URL of the profile that begins with a wrong scheme or
// host, in the profile or in a value.
func (c *Channel) validateURLs(v *transport.Validator) {
	urls := map[string]template{"send.url": c.spec.Send.url}
	if c.spec.Poll != nil {
		urls["poll.url"] = c.spec.Poll.url
	}
	if c.spec.Cancel != nil {
		urls["cancel.url"] = c.spec.Cancel.url
	}
	if a := c.spec.Auth; a != nil && a.OAuth2 != nil {
		urls["auth.oauth2.url"] = a.url
	}
	if a := c.spec.Auth; a != nil && a.Login != nil {
		urls["auth.login.url"] = a.Login.url
	}
	for _, where := range sortedKeys(urls) {
		first := urls[where].parts[0]
		if !first.field() {
			_, err := web.ParseURL(first.literal, c.config.DangerouslyPlaintext)
			v.Error("Profile", at(c.spec.Name+": "+where, err))
			continue
		}
		base, err := first.value(c.values.lookup)
		if err == nil {
			_, err = web.ParseURL(base, c.config.DangerouslyPlaintext)
		}
		v.Error(valuesField(first.names()[0]), err)
	}
}

// lifecycle configures the channel's life.
func (c *Channel) lifecycle() lifecycle.Config {
	l := lifecycle.Config{
		Package: "provider", Closed: ErrClosed, Timeout: c.config.Timeout, Logger: c.config.Logger,
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

// Shutdown refuses further messages and webhooks, ends polling, and waits for
// the calls and receipts under way. If ctx ends first, Shutdown cuts them off
// and returns the context's error. Messages that were submitted stay submitted;
// a process that starts later gets their webhooks.
func (c *Channel) Shutdown(ctx context.Context) error { return c.life.Shutdown(ctx) }

// Close refuses further messages and webhooks and cuts off the calls under way,
// which return at once. It may be called again.
func (c *Channel) Close() error { return c.life.Close() }

// Plaintext implements channel.Plaintexter: it reports whether
// Config.DangerouslyPlaintext permits connections without TLS.
func (c *Channel) Plaintext() bool {
	return c.config.DangerouslyPlaintext
}
