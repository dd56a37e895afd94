package gateway

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/internal/web"
)

// SMSGateCloud is the address of sms-gate.app's own server.
const SMSGateCloud = "https://api.sms-gate.app/3rdparty/v1"

// SMSGateConfig describes an account on an sms-gate server, or a phone. Logged
// or printed with %v it shows no secret.
type SMSGateConfig struct {
	// URL is the base of the API, which also says what serves it: SMSGateCloud;
	// a private server, "https://sms.example.com/api/3rdparty/v1"; or, without
	// a path, a phone that serves the API itself, "http://192.168.1.20:8080".
	// Default SMSGateCloud.
	URL string

	// Username and Password are what the app shows under cloud, private or
	// local server. Required.
	Username, Password string

	// JWT exchanges the password for tokens that may send, read and cancel
	// messages and list devices, and shows it once in the life of a token
	// instead of in each request. Where the server has none, the password is
	// used all the same. Default false.
	JWT bool

	// Client makes the requests: give one with an authority of one's own, a
	// client certificate or a proxy. Redirects are not followed. Default: the
	// system's roots, TLS 1.2 or later.
	Client *http.Client

	// DangerouslyPlaintext permits an http URL: whoever is on the way reads
	// codes and password. It is for a phone on a network of one's own. Default
	// false.
	DangerouslyPlaintext bool

	// Devices are the phones to send with. Default: all of the account.
	Devices []SMSGateDevice

	// SIM is the slot to send with, 1 to 3, on phones that Devices does not
	// tell it for. Default 0: the SIM of the recipient's country, where the
	// server knows the SIMs' numbers, or else what is set on the phone. The
	// server is not asked where Devices names one phone only: there, and on a
	// phone that serves the API itself, list each SIM with its Countries.
	SIM int

	// ActiveWithin leaves out phones that the server has not heard of for that
	// long; the server counts in hours. Default 0: none is left out.
	ActiveWithin time.Duration

	// Priority is that of messages on the phone, -128 to 127; from 100 on the
	// phone's limits and working hours do not hold. Default 100; 0 is read as
	// the default.
	Priority int

	// Passphrase encrypts texts and numbers for the phone, so that the server
	// cannot read them; it is set in the app, too. It costs some tens of
	// milliseconds of computing for each of the two. Default: none.
	Passphrase string

	// SkipPhoneValidation keeps the server from refusing numbers that it takes
	// for wrong or not mobile. Default false.
	SkipPhoneValidation bool

	// NoDeliveryReport asks the network for no delivery reports, and Sent is
	// the last that is heard. Default false.
	NoDeliveryReport bool

	// Receipt is told what becomes of messages. Default: nobody, and neither
	// webhooks nor polling are of use.
	Receipt channel.ReceiptFunc

	// PollInterval is how long after its submission a message is first asked
	// for; half as much again before each further time, up to 30 s. At most ten
	// polls begin in a second, for all messages together, and one message may
	// take a dozen: a busy account needs webhooks. Negative: only webhooks are
	// heard. Default 2 s.
	PollInterval time.Duration

	// SigningKeys sign the webhooks of phones that have no key of their own in
	// Devices. Several are for the time of a change. Default: none.
	SigningKeys []string

	// WebhookWindow is how far a webhook's time may be from ours. Default 5 min.
	WebhookWindow time.Duration

	// Timeout bounds one message, the choice of a phone and all tries
	// included. Default 15 s.
	Timeout time.Duration

	// Logger hears of what goes wrong, never of codes, credentials or
	// recipients. Default: none.
	Logger *slog.Logger
}

// SMSGateDevice is a SIM of a phone; a phone with several may be listed as
// often.
type SMSGateDevice struct {
	ID  string // the device id that the app shows; required
	SIM int    // slot, 1 to 3; default 0: SMSGateConfig.SIM

	// Countries, as ISO 3166-1 alpha-2, are those that this SIM is preferred
	// for. Default: that of the SIM's own number, where the server knows it.
	Countries []string

	// SigningKeys sign the phone's webhooks, as the app shows under webhooks.
	// Several are for the time of a change. Default: SMSGateConfig.SigningKeys.
	SigningKeys []string
}

// String names the server and no secret.
func (c SMSGateConfig) String() string {
	if c.URL == "" {
		return "sms-gate " + SMSGateCloud
	}
	u, err := url.Parse(c.URL)
	if err != nil {
		return "sms-gate"
	}
	return "sms-gate " + u.Scheme + "://" + u.Host + u.Path
}

