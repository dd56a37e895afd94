package smsgate

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/transport"
	"github.com/otpcourier/otpcourier/gateway/internal/web"
)

// Cloud is the address of sms-gate.app's own server.
const Cloud = "https://api.sms-gate.app/3rdparty/v1"

// Config describes an account on an sms-gate server, or a phone. Logged or
// printed with %v it shows no secret.
type Config struct {
	// URL is the base of the API, and tells which of three serves it: Cloud; a
	// private server, "https://sms.example.com/api/3rdparty/v1"; or, without a
	// path, a phone itself, "http://192.168.1.20:8080". Default Cloud.
	URL string

	// Username and Password are shown by the app, under cloud, private or local server.
	// Required.
	Username, Password string

	// JWT exchanges the password for tokens that may send, read and cancel
	// messages and list devices. The password is then sent once in the life of a
	// token instead of in each request. If the server has no tokens, the
	// password is used. Default false.
	JWT bool

	// Client makes the requests. It may have another certificate authority, a
	// client certificate or a proxy. Redirects are not followed. Default: the
	// system's roots, TLS 1.2 or later.
	Client *http.Client

	// DangerouslyPlaintext permits an http URL, for a phone on a private
	// network: anyone on the way can read codes and password. Default false.
	DangerouslyPlaintext bool

	// Devices are the phones to send with. Default: all of the account.
	Devices []Device

	// SIM is the slot to send with, 1 to 3, on phones whose Device has none.
	// Default 0: the SIM of the recipient's country, if the server knows the SIMs'
	// numbers, else the SIM set on the phone. If Devices names only one phone, or a
	// phone serves the API itself, the server is not asked for the SIMs: list each SIM
	// with its Countries.
	SIM int

	// ActiveWithin leaves out phones that the server has not seen for this time. The
	// server counts in hours. Default 0: no phone is left out.
	ActiveWithin time.Duration

	// Priority is the priority of messages on the phone, -128 to 127. From 100
	// on, the phone's limits and working hours do not apply. Default 100; 0 is
	// read as the default.
	Priority int

	// Passphrase encrypts texts and numbers for the phone, so that the server
	// cannot read them. The app must have the same. Each text and each number
	// costs some tens of milliseconds of computing. Default: none.
	Passphrase string

	// SkipPhoneValidation keeps the server from refusing numbers that it
	// considers wrong or not mobile. Default false.
	SkipPhoneValidation bool

	// NoDeliveryReport asks the network for no delivery reports; Sent is then
	// the last state. Default false.
	NoDeliveryReport bool

	// Receipt is called with the states of messages. Default: none, and
	// webhooks and polling have no effect.
	Receipt channel.ReceiptFunc

	// PollInterval is the time from a message's submission to its first poll.
	// Each further interval is half as long again, up to 30 s. At most ten polls
	// begin in a second, for all messages together, and one message may take a
	// dozen: a busy account needs webhooks. Negative: the server is not polled.
	// Default 2 s.
	PollInterval time.Duration

	// SigningKeys sign the webhooks of phones whose Device has no key. There may be
	// several while a key is changed. Default: none.
	SigningKeys []string

	// WebhookWindow is the largest difference between a webhook's time and this
	// process's clock. Default 5 min.
	WebhookWindow time.Duration

	// Timeout bounds one message, including the choice of a phone and all
	// tries. Default 15 s.
	Timeout time.Duration

	// Logger logs failures, never codes, credentials or recipients. Default:
	// none.
	Logger *slog.Logger
}

// A Device is a SIM of a phone. A phone with several SIMs may be listed several
// times.
type Device struct {
	ID  string // the device id that the app shows; required
	SIM int    // slot, 1 to 3; default 0: Config.SIM

	// Countries are the countries of recipients for which this SIM is preferred, in ISO
	// 3166-1 alpha-2. Default: the country of the SIM's number, if the server knows it.
	Countries []string

	// SigningKeys sign the phone's webhooks, as the app shows under webhooks. There may
	// be several while a key is changed. Default: Config.SigningKeys.
	SigningKeys []string
}

