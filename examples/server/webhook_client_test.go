package main

import (
	"net/netip"
	"testing"
	"time"
)

func TestPublicAddr(t *testing.T) {
	t.Parallel()
	for want, addresses := range map[bool][]string{
		true: {"1.1.1.1", "8.8.8.8", "100.128.0.1", "172.32.0.1", "2606:4700::1111", "::ffff:8.8.8.8"},
		false: {"127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
			"0.1.2.3", "224.0.0.1", "255.255.255.255", "240.0.0.1", "198.18.0.1", "192.0.2.1", "::1", "::", "fe80::1",
			"fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254",
			"::127.0.0.1", "::ffff:100.64.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:0:1::1", "2001:db8::1",
			"fec0::1", "::ffff:0:7f00:1", "4000::1", "64:ff9b:1::7f00:1", "100::1", "5f00::1"},
	} {
		for _, a := range addresses {
			if publicAddr(netip.MustParseAddr(a)) != want {
				t.Errorf("%s: not %v", a, want)
			}
		}
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 10, 21, 7, 0, 0, 0, time.UTC)
	for field, want := range map[string]time.Duration{"": 0, "120": 2 * time.Minute, "-1": 0, "soon": 0,
		"Wed, 21 Oct 2026 07:28:00 GMT": 28 * time.Minute, "Wed, 21 Oct 2026 06:00:00 GMT": 0,
		"99999999": 24 * time.Hour, "Wed, 21 Oct 2099 07:28:00 GMT": 24 * time.Hour} {
		if got := retryAfter(field, now); got != want {
			t.Errorf("%q: got %v, want %v", field, got, want)
		}
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, seed := range []string{"", "0", "120", "-1", "Wed, 21 Oct 2026 07:28:00 GMT", "99999999999999999999"} {
		f.Add(seed)
	}
	now := time.Date(2026, 10, 21, 7, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, field string) {
		if d := retryAfter(field, now); d < 0 || d > 24*time.Hour {
			t.Errorf("%q: got %v", field, d)
		}
	})
}
