package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
)

// Amounts are read and written without a loss, or refused.
func TestMoney(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"0": "0.00", "0.1": "0.10", "0.045": "0.045", "1.5": "1.50",
		"12": "12.00", "0.000001": "0.000001", "999999999.999999": "999999999.999999", "0.300000": "0.30"} {
		if m, err := parseMoney(text); err != nil || m.String() != want {
			t.Errorf("%s became %s %v, want %s", text, m, err, want)
		}
	}
	for _, bad := range []string{"", "-1", "+1", "01", ".5", "1.", "1e3", "0.0000001", "1000000000", "1,5", "0x1",
		"NaN"} {
		if m, err := parseMoney(bad); !errors.Is(err, errAmount) {
			t.Errorf("%q became %v %v", bad, m, err)
		}
	}
	var sum, tenth money = 0, 100_000
	for range 10 {
		sum += tenth
	}
	if text, err := json.Marshal(sum); err != nil || string(text) != `"1.00"` {
		t.Errorf("ten tenths are %s %v", text, err)
	}
	for m, want := range map[money]string{45: "0.000045", 999_999: "0.999999", 1_004_999: "1.00", 1_005_000: "1.01",
		12_345_678_901: "12345.68"} {
		if got := m.short(); got != want {
			t.Errorf("%d is %s in short, want %s", m, got, want)
		}
	}
}

