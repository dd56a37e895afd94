package otp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/phone"
	"github.com/otpcourier/otpcourier/otp/wording"
	"github.com/otpcourier/otpcourier/store"
)

// Config is what a [Service] is made of. Channel, Store, Keys and
// Wording.Brand are required.
type Config struct {
	// Channel carries the messages: one channel, or a failover.Channel that
	// joins several.
	Channel channel.Channel

	// Store keeps the challenges.
	Store store.Store

	// Limiter counts messages per recipient and IP address, Tracker matches
	// receipts, Queue holds what is to be sent later. Each defaults to Store
	// where that implements it. Queue, where it is set, has a job for each
	// message that is delivered inside the call too: see Takeover.
	Limiter store.Limiter
	Tracker store.Tracker
	Queue   store.Queue

	// Keys derives codes and seals records.
	Keys Keyring

	// Generator makes the codes. Default: Random{}, six digits.
	Generator Generator

	// Wording names the brand and the texts.
	Wording wording.Config

	// Policy holds the lives and limits; its zero value is the default.
	Policy Policy

	// Region is the ISO 3166-1 country of phone numbers without a country
	// code. Default: none, numbers need their "+".
	Region string

	// PhoneTypes are the types of number that messages are sent to. Default:
	// mobile, and fixed line or mobile where a country's plan does not tell.
	PhoneTypes []phone.Type

	// Receipts connects the channels' receipts; New attaches the Service. The
	// Channel must then have named routes, as a failover.Channel has.
	Receipts *channel.Receipts

	// Async makes Send and Resend return once the message is queued; a running
	// Work delivers it. Default: the message is delivered inside the call.
	Async bool

	// DirectWhenQueueFails makes Send and Resend deliver inside the call where
	// the Queue fails or is full. Such a message has no worker to take it over.
	// Default: they fail with ErrUnavailable, and nothing is sent.
	DirectWhenQueueFails bool

	// Workers is how many messages Work handles at once. Default 8.
	Workers int

	// Takeover is how long a process has a delivery to itself. It ends sending
	// 5 s before, to have time to record the outcome; a process that has not
	// is taken for dead. Then its message is sent by Work, in whichever process
	// that runs, if Work was at it, or with Queue set; what Send or Resend was
	// at, with Queue merely taken from Store, by nobody but a repeated Send with
	// the same IdempotencyKey. At least 10 s; the clocks of the processes must
	// agree within 2 s. Default 20 s.
	Takeover time.Duration

	// ShowTry and ShowTime put the number of the try, and the time of the
	// request, into the texts. Default: neither.
	ShowTry, ShowTime bool

	// Support is where a person turns who has used up all sends: an address
	// or a number, handed out in Error.Support. Default: empty.
	Support string

	// FixedCodes are the recipients of app reviewers, who cannot receive
	// messages: for exactly these addresses the code is the one given here,
	// and nothing is sent. The codes are as good as public. They are accepted
	// only together with DangerouslyAcceptFixedCodes, at most ten, and every
	// use is marked in its event and logged as a warning.
	FixedCodes                  []FixedCode
	DangerouslyAcceptFixedCodes bool

	// Events is called for each event, in the goroutine of the call it belongs
	// to: it must be quick and safe for concurrent use. Default: none.
	Events func(context.Context, Event)

	// Logger gets the events too, and the Service's own warnings. Default:
	// discarded.
	Logger *slog.Logger
}

// A FixedCode is a recipient with a code that does not change.
type FixedCode struct {
	Address string // E.164 or e-mail
	Code    string // of the Generator's form
}

// String keeps the code and the address out of logs.
func (f FixedCode) String() string { return "otp.FixedCode(" + channel.Mask(f.Address) + ")" }

// GoString is String.
func (f FixedCode) GoString() string { return f.String() }

// LogValue is String.
func (f FixedCode) LogValue() slog.Value { return slog.StringValue(f.String()) }

