package otp_test

import (
	"context"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
)

// sink takes every message.
var sink = channel.Func(func(context.Context, *channel.Message) (channel.Submission, error) {
	return channel.Submission{State: channel.Sent}, nil
})

func benchService(b *testing.B, change func(*otp.Config)) *rig {
	return newRig(b, func(c *otp.Config) {
		c.Channel, c.Receipts, c.Events = sink, nil, nil
		c.Policy.PerRecipient, c.Policy.PerIP = []otp.Rate{}, []otp.Rate{}
		if change != nil {
			change(c)
		}
	})
}

func BenchmarkSend(b *testing.B) {
	for name, rates := range map[string][]otp.Rate{"unlimited": {}, "limited": {{Most: 200, Per: time.Hour}, {Most: 250, Per: 24 * time.Hour}}} {
		b.Run(name, func(b *testing.B) {
			s := benchService(b, func(c *otp.Config) { c.Policy.PerRecipient = rates })
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				i++
				to := channel.Recipient{Email: "u" + strconv.Itoa(i/100) + "@example.com"}
				if _, err := s.Send(b.Context(), otp.Request{Subject: strconv.Itoa(i), To: to}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkSendPhone shows what reading a phone number adds.
func BenchmarkSendPhone(b *testing.B) {
	s := benchService(b, nil)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		if _, err := s.Send(b.Context(), otp.Request{Subject: strconv.Itoa(i), To: channel.Recipient{Phone: "+447912345678"}}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkVerify spreads its wrong codes over many challenges and subjects, as
// attempts are few. "observed" has an Events function, and so opens the record.
func BenchmarkVerify(b *testing.B) {
	for _, observed := range []bool{false, true} {
		for _, right := range []bool{false, true} {
			b.Run("right="+strconv.FormatBool(right)+"/observed="+strconv.FormatBool(observed), func(b *testing.B) {
				var code string
				s := benchService(b, func(c *otp.Config) {
					c.Channel = channel.Func(func(_ context.Context, m *channel.Message) (channel.Submission, error) {
						code = m.Code
						return channel.Submission{}, nil
					})
					if observed {
						c.Events = func(context.Context, otp.Event) {}
					}
				})
				vs := make([]otp.Verification, b.N)
				for i := range vs {
					vs[i] = otp.Verification{Subject: strconv.Itoa(i), Code: "000000"}
					if !right && i%5 > 0 {
						vs[i].ID, vs[i].Subject = vs[i-1].ID, vs[i-1].Subject
						continue
					}
					c := s.send(b, otp.Request{Subject: vs[i].Subject, To: channel.Recipient{Email: "a@example.com"}})
					vs[i].ID = c.ID
					if right {
						vs[i].Code = code
					}
				}
				b.ReportAllocs()
				b.ResetTimer()
				for i := range b.N {
					if err := s.Verify(b.Context(), vs[i]); (err == nil) != right && code != "000000" {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkPendingChallenge reports the heap that one challenge takes in a
// memstore, with a realistic recipient and a subject of its own.
func BenchmarkPendingChallenge(b *testing.B) {
	s := benchService(b, nil)
	const n = 100_000
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		for i := range n {
			if _, err := s.Send(b.Context(), otp.Request{Subject: "user-" + strconv.Itoa(i), Purpose: "login",
				To: channel.Recipient{Email: "somebody" + strconv.Itoa(i) + "@example.com"}}); err != nil {
				b.Fatal(err)
			}
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "B/challenge")
	}
	runtime.KeepAlive(s)
}
