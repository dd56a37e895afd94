package guard

import (
	"context"
	"log/slog"
	"time"

	"github.com/otpcourier/otpcourier/channel/phone"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/store"
)

// Config configures a [Guard]. Limiter, Index, Countries and Budget are
// required.
type Config struct {
	// Limiter keeps the counts, for example the Limiter of the Service.
	Limiter store.Limiter

	// Index is the key of the hashes that name what is counted: Keyring.Index.
	// At least 32 octets.
	Index []byte

	// Countries are the countries that messages go to, by ISO 3166-1 code in upper
	// case. +1 is some 25 countries, several of them dear: each has its own
	// code. [Everywhere] allows all.
	Countries map[string]Country

	// Budget is what the messages of a day may cost, in the unit of Price. At
	// least 4 times the dearest message.
	Budget int

	// Price is what a message to a country costs, "" for one to an e-mail
	// address or an app. Under 1 counts as 1. Default: 1, so that Budget is in
	// messages. [Cents] has orders of magnitude.
	Price func(country string) int

	// Conversion is the least share of sessions that are verified on a usual
	// day, 0.1 to 0.9. A verified session takes back ⌈1.2 (1/Conversion - 1)⌉
	// messages more than it sent. Default 0.4: two.
	Conversion float64

	// Limits are the thresholds of the rules. Zero fields are the defaults.
	Limits Limits

	// Types are the types of number that messages go to. Default:
	// phone.Mobile and phone.FixedLineOrMobile.
	Types []phone.Type

	// Deny are prefixes of numbers that get no message: "+998901234".
	Deny []string

	// Checks are the embedder's own, such as SIM swap, consent or device
	// attestation. They are called in order, after the rules, since they may
	// cost money, and have CheckTimeout together; default 500 ms. If one fails
	// or is late, the message is allowed, with an Alert; with ChecksRefuse it
	// is refused.
	Checks       []Check
	CheckTimeout time.Duration
	ChecksRefuse bool

	// StepUp: the embedder can ask a person for a proof, and sends again with
	// Request.Proven. False: the step-up thresholds only alert.
	StepUp bool

	// Shadow: all alerts, and nothing is refused.
	Shadow bool

	// Purposes replace settings for messages of a purpose. The counts are
	// shared by all purposes.
	Purposes map[string]Purpose

	// Alert is called in the goroutine of a Check: when a rule closes, once
	// for a Rule and Key in ten minutes; when it opens; and when half, 80 % and
	// all of the budget are spent. It must be quick and safe for concurrent
	// use. Default: none.
	Alert func(context.Context, Alert)

	// Logger gets the alerts too, as warnings. Default: discarded.
	Logger *slog.Logger
}

// A Country holds the settings of one. The zero Country is within the budget.
type Country struct {
	PerDay int  // messages in 24 hours; 0: the budget alone limits them
	StepUp bool // each stranger needs a proof; needs Config.StepUp
}

// A Purpose holds the settings for one purpose. Zero fields are those of the
// Config.
type Purpose struct {
	Countries map[string]Country
	Limits    Limits
	Checks    []Check // in place of Config.Checks; empty and not nil: none
	StepUp    bool    // each message needs a proof; needs Config.StepUp
	Shadow    bool    // messages of this purpose are in Shadow
}

// Limits are the thresholds of the rules; see the package page.
type Limits struct {
	Network Counts // default 15, 60
	Block   Counts // default 5, 15

	// Shares of Budget, over 0 and at most 1.
	Volume     Shares // default 0.01, 0.016
	Unverified Shares // default 0.01, 0.015
	Total      Shares // default 0.035, 0.15

	// Least is the least step-up threshold of Volume, Unverified and Total, in
	// messages. Default 10.
	Least int

	// Hour is the share of Budget that an hour may cost. Default 0.25.
	Hour float64
}

// Counts are the thresholds of a rule, in messages in 24 hours. Refuse is at
// least StepUp.
type Counts struct{ StepUp, Refuse int }

// Shares are the thresholds of a rule, as shares of the budget. Refuse is at
// least StepUp.
type Shares struct{ StepUp, Refuse float64 }

// A Check is a rule of the embedder's own. A zero Verdict allows. Verdict.Rule
// names the check in events; default "check".
type Check func(ctx context.Context, a otp.Attempt) (otp.Verdict, error)

// everywhere is the code of Everywhere.
const everywhere = "*"

// Everywhere returns Countries that allow every country, which New logs as a
// warning: fraud goes to the countries where nobody has customers. Add entries
// to set a PerDay for some.
func Everywhere() map[string]Country { return map[string]Country{everywhere: {}} }

var defaultLimits = Limits{
	Network: Counts{15, 60}, Block: Counts{5, 15},
	Volume: Shares{0.01, 0.016}, Unverified: Shares{0.01, 0.015}, Total: Shares{0.035, 0.15},
	Least: 10, Hour: 0.25,
}