// Policy is how long codes live and how often they may be asked for and
// guessed. A zero field means its default; New refuses what is out of range.
type Policy struct {
	// Life is how long a code can be verified, a resend notwithstanding: 1 to
	// 30 minutes (NIST SP 800-63B-4 allows 10). Default 5 minutes.
	Life time.Duration

	// MaxAttempts is how many codes are compared for one challenge, 1 to 10.
	// Default 5.
	MaxAttempts int

	// Waits are the pauses before the second send, the third…, so that there
	// are len(Waits)+1 sends in all. Once a message was reported delivered
	// there are two more at most. Default 30 s twice. Empty and not nil: one
	// send.
	Waits []time.Duration

	// SentWait is the least pause while the latest message is queued or sent
	// and no receipt has told its end, since networks take their time when
	// they are busy. At most Life. Default 40 s with the default Waits, else
	// none.
	SentWait time.Duration

	// MaxFailures consecutive failures of a subject, over all its challenges,
	// lock it for Lock. At most 100 (NIST SP 800-63B-4 §3.2.2). Default 10
	// for 30 minutes.
	MaxFailures int
	Lock        time.Duration

	// NewCode gives each send a code of its own; all of them stay valid, under
	// one budget of attempts. Default: a resend carries the same code.
	NewCode bool

	// PerRecipient limits the messages to one address, and PerIP the requests
	// from one IPv4 address or IPv6 /64, where Request.IP is given. Default 5
	// in 10 minutes and 10 a day; 10 an hour. Empty and not nil: no limit.
	PerRecipient []Rate
	PerIP        []Rate
}

// A Rate is a number of events in any span of a length.
type Rate struct {
	Most int
	Per  time.Duration
}

// resendMargin is the least life a code must have left to be sent again.
const resendMargin = time.Minute

func (p Policy) withDefaults() Policy {
	if p.Life == 0 {
		p.Life = 5 * time.Minute
	}
	if p.MaxAttempts == 0 {
		p.MaxAttempts = 5
	}
	if p.Waits == nil {
		p.Waits = []time.Duration{30 * time.Second, 30 * time.Second}
		p.SentWait = cmp.Or(p.SentWait, 40*time.Second)
	}
	if p.MaxFailures == 0 {
		p.MaxFailures = 10
	}
	if p.Lock == 0 {
		p.Lock = 30 * time.Minute
	}
	if p.PerRecipient == nil {
		p.PerRecipient = []Rate{{5, 10 * time.Minute}, {10, 24 * time.Hour}}
	}
	if p.PerIP == nil {
		p.PerIP = []Rate{{10, time.Hour}}
	}
	return p
}

func (p Policy) validate() error {
	switch {
	case p.Life < time.Minute || p.Life > 30*time.Minute:
		return fmt.Errorf("otp: Config.Policy.Life is %v, not 1 to 30 minutes", p.Life)
	case p.MaxAttempts < 1 || p.MaxAttempts > 10:
		return fmt.Errorf("otp: Config.Policy.MaxAttempts is %d, not 1 to 10", p.MaxAttempts)
	case len(p.Waits) > 9:
		return fmt.Errorf("otp: Config.Policy.Waits has %d pauses, more than 9", len(p.Waits))
	case p.SentWait < 0 || p.SentWait > p.Life:
		return fmt.Errorf("otp: Config.Policy.SentWait is %v, not 0 to Life", p.SentWait)
	case p.MaxFailures < 1 || p.MaxFailures > 100:
		return fmt.Errorf("otp: Config.Policy.MaxFailures is %d, not 1 to 100", p.MaxFailures)
	case p.Lock < time.Minute || p.Lock > 24*time.Hour:
		return fmt.Errorf("otp: Config.Policy.Lock is %v, not a minute to a day", p.Lock)
	}
	for _, w := range p.Waits {
		if w < time.Second || w > p.Life {
			return fmt.Errorf("otp: Config.Policy.Waits has %v, not a second to Life", w)
		}
	}
	for _, r := range append(p.PerRecipient[:len(p.PerRecipient):len(p.PerRecipient)], p.PerIP...) {
		if r.Most < 1 || r.Per < time.Second || r.Per > 31*24*time.Hour {
			return fmt.Errorf("otp: Config.Policy has a Rate of %d per %v: at least 1, a second to 31 days", r.Most, r.Per)
		}
	}
	return nil
}

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
	if c.Takeover == 0 {
		c.Takeover = 20 * time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Policy = c.Policy.withDefaults()
	return c
}

