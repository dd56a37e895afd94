package otphttp

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Proxies are the reverse proxies in front of a server, by which it finds the
// address of the person who asks. Its zero value is none: the address is the
// connection's.
type Proxies struct {
	// Networks are those of the proxies. The header of a connection from
	// elsewhere is ignored, whatever it says.
	Networks []netip.Prefix

	// Header is the field to which each proxy adds the address that it was
	// called from: X-Forwarded-For, Forwarded (RFC 7239), or a proxy's own that
	// holds one address, as CF-Connecting-IP. Default: X-Forwarded-For.
	Header string
}

// ClientAddr returns the address of the person. It reads the header from the right, and
// returns the first address outside Networks. The text left of it is the person's own
// claim, and is not read. If an entry is not an address, ClientAddr returns the address of
// the proxy that added the entry, so that a limit still holds.
func (p Proxies) ClientAddr(r *http.Request) netip.Addr {
	at := addrOf(r.RemoteAddr)
	if !p.lists(at) {
		return at
	}
	name := p.Header
	if name == "" {
		name = "X-Forwarded-For"
	}
	forwarded := strings.EqualFold(name, "Forwarded")
	hops := strings.Split(strings.Join(r.Header.Values(name), ","), ",")
	for _, hop := range slices.Backward(hops) {
		if forwarded {
			hop = forwardedFor(hop)
		}
		next := addrOf(strings.TrimSpace(hop))
		if !next.IsValid() {
			break
		}
		if at = next; !p.lists(at) {
			break
		}
	}
	return at
}

func (p Proxies) lists(a netip.Addr) bool {
	return a.IsValid() && slices.ContainsFunc(p.Networks, func(n netip.Prefix) bool {
		mapped := n.Addr().Is4In6() && n.Bits() >= 96 // ::ffff:192.0.2.0/120
		return n.Contains(a) || a.Is4() && mapped && n.Contains(netip.AddrFrom16(a.As16()))
	})
}

// addrOf reads an address with or without a port, as connections and proxies
// write it: 192.0.2.1, 192.0.2.1:80, 2001:db8::1, [2001:db8::1], [2001:db8::1]:80.
func addrOf(s string) netip.Addr {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return plain(ap.Addr())
	}
	if inner, ok := strings.CutPrefix(s, "["); ok {
		s, ok = strings.CutSuffix(inner, "]")
		if !ok {
			return netip.Addr{}
		}
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}
	}
	return plain(a)
}

// plain returns one form of each address: an IPv4 address in IPv6 is the former.
func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// forwardedFor returns the value of "for" of one element of a Forwarded header.
func forwardedFor(element string) string {
	for pair := range strings.SplitSeq(element, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
		if strings.EqualFold(name, "for") {
			return strings.Trim(value, `"`)
		}
	}
	return ""
}
