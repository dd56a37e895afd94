package authenticator_test

import (
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/otp/authenticator"
)

// BenchmarkVerify verifies right codes of an HOTP token, which needs no time, and wrong
// ones of an app.
func BenchmarkVerify(b *testing.B) {
	quiet := func(c *authenticator.Config) { c.Events, c.Logger = nil, nil }
	b.Run("right", func(b *testing.B) {
		r := newRig(b, quiet)
		d := r.hard("ann", authenticator.Key{Secret: secretOf(1), Counter: true, Digits: 6})
		r.Confirm(b.Context(), "ann", d.at(0))
		b.ReportAllocs()
		n := uint64(1)
		for b.Loop() {
			token, err := r.Verify(b.Context(), "ann", d.at(n))
			if n++; err != nil || token == nil { // once in a hundred thousand a later counter has the same code
				n += 10
			}
		}
	})
	b.Run("wrong", func(b *testing.B) {
		r := newRig(b, quiet)
		d := r.app("ann")
		b.ReportAllocs()
		n, typed := 0, d.wrong()
		for b.Loop() {
			if n++; n%10 == 0 {
				b.StopTimer()
				r.Unlock(b.Context(), "ann")
				b.StartTimer()
			}
			r.Verify(b.Context(), "ann", typed)
		}
	})
}

func BenchmarkResync(b *testing.B) {
	r := newRig(b)
	d := r.hard("ann", authenticator.Key{Secret: secretOf(1), Digits: 6, Period: time.Minute})
	r.Confirm(b.Context(), "ann", d.off(0))
	for b.Loop() {
		r.Resync(b.Context(), "ann", d.id, "000000", "000000")
		r.Unlock(b.Context(), "ann")
	}
}

func BenchmarkQR(b *testing.B) {
	e := enrolment(b, "Acme Bank", "ann@example.com")
	b.Run("PNG", func(b *testing.B) {
		for b.Loop() {
			if out, err := e.PNG(240); err != nil || len(out) == 0 {
				b.Fatal(err)
			}
		}
	})
	b.Run("SVG", func(b *testing.B) {
		for b.Loop() {
			if out, err := e.SVG("QR code"); err != nil || out == "" {
				b.Fatal(err)
			}
		}
	})
}