func (c Config) validate() error {
	limited := len(c.Policy.PerRecipient)+len(c.Policy.PerIP) > 0
	switch {
	case c.Channel == nil:
		return errors.New("otp: Config.Channel is required")
	case c.Store == nil:
		return errors.New("otp: Config.Store is required")
	case c.Limiter == nil && limited:
		return errors.New("otp: Config.Limiter is required: the Store is none, and Policy has limits")
	case c.Tracker == nil && c.Receipts != nil:
		return errors.New("otp: Config.Tracker is required for Config.Receipts: the Store is none")
	case c.Queue == nil && c.Async:
		return errors.New("otp: Config.Queue is required for Config.Async: the Store is none")
	case c.Workers < 1:
		return errors.New("otp: Config.Workers is negative")
	case c.Takeover < 2*afterwards:
		return errors.New("otp: Config.Takeover is under 10 s")
	}
	if err := c.Keys.validate(); err != nil {
		return err
	}
	if err := c.Policy.validate(); err != nil {
		return err
	}
	if err := c.validateGenerator(); err != nil {
		return err
	}
	return c.validateRoutes()
}

// validateGenerator refuses one whose codes could not be sent or verified.
func (c Config) validateGenerator() error {
	code, err := c.Generator.Generate(Seed{Key: make([]byte, 32), Time: time.Now()})
	if err != nil {
		return fmt.Errorf("otp: Config.Generator: %w", err)
	}
	if len(code) < 4 || len(code) > 16 {
		return errors.New("otp: Config.Generator does not make codes of 4 to 16 characters")
	}
	if read, ok := normalizeFor(c.Generator, code); !ok || read != code {
		return errors.New("otp: Config.Generator makes codes that are not read as typed: it needs to be a Normalizer")
	}
	return nil
}

// validateRoutes refuses receipts that could not be told apart, and routes
// that wait for one that nobody acts on.
func (c Config) validateRoutes() error {
	lister, ok := channel.As[channel.RouteLister](c.Channel)
	if !ok && c.Receipts != nil {
		return errors.New("otp: Config.Receipts needs routes with names: make Config.Channel a failover.Channel, even of one route")
	}
	if !ok || c.Queue != nil {
		return nil
	}
	for _, r := range lister.Routes() {
		if r.Await > 0 {
			return fmt.Errorf("otp: Config.Queue is required: route %q has an Await, and the Store is no Queue", r.Name)
		}
	}
	return nil
}

// fixedCodes validates FixedCodes and returns them by address.
func (c Config) fixedCodes() (map[string]string, error) {
	switch {
	case len(c.FixedCodes) > 0 && !c.DangerouslyAcceptFixedCodes:
		return nil, errors.New("otp: Config.FixedCodes needs DangerouslyAcceptFixedCodes: anyone who knows such a code passes")
	case len(c.FixedCodes) == 0 && c.DangerouslyAcceptFixedCodes:
		return nil, errors.New("otp: Config.DangerouslyAcceptFixedCodes is set without FixedCodes")
	case len(c.FixedCodes) > 10:
		return nil, errors.New("otp: Config.FixedCodes has more than ten recipients")
	}
	fixed := make(map[string]string, len(c.FixedCodes))
	for i, f := range c.FixedCodes {
		to := channel.Recipient{Phone: f.Address}
		if (channel.Recipient{Email: f.Address}).Validate() == nil {
			to = channel.Recipient{Email: f.Address}
		}
		if err := to.Validate(); err != nil {
			return nil, fmt.Errorf("otp: Config.FixedCodes[%d].Address is neither E.164 nor an e-mail address", i)
		}
		code, ok := normalizeFor(c.Generator, f.Code)
		if !ok {
			return nil, fmt.Errorf("otp: Config.FixedCodes[%d].Code is not of the generator's form", i)
		}
		fixed[f.Address] = code
	}
	return fixed, nil
}

// normalizeFor reads a typed code in the generator's form, or in any.
func normalizeFor(g Generator, typed string) (string, bool) {
	if n, ok := g.(Normalizer); ok {
		return n.Normalize(typed)
	}
	return clean(typed)
}
