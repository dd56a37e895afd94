package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/phone"
	"github.com/otpcourier/otpcourier/otp"
)

// Money is an amount in millionths of a currency: sums of it are exact.
type money int64

const unit money = 1_000_000 // of a currency

var (
	amountForm   = regexp.MustCompile(`^(0|[1-9][0-9]{0,8})(\.[0-9]{1,6})?$`)
	currencyForm = regexp.MustCompile(`^[A-Z]{3}$`)
	errAmount    = errors.New("it must be an amount below a thousand million, with up to six digits after the point, " +
		"as 0.045")
)

// parseMoney reads "0.045". It goes by no floating-point number.
func parseMoney(text string) (money, error) {
	if !amountForm.MatchString(text) {
		return 0, errAmount
	}
	whole, part, _ := strings.Cut(text, ".")
	n, err := strconv.ParseInt(whole+(part + "000000")[:6], 10, 64)
	return money(n), err
}

// String returns the whole amount, with two digits after the point or more: "1.50", "0.045".
func (m money) String() string {
	text := fmt.Sprintf("%d.%06d", m/unit, m%unit)
	return text[:len(text)-4] + strings.TrimRight(text[len(text)-4:], "0")
}

// short is for people: from one unit on it is rounded to two digits after the point.
func (m money) short() string {
	if m >= unit {
		m = (m + unit/200) / (unit / 100) * (unit / 100)
	}
	return m.String()
}

// MarshalText returns String's text.
//
//nolint:unparam // encoding.TextMarshaler has an error
func (m money) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads what MarshalText returns.
func (m *money) UnmarshalText(text []byte) (err error) {
	*m, err = parseMoney(string(text))
	return err
}

// A priceError says which price or budget of the file is wrong, and why.
type priceError struct {
	Field string // "applications[0].routes[1].prices.GB"
	Err   error
}

func (e *priceError) Error() string { return e.Field + ": " + e.Err.Error() }

// Unwrap returns Err.
func (e *priceError) Unwrap() error { return e.Err }

// defaultPrice is the key of the price for all countries that have none of their own.
const defaultPrice = "default"

// A tariff is what an application's messages cost. The guard, the figures and the metrics
// go by it.
type tariff struct {
	currency string // empty: there are no prices
	budget   money  // of a day; 0: none
	prices   map[string]map[string]money
}

// price is that of a message, or of each part of a long SMS.
func (t *tariff) price(route, country string) money {
	if p, ok := t.prices[route][country]; ok {
		return p
	}
	return t.prices[route][defaultPrice]
}

// ofEvent is the price of an event's message by the event's route.
func (t *tariff) ofEvent(e *otp.Event) money {
	return t.price(e.Route, e.Region) * money(max(len(e.Providers), 1)) // a route has an ID for each part
}

// spent calls add for each route that took the message of an EventSent, or may have taken
// it. If the answer of a route was lost, one part counts.
func (t *tariff) spent(e *otp.Event, add func(route string, cost money)) {
	for _, h := range e.Hops {
		if h.Err != nil && h.MaySent() {
			add(h.Route, t.price(h.Route, e.Region))
		}
	}
	if e.State != channel.Failed && e.Route != "" {
		add(e.Route, t.ofEvent(e))
	}
}

// validatePrices completes the tariff. Its errors are of type *priceError.
func (a *application) validatePrices(at string) error {
	wrong := func(field, text string, args ...any) error {
		return &priceError{at + "." + field, fmt.Errorf(text, args...)}
	}
	t := tariff{currency: a.Currency, prices: map[string]map[string]money{}}
	if t.currency != "" && !currencyForm.MatchString(t.currency) {
		return wrong("currency", "%q is no ISO 4217 code in upper case, as EUR", t.currency)
	}
	for i, r := range a.Routes {
		field := fmt.Sprintf("routes[%d].prices", i)
		switch _, ok := r.Prices[defaultPrice]; {
		case t.currency == "" && len(r.Prices) > 0:
			return wrong("currency", "it is required, since there are prices")
		case t.currency != "" && !ok:
			return wrong(field, `it needs "default", the price for all other countries; 0: its messages are free`)
		}
		prices := map[string]money{}
		for _, country := range slices.Sorted(maps.Keys(r.Prices)) {
			price, err := parseMoney(r.Prices[country].String())
			switch {
			case country != defaultPrice && (!phone.ValidRegion(country) || strings.ToUpper(country) != country):
				return wrong(field, `%q is neither "default" nor an ISO 3166-1 country that has phone numbers`, country)
			case err != nil:
				return &priceError{at + "." + field + "." + country, err}
			}
			prices[country] = price
		}
		t.prices[r.Name] = prices
	}
	if err := a.validateBudget(at, &t); err != nil {
		return err
	}
	a.tariff = t
	return nil
}

// validateBudget completes the tariff's budget. Without a currency it is in messages.
func (a *application) validateBudget(at string, t *tariff) error {
	at += ".budget"
	budget, err := parseMoney(cmp.Or(a.Budget, "0").String())
	switch {
	case err != nil:
		return &priceError{at, err}
	case a.Guard != nil && budget == 0:
		return &priceError{at, errors.New("it is required with a guard, which keeps to it")}
	case t.currency == "" && a.Guard == nil && budget > 0:
		return &priceError{at, errors.New("it needs a currency and prices, or a guard")}
	case t.currency == "" && budget%unit != 0:
		return &priceError{at, errors.New("without a currency it is a number of messages")}
	}
	t.budget = budget
	return nil
}

// guardMoney returns the budget and a message's price in the guard's whole numbers, in
// which a limiter counts up to 2³¹: in millionths, or in as many as that makes it fit. A
// price is rounded up.
func (t *tariff) guardMoney() (budget int, price func(money) int) {
	step := money(1)
	if t.currency == "" {
		step = unit // messages
	}
	for t.budget/step > 1<<30 {
		step *= 10
	}
	return int(t.budget / step), func(m money) int { return int((m + step - 1) / step) }
}
