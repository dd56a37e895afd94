package telemetry

import (
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"

	"go.opentelemetry.io/otel/trace"

	"github.com/otpcourier/otpcourier/otp"
)

// traceparent is the header of W3C Trace Context (level 1, §3.2) for a span: 55
// printable characters, as a RequestID may hold. It is empty without a span.
func traceparent(c trace.SpanContext) string {
	if !c.IsValid() {
		return ""
	}
	return fmt.Sprintf("00-%s-%s-%s", c.TraceID(), c.SpanID(), c.TraceFlags()&trace.FlagsSampled)
}

// parent reads what traceparent returned.
func parent(requestID string) (c trace.SpanContext, ok bool) {
	if len(requestID) != 55 || requestID[:3] != "00-" || requestID[35] != '-' || requestID[52] != '-' {
		return c, false
	}
	traceID, err := trace.TraceIDFromHex(requestID[3:35])
	if err != nil {
		return c, false
	}
	spanID, err := trace.SpanIDFromHex(requestID[36:52])
	if err != nil {
		return c, false
	}
	flags, err := hex.DecodeString(requestID[53:])
	if err != nil {
		return c, false
	}
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: traceID, SpanID: spanID,
		TraceFlags: trace.TraceFlags(flags[0]) & trace.FlagsSampled, Remote: true}), true
}

// link adds a link to the span that a RequestID names, unless s is of its trace.
func link(s trace.Span, requestID string) {
	if to, ok := parent(requestID); ok && to.TraceID() != s.SpanContext().TraceID() {
		s.AddLink(trace.Link{SpanContext: to})
	}
}

// consumer starts the span of a receipt.
var consumer = []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindConsumer)}

// traceReceipt makes the span of a receipt.
func (t *Telemetry) traceReceipt(ctx context.Context, e *otp.Event) {
	if t.tracer == nil {
		return
	}
	_, span := t.tracer.Start(ctx, "receipt "+e.Route, consumer...)
	defer span.End()
	if !span.IsRecording() {
		return
	}
	link(span, e.RequestID)
	span.SetAttributes(systemKey.String(t.system(e.Route)), operationNameKey.String("receipt"),
		operationTypeKey.String("process"), destinationKey.String(e.Route), challengeIDKey.String(e.Challenge),
		stateKey.String(e.State.String()))
}

// LogHandler returns a handler that adds trace_id and span_id to records that are
// logged with the context of a span, and hands them to next. After WithGroup they
// are in the group.
func LogHandler(next slog.Handler) slog.Handler { return logHandler{next} }

type logHandler struct{ slog.Handler }

func (h logHandler) Handle(ctx context.Context, r slog.Record) error {
	if c := trace.SpanContextFromContext(ctx); c.IsValid() {
		r = r.Clone()
		r.AddAttrs(slog.String("trace_id", c.TraceID().String()), slog.String("span_id", c.SpanID().String()))
	}
	return h.Handler.Handle(ctx, r)
}

func (h logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return logHandler{h.Handler.WithAttrs(attrs)}
}

func (h logHandler) WithGroup(name string) slog.Handler { return logHandler{h.Handler.WithGroup(name)} }
