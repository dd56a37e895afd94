package sdktest

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/telemetry"
)

// Each try that may have sent the message has its price, by its own route. A try that
// surely sent nothing has none.
func TestCostOfTries(t *testing.T) {
	t.Parallel()
	reader := metric.NewManualReader()
	tel, err := telemetry.New(telemetry.Config{
		MeterProvider: metric.NewMeterProvider(metric.WithReader(reader)), Countries: []string{"GB"},
		Routes: []string{"refused", "silent", "taken", "alone"}, Currency: "EUR",
		Price: func(e otp.Event) float64 { return 0.5 * float64(max(len(e.Providers), 1)) }})
	must(t, err)
	failed := errors.New("it failed")
	event := tel.Events(nil)
	event(t.Context(), otp.Event{Kind: otp.EventSent, Region: "GB", Route: "taken", State: channel.Sent,
		Providers: []string{"1", "2", "3"}, Hops: []channel.Hop{
			{Route: "refused", Err: failed, Class: channel.Temporary},
			{Route: "silent", Err: failed, Class: channel.Unknown}, {Route: "taken"}}})
	event(t.Context(), otp.Event{Kind: otp.EventSent, Region: "GB", State: channel.Sent, Err: failed, // perhaps
		Hops: []channel.Hop{{Route: "silent", Err: failed, Class: channel.Unknown}}})
	event(t.Context(), otp.Event{Kind: otp.EventSent, Region: "GB", State: channel.Failed, Err: failed,
		Hops: []channel.Hop{{Route: "refused", Err: failed, Class: channel.Misconfigured}}})
	event(t.Context(), otp.Event{Kind: otp.EventSent, Region: "GB", Route: "alone", State: channel.Sent})
	var all metricdata.ResourceMetrics
	must(t, reader.Collect(t.Context(), &all))
	var got strings.Builder
	for line := range strings.Lines(metricLines(all)) {
		if strings.HasPrefix(line, "otp.message.cost") {
			got.WriteString(line)
		}
	}
	want := `otp.message.cost [{EUR}] {geo.country.iso_code=GB otp.currency=EUR otp.route=alone} 0.500
otp.message.cost [{EUR}] {geo.country.iso_code=GB otp.currency=EUR otp.route=silent} 1.000
otp.message.cost [{EUR}] {geo.country.iso_code=GB otp.currency=EUR otp.route=taken} 1.500
`
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Error(diff)
	}
}
