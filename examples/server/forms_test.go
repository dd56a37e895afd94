package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/otp/otphttp"
)

// A path that there is not is 404, a method that a path does not have is 405 and names those
// that it has, on both listeners, and each is a problem.
func TestNoSuchCall(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *config) { c.OAuth, c.ProblemTypes = true, "https://api.shop.example/problems/" })
	for call, allow := range map[string]string{
		"GET /": "", "POST /v2/verifications": "", "GET /metrics": "", "OPTIONS /": "", "GET /v1/pages/a/b/c": "",
		"PUT " + apiPath: "POST", "GET " + apiPath: "POST", "POST " + apiPath + "/x": "DELETE, GET",
		"GET " + apiPath + "/x/check": "POST", "DELETE " + apiPath + "/x/resend": "POST", "OPTIONS " + apiPath: "POST",
		"GET " + pagesPath: "POST", "POST " + pagesPath + "/x": "GET", "POST /v1/stats": "GET",
		"DELETE /v1/events":          "GET",
		"GET /v1/webhooks/main/test": "POST", "POST /v1/webhooks/main/failures": "GET", "GET /oauth/token": "POST",
		"PUT /v1/authenticators": "GET, POST", "POST /openapi.yaml": "GET", "GET /verify/check": "POST",
		"POST /verify": "GET", "admin POST /healthz": "GET", "admin PUT /readyz": "GET", "admin GET /nothing": "",
		"admin GET /v1/verifications": "", "admin GET /dashboard/cancel": "POST",
	} {
		at, call, admin := r.shop, strings.TrimPrefix(call, "admin "), strings.HasPrefix(call, "admin ")
		if admin {
			at = &client{r.s.adminURL(), r.shop.key, r.shop.http}
		}
		method, path, _ := strings.Cut(call, " ")
		q := r.request(at, method, path, "")
		resp, err := http.DefaultTransport.RoundTrip(q)
		if err != nil {
			t.Fatal(err)
		}
		var p otphttp.Problem
		decodeInto(t, resp, &p)
		status := http.StatusNotFound
		if allow != "" {
			status = http.StatusMethodNotAllowed
		}
		if resp.StatusCode != status || p.Status != status || resp.Header.Get("Allow") != allow ||
			!strings.HasPrefix(p.Type, "https://api.shop.example/problems/") ||
			resp.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: got %d %v %+v, want Allow %q", call, resp.StatusCode, resp.Header, p, allow)
		}
	}
	for path, want := range map[string]int{"/openapi.yaml": 200, apiPath + "/x": 404, "/v1/stats": 200,
		"/verify": 410} {
		q := r.request(r.shop, http.MethodHead, path, "")
		q.Header.Set("Otp-Subject", "ann")
		resp, err := http.DefaultTransport.RoundTrip(q)
		if err != nil {
			t.Fatal(err)
		}
		if body, _ := io.ReadAll(resp.Body); resp.StatusCode != want || len(body) > 0 {
			t.Errorf("HEAD %s: got %d %s", path, resp.StatusCode, body)
		}
		resp.Body.Close()
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}

// The scheme of a key is written in either case, and a network of IPv4 that is written as
// one of IPv6 is the same network.
func TestKeyForms(t *testing.T) {
	t.Parallel()
	secret := map[string]string{}
	r := start(t, func(c *config) {
		c.Proxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		for id, network := range map[string]string{"four": "192.0.2.0/24", "mapped": "::ffff:192.0.2.0/120",
			"six": "2001:db8::/32"} {
			s, k, err := newKey(id)
			if err != nil {
				t.Fatal(err)
			}
			secret[id], k.Networks = s, []netip.Prefix{netip.MustParsePrefix(network)}
			c.Applications[0].Keys = append(c.Applications[0].Keys, k)
		}
	})
	for _, c := range []struct{ key, from, want string }{
		{"four", "192.0.2.7", "404 not_found"}, {"four", "::ffff:192.0.2.7", "404 not_found"},
		{"mapped", "192.0.2.7", "404 not_found"}, {"mapped", "::ffff:192.0.2.7", "404 not_found"},
		{"six", "2001:db8::7", "404 not_found"}, {"four", "192.0.3.7", "403 forbidden"},
		{"mapped", "::ffff:192.0.3.7", "403 forbidden"}, {"six", "2001:db9::7", "403 forbidden"},
		{"six", "192.0.2.7", "403 forbidden"}, {"four", "2001:db8::7", "403 forbidden"},
	} {
		r.want(&client{r.shop.url, secret[c.key], r.shop.http}, c.want, "GET", apiPath+"/x", "", "Otp-Subject", "ann",
			"X-Forwarded-For", c.from)
	}
	for header, want := range map[string]string{"bearer " + r.shop.key: "404 not_found",
		"BEARER " + r.shop.key: "404 not_found", "Basic " + r.shop.key: "401 unauthorized",
		r.shop.key: "401 unauthorized", "Bearer": "401 unauthorized", "Bearer  " + r.shop.key: "401 unauthorized"} {
		r.want(r.shop, want, "GET", apiPath+"/x", "", "Otp-Subject", "ann", "Authorization", header)
	}
}

