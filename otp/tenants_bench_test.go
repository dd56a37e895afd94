package otp_test

import (
	"strconv"
	"testing"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/wording"
)

// BenchmarkSendTenants sends in the name of one brand of a few, and of a
// thousand: a message must not cost more for the brands beside its own.
func BenchmarkSendTenants(b *testing.B) {
	for _, n := range []int{1, 1000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			s := benchService(b, func(c *otp.Config) {
				for i := range n {
					name := strconv.Itoa(i)
					words := wording.Config{Brand: "Brand " + name}
					c.Tenants = append(c.Tenants, otp.Tenant{Name: name, Wording: words})
				}
			})
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				i++
				to := channel.Recipient{Email: "u" + strconv.Itoa(i/100) + "@example.com"}
				q := otp.Request{Tenant: strconv.Itoa(i % n), Subject: strconv.Itoa(i), To: to}
				if _, err := s.Send(b.Context(), q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
