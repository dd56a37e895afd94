package otphttp_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/otphttp"
)

var proxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:1::/48")}

func TestClientAddr(t *testing.T) {
	t.Parallel()
	for _, r := range []struct {
		peer, header string
		values       []string
		want         string
	}{
		{"192.0.2.9:1", "", nil, "192.0.2.9"},
		{"192.0.2.9:1", "", []string{"198.51.100.1"}, "192.0.2.9"}, // forged: the peer is no proxy
		{"10.0.0.1:1", "", nil, "10.0.0.1"},
		{"10.0.0.1:1", "", []string{"198.51.100.1"}, "198.51.100.1"},
		{"10.0.0.1:1", "", []string{"203.0.113.5, 198.51.100.1"}, "198.51.100.1"}, // the first is the person's claim
		{"10.0.0.1:1", "", []string{"203.0.113.5", "198.51.100.1,10.2.3.4"}, "198.51.100.1"},
		{"10.0.0.1:1", "", []string{"10.1.1.1, 10.2.3.4"}, "10.1.1.1"},
		{"10.0.0.1:1", "", []string{"198.51.100.1, unknown, 10.2.3.4"}, "10.2.3.4"},
		{"10.0.0.1:1", "", []string{"198.51.100.1:4711"}, "198.51.100.1"},
		{"[2001:db8:1::1]:1", "", []string{"[2001:db8::7]:4711"}, "2001:db8::7"},
		{"[::ffff:10.0.0.1]:1", "", []string{"::ffff:198.51.100.1"}, "198.51.100.1"},
		{"10.0.0.1:1", "CF-Connecting-IP", []string{"198.51.100.1"}, "198.51.100.1"},
		{"10.0.0.1:1", "Forwarded", []string{`for=198.51.100.1;proto=https;by=10.0.0.2`}, "198.51.100.1"},
		{"10.0.0.1:1", "Forwarded", []string{`for=1.2.3.4, proto=https; For="[2001:db8::7]:4711"`}, "2001:db8::7"},
		{"10.0.0.1:1", "Forwarded", []string{`for=1.2.3.4, for=_hidden`}, "10.0.0.1"},
		{"10.0.0.1:1", "Forwarded", []string{`proto=https`}, "10.0.0.1"},
		{"@", "", []string{"198.51.100.1"}, "invalid IP"}, // a socket of the machine
	} {
		req := httptest.NewRequest(http.MethodGet, "/", nil)
		req.RemoteAddr = r.peer
		name := r.header
		if name == "" {
			name = "X-Forwarded-For"
		}
		for _, v := range r.values {
			req.Header.Add(name, v)
		}
		p := otphttp.Proxies{Networks: proxies, Header: r.header}
		if got := p.ClientAddr(req); got.String() != r.want {
			t.Errorf("%s %s %q: got %v, want %s", r.peer, name, r.values, got, r.want)
		}
		p.Networks = []netip.Prefix{netip.MustParsePrefix("::ffff:10.0.0.0/104"), proxies[1]} // the same in IPv6
		if got := p.ClientAddr(req); got.String() != r.want {
			t.Errorf("%s %s %q: of IPv4 in IPv6: got %v, want %s", r.peer, name, r.values, got, r.want)
		}
	}
}

// Whatever the header says, a connection from elsewhere has its own address, and an
// entry that a person put first never wins over what a proxy added.
func FuzzClientAddr(f *testing.F) {
	for _, s := range []string{"", "1.2.3.4", "for=1.2.3.4", `for="[::1]:80", for=x`, "[[::]", "a,,b",
		"::ffff:1.2.3.4%eth0"} {
		f.Add(s, false)
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, claim string, forwarded bool) {
		p, added := otphttp.Proxies{Networks: proxies}, "198.51.100.1"
		name := "X-Forwarded-For"
		if forwarded {
			name, p.Header, added = "Forwarded", "Forwarded", "for=198.51.100.1"
		}
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header[name] = []string{claim}
		r.RemoteAddr = "192.0.2.9:1"
		if got := p.ClientAddr(r).String(); got != "192.0.2.9" {
			t.Errorf("an unlisted peer chose %s", got)
		}
		r.RemoteAddr = "10.0.0.1:1"
		if got := p.ClientAddr(r); !got.IsValid() || got.Is4In6() || got.Zone() != "" {
			t.Errorf("got %v", got)
		}
		r.Header[name] = []string{claim, added}
		if got := p.ClientAddr(r).String(); got != "198.51.100.1" {
			t.Errorf("the person chose %s", got)
		}
	})
}

// recorder is a Service that remembers what it was asked.
type recorder struct {
	otphttp.Service
	sent otp.Request
	ref  otp.Ref
}

func (s *recorder) Send(_ context.Context, q otp.Request) (*otp.Challenge, error) {
	s.sent = q
	return &otp.Challenge{ID: "c", To: q.To, Next: otp.NextWait, Expires: time.Now()}, nil
}

func (*recorder) Verify(context.Context, otp.Verification) (*otp.Challenge, error) {
	return nil, &otp.Error{Reason: otp.ReasonWrong}
}

func (*recorder) Resend(context.Context, otp.ResendRequest) (*otp.Challenge, error) {
	return nil, &otp.Error{Reason: otp.ReasonTooSoon, RetryAfter: time.Nanosecond}
}

