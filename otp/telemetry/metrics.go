package telemetry

import (
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// buckets are the bounds of how long people and receipts take, in seconds.
var buckets = []float64{1, 2, 3, 5, 7.5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300}

// tryBuckets are the buckets of OpenTelemetry's semantic conventions for
// messaging.client.operation.duration (1.44.0), in seconds.
var tryBuckets = []float64{0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10}

// instruments are the instruments of a Telemetry.
type instruments struct {
	challenges, messages, choices, verifications, refusals metric.Int64Counter
	cost                                                   metric.Float64Counter
	verifying, delivering, trying                          metric.Float64Histogram
	routeStatus, jobs                                      metric.Int64ObservableUpDownCounter
	age                                                    metric.Float64ObservableGauge
	meter                                                  metric.Meter
}

func newInstruments(m metric.Meter, currency string) (in instruments, err error) {
	var all []error
	counter := func(name, unit, text string) metric.Int64Counter {
		c, err := m.Int64Counter(name, metric.WithUnit(unit), metric.WithDescription(text))
		all = append(all, err)
		return c
	}
	histogram := func(name, text string, bounds []float64) metric.Float64Histogram {
		h, err := m.Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(text),
			metric.WithExplicitBucketBoundaries(bounds...))
		all = append(all, err)
		return h
	}
	upDown := func(name, unit, text string) metric.Int64ObservableUpDownCounter {
		c, err := m.Int64ObservableUpDownCounter(name, metric.WithUnit(unit), metric.WithDescription(text))
		all = append(all, err)
		return c
	}
	in = instruments{
		meter:         m,
		challenges:    counter("otp.challenges", "{challenge}", "Challenges created."),
		messages:      counter("otp.messages", "{message}", "Messages sent, failed and reported delivered."),
		choices:       counter("otp.route.choices", "{message}", "Messages taken, by the place of the route."),
		verifications: counter("otp.verifications", "{verification}", "Codes typed, right and rejected."),
		refusals:      counter("otp.refusals", "{request}", "Requests refused, verifications aside."),
		verifying:     histogram("otp.verification.duration", "Time from the Send to the right code.", buckets),
		delivering:    histogram("otp.delivery.duration", "Time from submission to the receipt Delivered.", buckets),
		trying: histogram("messaging.client.operation.duration", "Duration of a try to send by a route.",
			tryBuckets),
		routeStatus: upDown("otp.route.status", "1", "1 for the state that the route's breaker is in."),
		jobs:        upDown("otp.queue.job.count", "{job}", "Jobs in the queue."),
	}
	in.age, err = m.Float64ObservableGauge("otp.queue.age", metric.WithUnit("s"),
		metric.WithDescription("How long the oldest job that is due has waited for a worker."))
	all = append(all, err)
	if currency != "" { // a unit without braces would become part of Prometheus' name
		in.cost, err = m.Float64Counter("otp.message.cost", metric.WithUnit("{"+currency+"}"),
			metric.WithDescription("What messages cost."))
		all = append(all, err)
	}
	return in, errors.Join(all...)
}

// The attributes of metrics. Their values are bounded.
const (
	purposeKey    = attribute.Key("otp.purpose")
	countryKey    = attribute.Key("geo.country.iso_code")
	routeKey      = attribute.Key("otp.route")
	stateKey      = attribute.Key("otp.state")
	outcomeKey    = attribute.Key("otp.outcome")
	reasonKey     = attribute.Key("otp.reason")
	operationKey  = attribute.Key("otp.operation")
	currencyKey   = attribute.Key("otp.currency")
	positionKey   = attribute.Key("otp.route.position")
	exploredKey   = attribute.Key("otp.route.explored")
	routeStateKey = attribute.Key("otp.route.state")
	queueStateKey = attribute.Key("otp.queue.state")
)

// A table lists the attributes of a metric.
type table []attribute.Key

// The attributes of the metrics, in the order of the values of a series.
var (
	ofChallenges    = table{purposeKey, countryKey}
	ofMessages      = table{routeKey, stateKey, countryKey, errorTypeKey}
	ofChoices       = table{routeKey, positionKey, exploredKey}
	ofVerifications = table{outcomeKey, reasonKey, routeKey, purposeKey, countryKey}
	ofRefusals      = table{operationKey, reasonKey}
	ofDurations     = table{routeKey}
	ofCost          = table{routeKey, countryKey, currencyKey}
)

// A series is a metric's table with the values of its attributes.
type series struct {
	table  *table
	values [5]string
}

// options are those of a measurement of one series, made once.
type options struct {
	add    []metric.AddOption
	record []metric.RecordOption
}

// of returns the options of a series. An attribute whose value is empty is left
// out. All values must be bounded.
func (t *Telemetry) of(names *table, values ...string) *options {
	key := series{table: names}
	copy(key.values[:], values)
	t.mu.RLock()
	o := t.options[key]
	t.mu.RUnlock()
	if o != nil {
		return o
	}
	var attrs []attribute.KeyValue
	for i, name := range *names {
		if key.values[i] != "" {
			attrs = append(attrs, name.String(key.values[i]))
		}
	}
	set := metric.WithAttributeSet(attribute.NewSet(attrs...))
	o = &options{[]metric.AddOption{set}, []metric.RecordOption{set}}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.options[key] = o
	return o
}
