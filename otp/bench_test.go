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
	for name, rates := range map[string][]otp.Rate{"unlimited": {}, "limited": {{Most: 200, Per: time.Hour}, {Most: 250,
		Per: 24 * time.Hour}}} {
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
		if _, err := s.Send(b.Context(), otp.Request{Subject: strconv.Itoa(i),
			To: channel.Recipient{Phone: "+447912345678"}}); err != nil {
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
					if !right && i%5 > 0 {
						vs[i] = vs[i-1]
						continue
					}
					subject := strconv.Itoa(i)
					c := s.send(b, otp.Request{Subject: subject, To: channel.Recipient{Email: "a@example.com"}})
					vs[i] = otp.Verification{ID: c.ID, Subject: subject, Code: code}
					if !right {
						vs[i].Code = code[:5] + string('0'+(code[5]-'0'+1)%10)
					}
				}
				b.ReportAllocs()
				b.ResetTimer()
				for i := range b.N {
					if err := verify(b.Context(), s, vs[i]); (err == nil) != right {
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
