package sdktest

import (
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/otp"
)

// BenchmarkEvent is what an event costs with an SDK: cost_test.go of package
// telemetry has it without one.
func BenchmarkEvent(b *testing.B) {
	r := newRig(b, nil, func(time.Duration) {}, nil)
	events, now := r.telemetry.Events(nil), time.Now()
	e := otp.Event{Kind: otp.EventSent, At: now, Created: now, Purpose: "login", Region: "GB", Route: "sms-a"}
	b.ReportAllocs()
	for b.Loop() {
		events(b.Context(), e)
	}
}
