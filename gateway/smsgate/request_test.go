package smsgate_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/gateway/gatewaytest"
	"github.com/otpcourier/otpcourier/gateway/smsgate"
)

// The request, to the letter, in every mode.
func TestRequest(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		server gatewaytest.Config
		config smsgate.Config
		query  string
		body   string
	}{
		"defaults": {
			body: `{"id":"c4n7.1","deviceId":"pixel","textMessage":{"text":"<#> 582037 is your code. & ` +
				`\"FA+9qCX9VSu\""},"phoneNumbers":["+19162255887"],"ttl":299,"priority":100,"withDeliveryReport":true}`,
		},
		"cloud": {
			server: gatewaytest.Config{Kind: gatewaytest.Cloud},
			config: smsgate.Config{
				Devices: []smsgate.Device{{ID: "pixel", SIM: 2}}, ActiveWithin: 90 * time.Minute, Priority: -5,
				SkipPhoneValidation: true, NoDeliveryReport: true, JWT: true,
			},
			query: "deviceActiveWithin=2&skipPhoneValidation=true",
			body: `{"id":"c4n7.1","deviceId":"pixel","textMessage":{"text":"<#> 582037 is your code. & ` +
				`\"FA+9qCX9VSu\""},"phoneNumbers":["+19162255887"],"simNumber":2,"ttl":299,"priority":-5,` +
				`"withDeliveryReport":false}`,
		},
		"on the phone": {
			server: gatewaytest.Config{Kind: gatewaytest.OnPhone},
			config: smsgate.Config{SIM: 3, ActiveWithin: time.Hour},
			body: `{"id":"c4n7.1","textMessage":{"text":"<#> 582037 is your code. & \"FA+9qCX9VSu\""},` +
				`"phoneNumbers":["+19162255887"],"simNumber":3,"ttl":299,"priority":100,"withDeliveryReport":true}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := newGateServer(t, row.server)
			m := codeTo("c4n7.1", ann)
			m.Text = "<#> " + m.Text + ` & "FA+9qCX9VSu"`
			mustSend(t, newGate(t, s, row.config), m)
			took := time.Since(m.Created)
			requests := s.Requests()
			last := requests[len(requests)-1]
			var got, want map[string]any
			if json.Unmarshal(last.Body, &got) != nil || json.Unmarshal([]byte(row.body), &want) != nil {
				t.Fatalf("no JSON: %s", last.Body)
			}
			if ttl, most := got["ttl"].(float64), want["ttl"].(float64); ttl <= most && ttl >= most-took.Seconds() {
				got["ttl"] = most // of a machine that takes no time
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("body (-want +got):\n%s", d)
			}
			if last.Path != "/messages" || last.Query.Encode() != row.query ||
				last.Header.Get("Content-Type") != "application/json" {
				t.Errorf("%s?%s %v", last.Path, last.Query.Encode(), last.Header)
			}
		})
	}
}
