package otp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/phone"
	"github.com/otpcourier/otpcourier/otp/wording"
	"github.com/otpcourier/otpcourier/store"
)

// Config configures a [Service]. Channel, Store, Keys and Wording.Brand are
// required.
type Config struct {
	// Channel carries the messages: one channel, or a failover.Channel that
	// joins several.
	Channel channel.Channel

	// Store keeps the challenges.
	Store store.Store

	// Limiter counts messages per recipient and requests per IP address, Tracker
	// matches receipts, and Queue wakes workers for later messages. Default: the
	// Store, if it implements them. Services that share a Queue must share the
	// Store: a worker drops a job whose challenge its Store does not have.
	Limiter store.Limiter
	Tracker store.Tracker
	Queue   store.Queue

	// Keys derives codes and seals records. See [ParseKeyring].
	Keys Keyring

	// Application names the records of this Service in the store, at most 128
	// octets. All processes of one application must have the same. If two
	// applications share a store, each leaves the records of the other alone,
	// logs that there are some, and neither sends nor verifies them. A change
	// makes live challenges worthless. Default: Wording.Brand.
	Application string

	// Tenants are further brands, if one Service serves several.
	// [Service.SetTenant] adds more while the program runs. The other fields of
	// the Config are the brand of requests that name no tenant.
	Tenants []Tenant

	// Generator makes the codes. Default: Random{}, six digits.
	Generator Generator

	// Wording names the brand and the texts.
	Wording wording.Config

	// Policy holds the lives and limits; its zero value is the default.
	// Purposes lays other values over it for codes of a Request.Purpose.
	Policy   Policy
	Purposes map[string]Policy

	// Region is the ISO 3166-1 country of phone numbers without a country
	// code. Default: none, numbers need their "+".
	Region string

	// PhoneTypes are the types of number that messages are sent to. Default:
	// mobile, and fixed line or mobile where a country's plan does not tell.
	PhoneTypes []phone.Type

	// KnownRangesOnly refuses phone numbers in no range of the metadata
	// (phone.Number.UnknownRange). Countries open new ranges all the time.
	// Default: such a number is accepted if it is as long as a mobile number, and
	// PhoneTypes has the type of its country's mobile numbers.
	KnownRangesOnly bool

	// Receipts connects the channels' receipts; New attaches the Service to it.
	// The Channel must then have named routes, as a failover.Channel has.
	// Default: receipts are handed over by calls of [Service.HandleReceipt].
	Receipts *channel.Receipts

	// Guard is asked before each message, see [Guard]. Its network rule takes
	// the place of Policy.PerIP, which then has no default. Default: none.
	Guard Guard

	// Async makes Send and Resend return once the message is queued; a running
	// Work delivers it. Default: the message is delivered inside the call.
	Async bool

	// Workers is the number of messages that Work handles at once. Default 8.
	Workers int

	// Takeover is the lease on a message that Send or Resend delivers inside
	// the call. If the lease expires and no outcome was recorded, the process
	// counts as dead, and Work sends the message again, once. At least 10 s, at
	// most the life of a code. Sending ends 5 s before the lease, so that there
	// is time to record the outcome. The clocks of the processes must agree
	// within 2 s.
	//
	// Default: Work does not take such messages over. Their lease is 20 s, and
	// nothing else of the challenge is sent until it ends. The messages that
	// Work delivers are always taken over.
	Takeover time.Duration

	// ShowTry and ShowTime put the number of the send, and the time of the
	// request, into the texts. Default: neither.
	ShowTry, ShowTime bool

	// Support is an address or a number to turn to: Error.Support hands it to a
	// person who has used up all sends, or is locked. Default: empty.
	Support string

	// FixedCodes are at most ten recipients with a code that does not change,
	// for app reviewers: they cannot receive messages, so nothing is sent. Such
	// codes are as good as public. New refuses them unless
	// DangerouslyAcceptFixedCodes is set. Each use is marked in its event and
	// logged as a warning.
	FixedCodes                  []FixedCode
	DangerouslyAcceptFixedCodes bool

	// Profiles are standards that the Service is held to: New returns an error
	// that lists each clause that the Config breaks. Attest states the facts
	// that code cannot see. Default: none.
	Profiles []Profile
	Attest   Attestations

	// Events is called for each event, in the goroutine of the call that caused
	// it. It must be quick and safe for concurrent use. A panic is logged and
	// changes nothing. Default: none.
	Events func(context.Context, Event)

	// Logger gets the events, and the Service's own warnings. Default:
	// slog.DiscardHandler.
	Logger *slog.Logger
}

