package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/smpptest"
)

// A carrier is a route that reports each message delivered once it is told to.
type carrier struct {
	people  *phones
	smsc    *smpptest.Server
	mu      sync.Mutex
	receipt channel.ReceiptFunc // of the shop's route sms
	sent    int
}

// open is an opener. A route named smpp is a bind to a real SMSC.
func (c *carrier) open(app string, r route, receipt channel.ReceiptFunc) (channel.Channel, channel.Address, error) {
	switch {
	case r.Name == "smpp":
		client, err := smpp.New(smpp.Config{Addr: c.smsc.Addr, SystemID: "shop", Password: "secret",
			DangerouslyPlaintext: true})
		return client, channel.Phone, err
	case app != "shop" || r.Name != "sms":
		return c.people.open(app, r, receipt)
	}
	inner, kind, err := c.people.open(app, r, receipt)
	c.receipt = receipt
	return channel.Func(func(ctx context.Context, m *channel.Message) (channel.Submission, error) {
		s, err := inner.Send(ctx, m)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.sent++
		s.ProviderIDs = []string{fmt.Sprint("sms-", c.sent)}
		return s, err
	}), kind, err
}

// metrics reads /metrics.
func (r *rig) metrics() string {
	r.t.Helper()
	resp, err := r.watch.http.Get(r.s.adminURL() + "/metrics")
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		r.t.Fatalf("%d %v", resp.StatusCode, err)
	}
	return string(text)
}

// After traffic /metrics has what the alerts and the dashboard of otp/telemetry/ops ask
// for, of each application, and nothing secret.
func TestMetrics(t *testing.T) {
	t.Parallel()
	lines := &carrier{smsc: smpptest.NewServer(smpptest.Config{SystemID: "shop", Password: "secret"})}
	t.Cleanup(lines.smsc.Close)
	r := startWith(t, func(c *config) {
		a := &c.Applications[0]
		a.Purposes = []string{"login"}
		a.Currency, a.Budget = "EUR", "1000"
		for i := range a.Routes {
			a.Routes[i].Prices = map[string]json.Number{"default": "0.09", "GB": "0.031"}
		}
		a.Guard = &guardConfig{Countries: []string{"GB"}}
		a.Routes = append(a.Routes, route{Name: "smpp", Prices: a.Routes[0].Prices})
	}, func(p *phones) opener { lines.people = p; return lines.open })
	at := apiPath + "/" + r.want(r.shop, "201 pending", "POST", apiPath, annsLogin).body.ID
	if err := lines.receipt(t.Context(), channel.Receipt{ProviderID: "sms-1", State: channel.Delivered}); err != nil {
		t.Fatal(err)
	}
	code := r.people.read("+447912345601")
	r.want(r.shop, "429 too_soon, with Retry-After", "POST", at+"/resend", `{"subject":"ann"}`)
	r.want(r.shop, "422 code_refused, 4 attempts left", "POST", at+"/check", checkBody(other(code)))
	r.want(r.shop, "200 verified", "POST", at+"/check", checkBody(code))
	r.want(r.shop, "429 guarded", "POST", apiPath, `{"subject":"bob","to":{"phone":"+33612345678"}}`)
	r.want(r.bank, "201 pending", "POST", apiPath, annsLogin)

	got := r.metrics()
	for _, file := range []string{"alerts.yml", "grafana.json"} {
		text, err := os.ReadFile("../../otp/telemetry/ops/" + file)
		if err != nil {
			t.Fatal(err)
		}
		names := regexp.MustCompile(`\b(?:otp|smpp|messaging|http)_[a-z_]+_(?:total|bucket|count|seconds|status)\b`).
			FindAllString(string(text), -1)
		if len(names) < 10 {
			t.Errorf("%s has only %q", file, names)
		}
		for _, name := range names {
			if !strings.Contains(got, "\n"+name+"{") {
				t.Errorf("%s asks for %s, which /metrics has not", file, name)
			}
		}
	}
	for _, want := range []string{
		`otp_challenges_total{application="shop",geo_country_iso_code="GB",otp_purpose="login"} 1`,
		`otp_challenges_total{application="bank",geo_country_iso_code="GB",otp_purpose="other"} 1`,
		`otp_message_cost_total{application="shop",geo_country_iso_code="GB",otp_currency="EUR",otp_route="sms"} ` +
			"0.031\n",
		`http_server_request_duration_seconds_count{http_request_method="POST",http_response_status_code="422",` +
			`http_route="/v1/verifications/{id}/check"} 1`,
		`http_route="/v1/verifications/{id}/check",le="`, `otp_route_status{application="shop",otp_route="smpp",`,
		`otp_guard_alerts_total{application="shop",otp_guard_opened="false",otp_guard_rule="country"} 1`,
		`otp_refusals_total{application="shop",otp_operation="send",otp_reason="guarded"} 1`,
		`messaging_destination_name="sms"`, `smpp_session_state="bound"`, "go_goroutines ", "process_open_fds "} {
		if !strings.Contains(got, want) {
			t.Errorf("/metrics has no %s", want)
		}
	}
	for _, secret := range []string{code, "7912345601", "ann", at[len(apiPath)+1:], "otpk_", "33612"} {
		if strings.Contains(got, secret) {
			t.Errorf("/metrics has %q", secret)
		}
	}
	if t.Failed() {
		t.Log(got)
	}
}

// Nothing that a client sends adds a series.
func TestMetricsAreBounded(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	series := regexp.MustCompile(`(?m)^(?:otp|http|messaging)_`)
	traffic := func(from, to int) int {
		for i := from; i < to; i++ {
			name := fmt.Sprint("x", i)
			q := r.request(r.shop, "BREW"+name, "/"+name, "")
			q.Host = name + ".example"
			q.Header.Set("User-Agent", name)
			q.Header.Set("Origin", "https://"+name+".example")
			resp, err := r.shop.http.Do(q)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			r.want(r.shop, "201 pending", "POST", apiPath,
				fmt.Sprintf(`{"subject":%q,"purpose":%q,"to":{"phone":"+44791234%04d"}}`, name, name, i))
			r.want(r.shop, "404 not_found", "GET", apiPath+"/"+name, "", "Otp-Subject", name)
		}
		return len(series.FindAllString(r.metrics(), -1))
	}
	if some, more := traffic(0, 3), traffic(3, 20); some == 0 || more != some {
		t.Errorf("%d series became %d:\n%s", some, more, r.metrics())
	}
}