// String names the server and no secret.
func (c Config) String() string {
	if c.URL == "" {
		return "sms-gate " + Cloud
	}
	u, err := url.Parse(c.URL)
	if err != nil {
		return "sms-gate"
	}
	return "sms-gate " + u.Scheme + "://" + u.Host + u.Path
}

// GoString keeps secrets out of %#v.
func (c Config) GoString() string { return "smsgate.Config{" + c.String() + "}" }

// LogValue keeps secrets out of logs.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

// String names the device and no key.
func (d Device) String() string { return "device " + d.ID }

// GoString keeps keys out of %#v.
func (d Device) GoString() string { return "smsgate.Device{" + d.ID + "}" }

// LogValue keeps keys out of logs.
func (d Device) LogValue() slog.Value { return slog.StringValue(d.ID) }

// MarshalJSON is String: it keeps the keys out of logs.
func (d Device) MarshalJSON() ([]byte, error) { return json.Marshal(d.String()) }

const (
	// minTTL is the least ttl that the API takes.
	minTTL = 5 * time.Second

	// defaultLife is the ttl of messages that do not expire: without a ttl a
	// phone that was away sends them days later.
	defaultLife = time.Hour

	// maxDeviceID is the longest device id that the API takes.
	maxDeviceID = 21
)

// validate returns the base URL and fills in defaults. Its error names the field
// that is wrong.
func (c *Config) validate() (*url.URL, error) {
	v := transport.Validate("smsgate: Config.")
	if c.URL == "" {
		c.URL = Cloud
	}
	base, err := web.ParseURL(c.URL, c.DangerouslyPlaintext)
	v.Error("URL", err)
	if err == nil {
		base.Path, base.RawPath = strings.TrimRight(base.Path, "/"), ""
	}
	c.Devices = slices.Clone(c.Devices)
	return base, v.Steps(c.validateAccount, c.validateLimits, func(v *transport.Validator) {
		c.validateDevices(v, base.Path == "")
	})
}

func (c *Config) validateAccount(v *transport.Validator) {
	v.Check(c.Username != "", "Username", "is required")
	v.Check(!strings.ContainsAny(c.Username, ":\r\n"), "Username", "has a colon or a line break")
	v.Check(c.Password != "", "Password", "is required")
	v.Check(!slices.Contains(c.SigningKeys, ""), "SigningKeys", "has an empty key")
}

func (c *Config) validateLimits(v *transport.Validator) {
	v.Check(0 <= c.SIM && c.SIM <= 3, "SIM", "%d is not within 1..3", c.SIM)
	v.Int("Priority", &c.Priority, -128, 100, 127)
	v.Check(c.ActiveWithin >= 0, "ActiveWithin", "%v is negative", c.ActiveWithin)
	v.Duration("WebhookWindow", &c.WebhookWindow, 5*time.Minute)
	v.Duration("Timeout", &c.Timeout, 15*time.Second)
	v.Logger(&c.Logger)
}

func (c *Config) validateDevices(v *transport.Validator, onPhone bool) {
	for i, d := range c.Devices {
		at := fmt.Sprintf("Devices[%d].", i)
		v.Check(d.ID != "" && len(d.ID) <= maxDeviceID, at+"ID", "is not of 1 to %d characters", maxDeviceID)
		v.Check(0 <= d.SIM && d.SIM <= 3, at+"SIM", "%d is not within 1..3", d.SIM)
		v.Check(!slices.Contains(d.SigningKeys, ""), at+"SigningKeys", "has an empty key")
		v.Check(!slices.ContainsFunc(d.Countries, notISO), at+"Countries", "is not of two capital letters each")
		v.Check(!onPhone || d.ID == c.Devices[0].ID, at+"ID",
			"is that of another phone, but a URL without a path is of one phone")
	}
}

func notISO(country string) bool { return len(country) != 2 || strings.ToUpper(country) != country }