// GoString keeps secrets out of %#v.
func (c SMSGateConfig) GoString() string { return "gateway.SMSGateConfig{" + c.String() + "}" }

// LogValue keeps secrets out of logs.
func (c SMSGateConfig) LogValue() slog.Value { return slog.StringValue(c.String()) }

// String names the device and no key.
func (d SMSGateDevice) String() string { return "device " + d.ID }

// GoString keeps keys out of %#v.
func (d SMSGateDevice) GoString() string { return "gateway.SMSGateDevice{" + d.ID + "}" }

// LogValue keeps keys out of logs.
func (d SMSGateDevice) LogValue() slog.Value { return slog.StringValue(d.ID) }

const (
	smsgateTimeout  = 15 * time.Second
	smsgateWindow   = 5 * time.Minute
	smsgatePriority = 100

	// smsgateMinTTL is the least that the API takes.
	smsgateMinTTL = 5 * time.Second

	// smsgateLife is the ttl of messages that do not expire: without one a
	// phone that was away sends them days later.
	smsgateLife = time.Hour

	// smsgateMaxID is the longest device id that the API takes.
	smsgateMaxID = 21
)

// settle checks a configuration and fills in its defaults.
func (c SMSGateConfig) settle() (SMSGateConfig, *url.URL, error) {
	if c.URL == "" {
		c.URL = SMSGateCloud
	}
	base, err := web.ParseURL(c.URL, c.DangerouslyPlaintext)
	if err != nil {
		return c, nil, fmt.Errorf("gateway: SMSGateConfig.URL %w", err)
	}
	base.Path = strings.TrimRight(base.Path, "/")
	base.RawPath = ""
	for _, check := range []func() error{c.checkAccount, c.checkDevices, c.checkLimits} {
		if err := check(); err != nil {
			return c, nil, err
		}
	}
	if base.Path == "" && len(c.Devices) > 0 && slices.ContainsFunc(c.Devices, func(d SMSGateDevice) bool { return d.ID != c.Devices[0].ID }) {
		return c, nil, errors.New("gateway: SMSGateConfig.Devices are several, but without a path SMSGateConfig.URL is of one phone")
	}
	if c.Priority == 0 {
		c.Priority = smsgatePriority
	}
	if c.WebhookWindow == 0 {
		c.WebhookWindow = smsgateWindow
	}
	if c.Timeout == 0 {
		c.Timeout = smsgateTimeout
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Devices = slices.Clone(c.Devices)
	return c, base, nil
}

func (c *SMSGateConfig) checkAccount() error {
	switch {
	case c.Username == "" || strings.ContainsAny(c.Username, ":\r\n"):
		return errors.New("gateway: SMSGateConfig.Username is empty or holds a colon")
	case c.Password == "":
		return errors.New("gateway: SMSGateConfig.Password is empty")
	case slices.Contains(c.SigningKeys, ""):
		return errors.New("gateway: SMSGateConfig.SigningKeys holds an empty key")
	}
	return nil
}

func (c *SMSGateConfig) checkDevices() error {
	for i, d := range c.Devices {
		at := fmt.Sprintf("gateway: SMSGateConfig.Devices[%d].", i)
		switch {
		case d.ID == "" || len(d.ID) > smsgateMaxID:
			return fmt.Errorf("%sID is not of 1 to %d characters", at, smsgateMaxID)
		case d.SIM < 0 || d.SIM > 3:
			return errors.New(at + "SIM is not 1 to 3")
		case slices.Contains(d.SigningKeys, ""):
			return errors.New(at + "SigningKeys holds an empty key")
		case slices.ContainsFunc(d.Countries, func(s string) bool { return len(s) != 2 || strings.ToUpper(s) != s }):
			return errors.New(at + "Countries are not of two capital letters each")
		}
	}
	return nil
}

func (c *SMSGateConfig) checkLimits() error {
	switch {
	case c.SIM < 0 || c.SIM > 3:
		return errors.New("gateway: SMSGateConfig.SIM is not 1 to 3")
	case c.Priority < -128 || c.Priority > 127:
		return errors.New("gateway: SMSGateConfig.Priority is not -128 to 127")
	case c.ActiveWithin < 0:
		return errors.New("gateway: SMSGateConfig.ActiveWithin is negative")
	case c.WebhookWindow < 0:
		return errors.New("gateway: SMSGateConfig.WebhookWindow is negative")
	case c.Timeout < 0:
		return errors.New("gateway: SMSGateConfig.Timeout is negative")
	}
	return nil
}