// String names the application and no secret.
func (c Config) String() string { return "otp.Config(" + c.Application + ")" }

// GoString is String.
func (c Config) GoString() string { return c.String() }

// LogValue is String.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

// A FixedCode is a recipient with a code that does not change.
type FixedCode struct {
	Address string // E.164 number or e-mail address
	Code    string // of the Generator's form
}

// MarshalJSON is String.
func (f FixedCode) MarshalJSON() ([]byte, error) { return json.Marshal(f.String()) }

// String keeps the code and the address out of logs.
func (f FixedCode) String() string { return "otp.FixedCode(" + channel.Mask(f.Address) + ")" }

// GoString is String.
func (f FixedCode) GoString() string { return f.String() }

// LogValue is String.
func (f FixedCode) LogValue() slog.Value { return slog.StringValue(f.String()) }

func (c Config) withDefaults() Config {
	if c.Limiter == nil {
		c.Limiter, _ = c.Store.(store.Limiter)
	}
	if c.Tracker == nil {
		c.Tracker, _ = c.Store.(store.Tracker)
	}
	if c.Queue == nil {
		c.Queue, _ = c.Store.(store.Queue)
	}
	if c.Generator == nil {
		c.Generator = Random{}
	}
	if c.PhoneTypes == nil {
		c.PhoneTypes = []phone.Type{phone.Mobile, phone.FixedLineOrMobile}
	}
	if c.Workers == 0 {
		c.Workers = 8
	}
	if c.Application == "" {
		c.Application = c.Wording.Brand
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// validate refuses a Config that cannot work. prepareWith validates the policies and
// routes of the tenants.
func (c Config) validate() error {
	switch {
	case missing(c.Channel):
		return errors.New("otp: Config.Channel is required: a channel, or a failover.Channel of several")
	case missing(c.Store):
		return errors.New("otp: Config.Store is required: a memstore.Store, redisstore.Store or pgstore.Store")
	case c.Queue == nil && c.Async:
		return errors.New("otp: Config.Async needs Config.Queue: the Store does not implement store.Queue")
	case c.Queue == nil && c.Takeover != 0:
		return errors.New("otp: Config.Takeover needs Config.Queue: the Store does not implement store.Queue")
	case c.Workers < 1:
		return fmt.Errorf("otp: Config.Workers: %d is negative", c.Workers)
	case c.Takeover != 0 && c.Takeover < 2*afterwards:
		return fmt.Errorf("otp: Config.Takeover: %v is under %v", c.Takeover, 2*afterwards)
	case c.Takeover > c.shortestLife():
		return fmt.Errorf("otp: Config.Takeover: %v is longer than a code lives", c.Takeover)
	case len(c.PhoneTypes) == 0:
		return errors.New(
			"otp: Config.PhoneTypes: it is empty, which refuses every number; nil means mobile numbers")
	case len(c.Application) > 128:
		return errors.New("otp: Config.Application: it is longer than 128 octets")
	}
	for field, v := range map[string]any{"Limiter": c.Limiter, "Tracker": c.Tracker, "Queue": c.Queue} {
		if v != nil && missing(v) {
			return fmt.Errorf("otp: Config.%s: it is a nil pointer: leave it out to use the Store", field)
		}
	}
	for _, t := range c.PhoneTypes {
		if t < phone.Mobile || t > phone.Voicemail {
			return fmt.Errorf("otp: Config.PhoneTypes: %d is not a type of number: use those of channel/phone", t)
		}
	}
	if err := c.Keys.validate("otp: Config.Keys"); err != nil {
		return err
	}
	return c.validateGenerator()
}

// missing reports whether v is nil, or a nil pointer or function in an interface.
func missing(v any) bool {
	r := reflect.ValueOf(v)
	return v == nil || (r.Kind() == reflect.Pointer || r.Kind() == reflect.Func) && r.IsNil()
}

// shortestLife is the shortest life of a code by the Config's own policies.
func (c Config) shortestLife() time.Duration {
	base := c.Policy.over(defaultPolicy)
	shortest := base.Life
	for _, p := range c.Purposes {
		shortest = min(shortest, p.over(base).Life)
	}
	return shortest
}

// validateGenerator refuses a generator whose codes could not be sent or verified.
func (c Config) validateGenerator() error {
	code, err := generate(c.Generator, Seed{Key: make([]byte, 32), Time: time.Now()})
	if err != nil {
		return fmt.Errorf("otp: Config.Generator: %w", err)
	}
	if len(code) < 4 || len(code) > maxCode {
		return fmt.Errorf("otp: Config.Generator: its codes must have 4 to %d characters", maxCode)
	}
	if read, ok := normalizeFor(c.Generator, code); !ok || read != code {
		return errors.New("otp: Config.Generator: its codes are not all letters and digits, so it must be a Normalizer")
	}
	return nil
}

// validRegion returns an error unless region is empty or a country with phone numbers.
func validRegion(region string) error {
	if region == "" {
		return nil
	}
	if !phone.ValidRegion(region) {
		hint := ""
		if strings.EqualFold(region, "UK") {
			hint = ", the United Kingdom is GB"
		}
		return fmt.Errorf("%q is not a country of ISO 3166-1 that has phone numbers%s", region, hint)
	}
	return nil
}

// fixedCodes validates FixedCodes and returns them by address.
func (s *Service) fixedCodes() (map[string]string, error) {
	c := s.c
	switch {
	case len(c.FixedCodes) > 0 && !c.DangerouslyAcceptFixedCodes:
		return nil,
			errors.New("otp: Config.FixedCodes needs DangerouslyAcceptFixedCodes: anyone who knows such a code passes")
	case len(c.FixedCodes) == 0 && c.DangerouslyAcceptFixedCodes:
		return nil, errors.New("otp: Config.DangerouslyAcceptFixedCodes is set without FixedCodes")
	case len(c.FixedCodes) > 10:
		return nil, errors.New("otp: Config.FixedCodes has more than ten recipients")
	}
	fixed := make(map[string]string, len(c.FixedCodes))
	for i, f := range c.FixedCodes {
		to := channel.Recipient{Phone: f.Address}
		if email, err := normalizeEmail(f.Address); err == nil {
			to = channel.Recipient{Email: email}
		}
		if err := to.Validate(); err != nil {
			return nil, fmt.Errorf("otp: Config.FixedCodes[%d].Address is neither E.164 nor an e-mail address", i)
		}
		code, ok := normalizeFor(c.Generator, f.Code)
		if !ok {
			return nil, fmt.Errorf("otp: Config.FixedCodes[%d].Code is not of the generator's form", i)
		}
		if _, taken := fixed[to.Phone+to.Email]; taken {
			return nil, fmt.Errorf("otp: Config.FixedCodes[%d].Address is a repetition: keep one code for it", i)
		}
		fixed[to.Phone+to.Email] = code
	}
	return fixed, nil
}

// generate makes a code. A generator that panics has failed.
func generate(g Generator, seed Seed) (code string, err error) {
	defer func() {
		if v := recover(); v != nil { // its value may hold a secret
			err = fmt.Errorf("the generator panicked with a %T", v)
		}
	}()
	return g.Generate(seed)
}

// normalizeFor reads a typed code in the generator's form, or in any. A generator
// that panics has no form of its own.
func normalizeFor(g Generator, typed string) (code string, ok bool) {
	n, ok := g.(Normalizer)
	if !ok {
		return clean(typed)
	}
	defer func() {
		if recover() != nil {
			code, ok = clean(typed)
		}
	}()
	return n.Normalize(typed)
}

// A Measurer is a [Generator] that knows the entropy of a code in bits. A Policy.Life
// over 30 minutes needs it.
type Measurer interface{ Bits() float64 }

func bitsOf(g Generator) float64 {
	if m, ok := g.(Measurer); ok {
		return m.Bits()
	}
	return 0
}
