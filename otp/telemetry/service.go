package telemetry

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/otpcourier/otpcourier/otp"
)

// challengeIDKey is an attribute of spans only.
const challengeIDKey = attribute.Key("otp.challenge.id")

// A Service is an otp.Service with a span for each Send, Resend, Verify and Cancel.
// Its other methods are those of the otp.Service.
type Service struct {
	*otp.Service
	tracer trace.Tracer
}

// Service returns s with spans.
func (t *Telemetry) Service(s *otp.Service) *Service { return &Service{s, t.tracer} }

// Send calls the otp.Service in a span. An empty RequestID becomes the W3C traceparent
// of the span.
func (s *Service) Send(ctx context.Context, q otp.Request) (c *otp.Challenge, err error) {
	ctx, span := s.start(ctx, "otp.send", "")
	if span != nil {
		defer func() { endCall(span, c, err) }()
		if q.RequestID == "" {
			q.RequestID = traceparent(span.SpanContext())
		}
	}
	return s.Service.Send(ctx, q)
}

// Resend calls the otp.Service in a span. An empty RequestID becomes the W3C
// traceparent of the span.
func (s *Service) Resend(ctx context.Context, q otp.ResendRequest) (c *otp.Challenge, err error) {
	ctx, span := s.start(ctx, "otp.resend", q.ID)
	if span != nil {
		defer func() { endCall(span, c, err) }()
		if q.RequestID == "" {
			q.RequestID = traceparent(span.SpanContext())
		}
	}
	return s.Service.Resend(ctx, q)
}

// Verify calls the otp.Service in a span.
func (s *Service) Verify(ctx context.Context, v otp.Verification) (c *otp.Challenge, err error) {
	ctx, span := s.start(ctx, "otp.verify", v.ID)
	if span != nil {
		defer func() { endCall(span, c, err) }()
	}
	return s.Service.Verify(ctx, v)
}

// Cancel calls the otp.Service in a span.
func (s *Service) Cancel(ctx context.Context, q otp.Ref) (err error) {
	ctx, span := s.start(ctx, "otp.cancel", q.ID)
	if span != nil {
		defer func() { endCall(span, nil, err) }()
	}
	return s.Service.Cancel(ctx, q)
}

// start starts the span of a call, nil without a TracerProvider. id is what the
// caller gave, which may be anything.
func (s *Service) start(ctx context.Context, name, id string) (context.Context, trace.Span) {
	if s.tracer == nil {
		return ctx, nil
	}
	ctx, span := s.tracer.Start(ctx, name)
	if span.IsRecording() && isID(id) {
		span.SetAttributes(challengeIDKey.String(id))
	}
	return ctx, span
}

// idLength is the length of a challenge's ID, which consists of a to z and 2 to 7.
const idLength = 26

func isID(s string) bool {
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < '2' || r > '7') {
			return false
		}
	}
	return len(s) == idLength
}

// endCall ends the span of a call. A refusal is an error of the span only if the
// service or its routes failed, and not the person.
func endCall(span trace.Span, c *otp.Challenge, err error) {
	defer span.End()
	if !span.IsRecording() {
		return
	}
	if c != nil {
		span.SetAttributes(challengeIDKey.String(c.ID))
	}
	if err == nil {
		return
	}
	why := otp.ReasonOf(err)
	span.SetAttributes(reasonKey.String(string(why)))
	if errors.Is(err, otp.ErrUnavailable) || errors.Is(err, otp.ErrUndelivered) {
		span.SetStatus(codes.Error, string(why))
	}
}