// A peer that is not a listed proxy can forge the header. That changes nothing: neither the blocked
// address, nor the networks of a key, nor the limit of messages that counts.
func TestForgedAddress(t *testing.T) {
	t.Parallel()
	near := ""
	r := start(t, func(c *config) {
		c.Proxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		s, k, err := newKey("near")
		if err != nil {
			t.Fatal(err)
		}
		near, k.Networks = s, []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
		c.Applications[0].Keys = append(c.Applications[0].Keys, k)
	})
	r.want(&client{r.shop.url, near, r.shop.http}, "403 forbidden", "GET", apiPath+"/x", "", "Otp-Subject", "ann",
		"X-Forwarded-For", "192.0.2.7", "Forwarded", "for=192.0.2.7", "X-Real-Ip", "192.0.2.7")
	guess := &client{r.shop.url, "otpk_shop1_guess", r.shop.http}
	for i := range maxFailures {
		r.want(guess, "401 unauthorized", "GET", apiPath+"/x", "", "Otp-Subject", "ann",
			"X-Forwarded-For", netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}).String())
	}
	blocked := r.want(r.shop, "429 rate_limited, with Retry-After", "GET", apiPath+"/x", "", "Otp-Subject", "ann",
		"X-Forwarded-For", "198.51.100.1")
	if after := blocked.header.Get("Retry-After"); after != "900" && after != "899" {
		t.Errorf("blocked for %s s", after)
	}
}

// The server ends TLS itself, if it has a certificate, and speaks HTTP/2 then.
func TestTLS(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true,
		BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	cert, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: cert},
		"key.pem": {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := start(t, func(c *config) { c.Cert, c.Key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem") })
	roots := x509.NewCertPool()
	parsed, err := x509.ParseCertificate(cert)
	if err != nil {
		t.Fatal(err)
	}
	roots.AddCert(parsed)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(r.request(r.shop, http.MethodPost, apiPath, annsLogin))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusCreated || resp.ProtoMajor != 2 || resp.TLS.Version < tls.VersionTLS12 {
		t.Errorf("got %s %s", resp.Proto, resp.Status)
	}
	if !strings.HasPrefix(r.s.baseURL(), "https://") {
		t.Errorf("pages are at %s", r.s.baseURL())
	}
}

// A page is refused for what its Send would be refused for, in front of the person.
func TestPageMembers(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *config) { c.Applications[0].ReturnURLs = []string{"https://shop.example/done"} })
	create := func(members string) (status int, p otphttp.Problem) {
		t.Helper()
		if !strings.Contains(members, "return_url") {
			members += `,"return_url":"https://shop.example/done"`
		}
		resp, err := r.shop.http.Do(r.request(r.shop, http.MethodPost, pagesPath, `{"subject":"ann",`+members+`}`))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		_ = json.NewDecoder(resp.Body).Decode(&p) // of a page, it has none of the members
		return resp.StatusCode, p
	}
	for members, pointer := range map[string]string{
		`"purpose":"a\u00e9"`: "/purpose", `"reference":"a\nb"`: "/reference", `"to":{"phone":"0800"}`: "/to/phone",
		`"details":"` + strings.Repeat("x", 201) + `"`: "/details", `"details":"a\nb"`: "/details",
		`"details":"\u202e1"`: "/details", `"language":"e!"`: "/language",
		`"return_url":"https://shop.example/done-not"`:      "/return_url",
		`"return_url":"https://shop.example/"`:              "/return_url",
		`"return_url":"https://shop.example/done/../x"`:     "/return_url",
		`"return_url":"https://shop.example/done/%2e%2e/x"`: "/return_url",
	} {
		if status, p := create(members); status != http.StatusUnprocessableEntity || len(p.Errors) != 1 ||
			p.Errors[0].Pointer != pointer {
			t.Errorf("%s: got %d %+v", members, status, p)
		}
	}
	for _, members := range []string{`"details":"EUR 5 to Jörg"`, `"language":"pt-BR, en;q=0.5"`,
		`"to":{"phone":"+447912345601"}`, `"return_url":"https://shop.example/done/1?x=/../"`,
		`"return_url":"https://shop.example/done?x"`} {
		if status, p := create(members); status != http.StatusCreated {
			t.Errorf("%s: got %d %+v", members, status, p)
		}
	}
}
