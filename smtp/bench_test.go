package smtp_test

import (
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/otpcourier/otpcourier/smtp/smtptest"
)

// The relay parses and keeps what it is sent, on the same processors, which is
// part of what this measures.
func BenchmarkSend(b *testing.B) {
	b.Run("TLS, one sender", func(b *testing.B) {
		_, ch := start(b, smtptest.Config{})
		b.ReportAllocs()
		n := 0
		for b.Loop() {
			n++
			if _, err := ch.Send(b.Context(), message("bench."+strconv.Itoa(n))); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("TLS, 8 connections", func(b *testing.B) {
		_, ch := start(b, smtptest.Config{})
		var n atomic.Int64
		b.ReportAllocs()
		b.SetParallelism(8)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := ch.Send(b.Context(), message("bench."+strconv.FormatInt(n.Add(1), 10))); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
}