// A message costs by each route that took it or may have taken it, and for each part. A
// hop that surely sent nothing costs nothing.
func TestSpent(t *testing.T) {
	t.Parallel()
	a := tariff{currency: "EUR", prices: map[string]map[string]money{
		"a": {defaultPrice: 9, "GB": 3}, "b": {defaultPrice: 5}}}
	failed := errors.New("it failed")
	hop := func(route string, class channel.Class) channel.Hop {
		return channel.Hop{Route: route, Err: failed, Class: class}
	}
	for name, row := range map[string]struct {
		e    otp.Event
		want map[string]money
	}{
		"one part": {otp.Event{Route: "a", Region: "GB", State: channel.Sent}, map[string]money{"a": 3}},
		"three parts": {otp.Event{Route: "a", Region: "FR", Providers: []string{"1", "2", "3"}},
			map[string]money{"a": 27}},
		"other route": {otp.Event{Route: "x", Region: "GB"}, map[string]money{"x": 0}},
		"no country":  {otp.Event{Route: "b", State: channel.Delivered}, map[string]money{"b": 5}},
		"after refusal": {otp.Event{Route: "b", Hops: []channel.Hop{hop("a", channel.Temporary), {Route: "b"}}},
			map[string]money{"b": 5}},
		"after silence": {otp.Event{Route: "b", Providers: []string{"1", "2"}, Region: "GB",
			Hops: []channel.Hop{hop("a", channel.Unknown), {Route: "b"}}}, map[string]money{"a": 3, "b": 10}},
		"silence alone": {otp.Event{State: channel.Sent, Err: failed, Hops: []channel.Hop{hop("b", channel.Unknown)}},
			map[string]money{"b": 5}},
		"all refused": {otp.Event{State: channel.Failed, Err: failed,
			Hops: []channel.Hop{hop("a", channel.Throttled), hop("b", channel.Misconfigured)}}, map[string]money{}},
	} {
		got := map[string]money{}
		a.spent(&row.e, func(route string, cost money) { got[route] += cost })
		if diff := cmp.Diff(row.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// Bad prices and budgets are refused at the start, by an error that names the field.
func TestPriceErrors(t *testing.T) {
	t.Parallel()
	all := map[string]json.Number{"default": "0.09"}
	type prices = map[string]json.Number
	priced := func(of prices) application {
		return application{Currency: "EUR", Routes: []route{{Name: "sms", Prices: all}, {Name: "email", Prices: of}}}
	}
	with := func(currency string, budget json.Number) application {
		a := priced(all)
		a.Currency, a.Budget = currency, budget
		return a
	}
	for want, a := range map[string]application{
		`applications[0].routes[1].prices: it needs "default"`:  priced(nil),
		`applications[0].routes[1].prices: "UK" is neither`:     priced(prices{"default": "0", "UK": "1"}),
		`applications[0].routes[1].prices: "gb" is neither`:     priced(prices{"default": "0", "gb": "1"}),
		"applications[0].routes[1].prices.FR: it must be an":    priced(prices{"default": "0", "FR": "-1"}),
		"applications[0].routes[1].prices.default: it must be":  priced(prices{"default": "4.5e-2"}),
		"applications[0].currency: it is required, since there": with("", ""),
		`applications[0].currency: "euro" is no ISO 4217`:       with("euro", ""),
		"applications[0].budget: it must be an amount":          with("EUR", "1e3"),
		"applications[0].budget: it needs a currency":           {Budget: "5"},
		"applications[0].budget: without a currency":            {Budget: "5.5", Guard: &guardConfig{}},
		"applications[0].budget: it is required with a guard":   {Guard: &guardConfig{}},
	} {
		err := a.validatePrices("applications[0]")
		if typed, ok := errors.AsType[*priceError](err); !ok || !strings.HasPrefix(err.Error(), want) ||
			!strings.HasPrefix(want, typed.Field) {
			t.Errorf("%s: got %v", want, err)
		}
	}
	c, _, _, err := demoConfig()
	if err != nil {
		t.Fatal(err)
	}
	a := &c.Applications[0]
	a.Routes, a.Guard = priced(all).Routes, &guardConfig{Countries: []string{"GB"}}
	if a.Currency, a.Budget = "EUR", "0.35"; c.validate(func(string) string { return "" }) != nil {
		t.Fatal("the file is refused")
	}
	_, err = newServer(t.Context(), c, otp.NewKeyring(), (&phones{}).open, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "budget: 0.35 is less than four messages to GB by sms") {
		t.Errorf("a budget of less than four messages: %v", err)
	}
}

// The guard counts in whole numbers that a limiter can hold, and rounds prices up.
func TestGuardMoney(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		t            tariff
		price        money
		budget, want int
	}{
		{tariff{budget: 5000 * unit}, unit, 5000, 1}, // messages
		{tariff{currency: "EUR", budget: 400 * unit}, 31_000, 400_000_000, 31_000},
		{tariff{currency: "EUR", budget: 1_000_000 * unit}, 31_001, 1_000_000_000, 32},
	} {
		budget, price := row.t.guardMoney()
		if got := price(row.price); budget != row.budget || got != row.want || budget > 1<<31-1 {
			t.Errorf("%+v: a budget of %d and a price of %d", row, budget, got)
		}
	}
}

// A guard with prices stops at a quarter of the budget in an hour: the dearer the messages,
// the fewer.
func TestGuardBudget(t *testing.T) {
	t.Parallel()
	for price, most := range map[json.Number]int{"0.45": 1, "0.1": 5} {
		r := start(t, func(c *config) {
			a := &c.Applications[0]
			a.Currency, a.Budget, a.Guard = "EUR", "2", &guardConfig{Countries: []string{"GB"}}
			a.Routes[0].Prices = map[string]json.Number{"default": "0.01", "GB": price}
			a.Routes[1].Prices = map[string]json.Number{"default": "0"}
		})
		for i := range most + 1 {
			want := map[bool]string{true: "201 pending", false: "429 guarded, with Retry-After"}[i < most]
			r.want(r.shop, want, "POST", apiPath,
				fmt.Sprintf(`{"subject":"p%d","to":{"phone":"+4479123%d5601"}}`, i, i))
		}
	}
}

// silentOpener is an opener whose route sms answers nothing for some, and whose texts have two
// parts.
func silentOpener(p *phones) opener {
	return func(app string, r route, receipt channel.ReceiptFunc) (channel.Channel, channel.Address, error) {
		c, kind, err := p.open(app, r, receipt)
		return channel.Func(func(ctx context.Context, m *channel.Message) (channel.Submission, error) {
			if r.Name == "sms" && strings.HasSuffix(m.To.Phone, "99") {
				return channel.Submission{}, &channel.Error{Class: channel.Unknown}
			}
			if r.Name == "sms" && strings.HasSuffix(m.To.Phone, "88") {
				return channel.Submission{}, &channel.Error{Class: channel.Temporary}
			}
			s, err := c.Send(ctx, m)
			if r.Name == "sms" {
				s.ProviderIDs = append(s.ProviderIDs, s.ProviderIDs[0]+"-2")
			}
			return s, err
		}), kind, err
	}
}

// Stats have the cost of each group, in any combination of groups; the metrics have the same.
func TestStatsOfSpend(t *testing.T) {
	t.Parallel()
	r := startWith(t, func(c *config) {
		a := &c.Applications[0]
		a.Purposes, a.Currency, a.Budget = []string{"login"}, "EUR", "2"
		a.Routes[0].Prices = map[string]json.Number{"default": "0.1", "GB": "0.031"}
		a.Routes[1].Prices = map[string]json.Number{"default": "0.0004"}
	}, silentOpener)
	live := r.follow(t, r.shop, "", "")
	for _, to := range []struct{ number, purpose string }{{"+447912345601", "login"}, {"+447912345602", "gift"},
		{"+33612345603", "login"}, {"+447912345699", "login"}, {"+447912345688", "login"}} {
		r.want(r.shop, "201 pending", "POST", apiPath, fmt.Sprintf(
			`{"subject":%q,"purpose":%q,"to":{"phone":%q,"email":"ann@example.com"}}`,
			to.number, to.purpose, to.number))
	}
	elsewhere := r.follow(t, r.bank, "", "")
	r.want(r.bank, "201 pending", "POST", apiPath, annsLogin)
	elsewhere.until("sent")
	for range 10 {
		live.next()
	}
	for query, want := range map[string]string{
		"":                  "5 requested, 5 sent: 0.3558",
		"&group_by=purpose": "login 4 requested, 4 sent: 0.2938; other 1 requested, 1 sent: 0.062",
		"&group_by=country": "FR 1 requested, 1 sent: 0.20; GB 4 requested, 4 sent: 0.1558",
		"&group_by=route,country,purpose": " FR login 1 requested, 0 sent: 0.00; " +
			" GB login 3 requested, 0 sent: 0.00;  GB other 1 requested, 0 sent: 0.00; " +
			"email GB login 0 requested, 2 sent: 0.0008; " +
			"sms FR login 0 requested, 1 sent: 0.20; sms GB login 0 requested, 1 sent: 0.093; " +
			"sms GB other 0 requested, 1 sent: 0.062",
		"&group_by=purpose,route": " login 4 requested, 0 sent: 0.00;  other 1 requested, 0 sent: 0.00; " +
			"email login 0 requested, 2 sent: 0.0008; sms login 0 requested, 2 sent: 0.293; " +
			"sms other 0 requested, 1 sent: 0.062",
	} {
		var got stats
		text := r.get(r.shop, "/v1/stats?bucket=day"+query, &got)
		var rows []string
		for _, row := range got.Rows {
			name := ""
			for _, part := range []*string{row.Route, row.Country, row.Purpose} {
				if part != nil {
					name += *part + " "
				}
			}
			if row.Cost == nil || row.Cost.Currency != "EUR" {
				t.Fatalf("%s: %s", query, text)
			}
			rows = append(rows, fmt.Sprintf("%s%d requested, %d sent: %s", name, row.Requested, row.Sent,
				row.Cost.Amount))
		}
		if diff := cmp.Diff(want, strings.Join(rows, "; ")); diff != "" {
			t.Errorf("%s: %s", query, diff)
		}
	}
	var free stats
	if text := r.get(r.bank, "/v1/stats", &free); strings.Contains(text, "cost") || len(free.Rows) != 1 {
		t.Errorf("without prices: %s", text)
	}
	got := r.metrics()
	for _, want := range []string{`geo_country_iso_code="FR",otp_currency="EUR",otp_route="sms"} 0.2`,
		`geo_country_iso_code="GB",otp_currency="EUR",otp_route="sms"} 0.155`,
		`geo_country_iso_code="GB",otp_currency="EUR",otp_route="email"} 0.0008`} {
		if !strings.Contains(got, `otp_message_cost_total{application="shop",`+want+"\n") {
			t.Errorf("/metrics has no %s", want)
		}
	}
	for _, bad := range []string{"route,", "route,route", "subject", "route country", "Route"} {
		r.want(r.shop, "400 invalid", http.MethodGet, "/v1/stats?group_by="+strings.ReplaceAll(bad, " ", "%20"), "")
	}
}
