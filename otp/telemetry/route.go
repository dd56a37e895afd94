package telemetry

import (
	"context"
	"reflect"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/otpcourier/otpcourier/channel"
)

// The attributes of messaging in OpenTelemetry's semantic conventions 1.44.0.
const (
	systemKey        = attribute.Key("messaging.system")
	operationNameKey = attribute.Key("messaging.operation.name")
	operationTypeKey = attribute.Key("messaging.operation.type")
	destinationKey   = attribute.Key("messaging.destination.name")
	messageIDKey     = attribute.Key("messaging.message.id")
	errorTypeKey     = attribute.Key("error.type")
)

// Route returns r with its channel wrapped: each try is measured, and has a span.
// [channel.As] finds the channel, and its optional interfaces, behind the wrapper.
// A route that is used several times, such as for several countries, is wrapped
// once. Its name is one of the values of otp.route from then on.
func (t *Telemetry) Route(r channel.Route) channel.Route {
	if r.Channel == nil { // the failover refuses it
		return r
	}
	system := systemOf(r.Channel)
	t.mu.Lock()
	t.routes[r.Name], t.systems[r.Name] = true, system
	t.mu.Unlock()
	attrs := []attribute.KeyValue{systemKey.String(system), operationNameKey.String("send"),
		operationTypeKey.String("send"), destinationKey.String(r.Name)}
	r.Channel = &observed{Channel: r.Channel, t: t, span: "send " + r.Name, attrs: attrs,
		start:   []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attrs...)},
		byClass: byClass(attrs)}
	return r
}

// An observed channel measures each Send.
type observed struct {
	channel.Channel
	t       *Telemetry
	span    string
	attrs   []attribute.KeyValue
	start   []trace.SpanStartOption
	byClass map[channel.Class][]metric.RecordOption
}

// accepted stands for no error in observed.byClass.
const accepted = channel.Expired + 1

// byClass makes the options for each outcome of a try.
func byClass(attrs []attribute.KeyValue) map[channel.Class][]metric.RecordOption {
	all := map[channel.Class][]metric.RecordOption{
		accepted: {metric.WithAttributeSet(attribute.NewSet(attrs...))},
	}
	for class := range accepted {
		with := append(attrs[:len(attrs):len(attrs)], errorTypeKey.String(class.String()))
		all[class] = []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(with...))}
	}
	return all
}

// Unwrap returns the wrapped channel.
func (o *observed) Unwrap() channel.Channel { return o.Channel }

// Send sends by the wrapped channel. A panic counts as channel.Unknown, and goes
// on.
func (o *observed) Send(ctx context.Context, m *channel.Message) (sub channel.Submission, err error) {
	measured := o.t.trying.Enabled(ctx)
	if !measured && o.t.tracer == nil {
		return o.Channel.Send(ctx, m)
	}
	began, class := time.Now(), channel.Unknown
	if o.t.tracer != nil {
		ctx = o.begin(ctx, m)
	}
	defer func() {
		if measured {
			o.t.trying.Record(ctx, time.Since(began).Seconds(), o.byClass[class]...)
		}
		if o.t.tracer != nil {
			end(trace.SpanFromContext(ctx), class)
		}
	}()
	sub, err = o.Channel.Send(ctx, m)
	class = accepted
	if err != nil {
		class = channel.ClassOf(err)
	}
	return sub, err
}

// begin starts the span of a try.
func (o *observed) begin(ctx context.Context, m *channel.Message) context.Context {
	ctx, span := o.t.tracer.Start(ctx, o.span, o.start...)
	if span.IsRecording() {
		span.SetAttributes(messageIDKey.String(m.ID))
		link(span, m.RequestID)
	}
	return ctx
}

// end ends the span of a try.
func end(span trace.Span, class channel.Class) {
	if class != accepted && span.IsRecording() {
		span.SetAttributes(errorTypeKey.String(class.String()))
		span.SetStatus(codes.Error, class.String())
	}
	span.End()
}

// system returns the messaging.system of a route.
func (t *Telemetry) system(route string) string {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if s := t.systems[route]; s != "" {
		return s
	}
	return other
}

// systemOf returns the messaging.system of a channel, which its package tells.
func systemOf(c channel.Channel) string {
	const ours = "github.com/otpcourier/otpcourier/"
	for c != nil {
		typ := reflect.TypeOf(c)
		if typ.Kind() == reflect.Pointer {
			typ = typ.Elem()
		}
		switch room, _, _ := strings.Cut(strings.TrimPrefix(typ.PkgPath(), ours), "/"); room {
		case "smpp", "smtp":
			return room
		case "gateway":
			return "http"
		}
		wrapper, ok := c.(interface{ Unwrap() channel.Channel })
		if !ok {
			break
		}
		c = wrapper.Unwrap()
	}
	return other
}