func (s *recorder) Status(_ context.Context, q otp.Ref) (*otp.Challenge, error) {
	s.ref = q
	return nil, &otp.Error{Reason: otp.ReasonNotFound}
}

func (s *recorder) key(t testing.TB, caller string, values ...string) (key string, status int) {
	t.Helper()
	h, err := otphttp.New(otphttp.Config{Service: s, Authenticate: func(*http.Request) (otphttp.Caller, error) {
		return otphttp.Caller{ID: caller}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, "/verifications", strings.NewReader(`{"subject":"a"}`))
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	r.Header["Idempotency-Key"] = values
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return s.sent.IdempotencyKey, w.Code
}

func TestIdempotencyKeyForms(t *testing.T) {
	t.Parallel()
	s := &recorder{}
	want, _ := s.key(t, "shop", `a"b\c`)
	if got, status := s.key(t, "shop", `"a\"b\\c"`); got != want || status != 201 || len(got) != 64 {
		t.Errorf("got %q %d, want %q", got, status, want)
	}
	if got, _ := s.key(t, "sho", `pa"b\c`); got == want {
		t.Error("another caller's key is the same")
	}
	if got, _ := s.key(t, "shop"); got != "" {
		t.Errorf("without a key: %q", got)
	}
	for _, bad := range []string{``, `""`, `"a`, `"a"b`, `"a\n"`, `"\`, "a\x00", "ä", strings.Repeat("x", 256)} {
		if _, status := s.key(t, "shop", bad); status != 400 {
			t.Errorf("%q: got %d", bad, status)
		}
	}
	if _, status := s.key(t, "shop", "a", "b"); status != 400 {
		t.Errorf("two keys: got %d", status)
	}
}

// Two keys are one for the Service only if they say the same.
func FuzzIdempotencyKey(f *testing.F) {
	for _, s := range []string{"a", `"a"`, `"a\"b"`, `"`, `""`, " a ", "\x00", `"a" `} {
		f.Add(s, "a")
		f.Add("a", s)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		s := &recorder{}
		first, status := s.key(t, "shop", a)
		second, other := s.key(t, "shop", b)
		if status == 201 && other == 201 && (first == second) != (meaning(a) == meaning(b)) {
			t.Errorf("%q and %q: %v", a, b, first == second)
		}
	})
}

// meaning is what a key says, by another way of reading.
func meaning(key string) string {
	key = strings.Trim(key, " \t")
	if !strings.HasPrefix(key, `"`) {
		return key
	}
	return strings.NewReplacer(`\\`, `\`, `\"`, `"`).Replace(key[1 : len(key)-1])
}

// Whatever a body holds, the answer is JSON of a known status, and a request that
// reaches the Service is what the body said.
func FuzzBodies(f *testing.F) {
	for _, s := range []string{"", "{}", annsLogin, checkBody("1"), `{"to":null}`, `[`,
		`{"to":{"push":"x","chat":"y"}}`,
		`{"to":[]}`, `{"subject":"\ud800"}`, `{"signals":{"a":"b"},"decoy":true}`, `{"subject":"a","SUBJECT":"b"}`,
		"{}\xff", `{"binding":"YQ=="}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		s := &recorder{}
		h, err := otphttp.New(otphttp.Config{Service: s, Authenticate: byToken})
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"/verifications", "/verifications/c/resend", "/verifications/c/check"} {
			for _, token := range []string{"shop", "ann"} {
				r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
				r.Header.Set("Content-Type", "application/json")
				r.Header.Set("Authorization", "Bearer "+token)
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				if !json.Valid(w.Body.Bytes()) || w.Code >= 500 {
					t.Errorf("%s: got %d %s", path, w.Code, w.Body)
				}
				if w.Code == 201 && (!json.Valid([]byte(body)) || !utf8.ValidString(s.sent.Subject)) {
					t.Errorf("%q reached the Service", body)
				}
				q := s.sent
				if token == "ann" && w.Code == 201 && (q.Subject != "ann" || q.Proven || q.Known || q.Reference != "") {
					t.Errorf("a person said %#v", q)
				}
			}
		}
	})
}

// A subject that is percent-encoded comes to the Service as it was.
func FuzzSubjectHeader(f *testing.F) {
	for _, s := range []string{"ann", "J%C3%B6rg", "%", "%zz", "a+b@example.com", "\xff", "%ff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		s := &recorder{}
		h, err := otphttp.New(otphttp.Config{Service: s, Authenticate: byToken})
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodGet, "/verifications/c", nil)
		r.Header.Set("Authorization", "Bearer shop")
		r.Header["Otp-Subject"] = []string{value}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != 400 && w.Code != 404 {
			t.Errorf("got %d", w.Code)
		}
		if w.Code == 404 && (!utf8.ValidString(s.ref.Subject) || len(s.ref.Subject) > len(value)) {
			t.Errorf("%q became %q", value, s.ref.Subject)
		}
	})
}

// No form of printing shows who the person is.
func TestNothingIsShown(t *testing.T) {
	t.Parallel()
	c := otphttp.Caller{ID: "key-1", Subject: "ann@example.com", To: channel.Recipient{Phone: phone}}
	body, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{fmt.Sprint(c), fmt.Sprintf("%#v %+v", c, &c), string(body), c.LogValue().String()} {
		if !strings.Contains(s, "key-1") || strings.Contains(s, "ann") || strings.Contains(s, "4479") {
			t.Errorf("got %s", s)
		}
	}
}
