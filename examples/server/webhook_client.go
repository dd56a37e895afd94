package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// newHookClient returns a client for webhooks. It follows no redirect, uses no proxy,
// and, unless private, reaches only addresses of the Internet, whatever the host's name
// resolves to at the time of the call.
func newHookClient(private bool) *http.Client {
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	if !private {
		dialer.Control = func(_, address string, _ syscall.RawConn) error {
			if to, err := netip.ParseAddrPort(address); err != nil || !publicAddr(to.Addr()) {
				return errPrivateAddr
			}
			return nil
		}
	}
	return &http.Client{
		Transport: &http.Transport{DialContext: dialer.DialContext, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 4,
			IdleConnTimeout: time.Minute, TLSHandshakeTimeout: 5 * time.Second, MaxResponseHeaderBytes: 16 << 10,
			DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

var errPrivateAddr = errors.New("the address is private or reserved, and private_network is not set")

// withoutURL returns why a call failed, without the URL: its path may be a secret.
func withoutURL(err error) error {
	var u *url.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no answer within %v", hookTimeout)
	case errors.As(err, &u):
		return u.Err
	}
	return err
}

// retryAfter reads seconds or a time (RFC 9110, 10.2.3), up to a day.
func retryAfter(field string, now time.Time) time.Duration {
	const most = 24 * time.Hour
	if n, err := strconv.ParseUint(field, 10, 31); err == nil {
		return min(time.Duration(n)*time.Second, most)
	}
	if at, err := http.ParseTime(field); err == nil {
		return min(max(at.Sub(now), 0), most)
	}
	return 0
}

// global6 is all that IANA has opened of IPv6 for unicast. Outside of it are translators
// to IPv4, such as 64:ff9b::/96 and ::ffff:0:0:0/96.
var global6 = netip.MustParsePrefix("2000::/3")

// reserved are networks that IANA's registries of special-purpose addresses list as not
// globally reachable, and those that lead to IPv4 addresses.
var reserved = func() (out []netip.Prefix) {
	for _, p := range []string{"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24",
		"198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4", "2001::/23", "2001:db8::/32",
		"2002::/16", "3fff::/20"} {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}()

// publicAddr reports whether an address is one of the Internet's.
func publicAddr(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	return a.IsGlobalUnicast() && !a.IsPrivate() && (a.Is4() || global6.Contains(a)) &&
		!slices.ContainsFunc(reserved, func(p netip.Prefix) bool { return p.Contains(a) })
}
