package provider

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// verifierOf makes a verifier of a profile's words; its secret has a value.
func verifierOf(t testing.TB, verify, secret string) (verifier, error) {
	t.Helper()
	p, err := ParseProfile([]byte(`{"name": "v", "values": {"secret": "", "url": ""},
		"send": {"url": "https://h/", "json": "{{secret}}{{url}}"}, "states": {"S": "sent"},
		"webhook": {"id": "id", "status": "s", "verify": ` + verify + `}}`))
	if err != nil {
		t.Fatal(err)
	}
	values := values{"secret": secret, "url": "https://otp.example.com/hook?route=a#rc=2"}
	return p.spec.Webhook.Verify.with(values.lookup)
}

func mac(key, content string) []byte {
	h := hmac.New(sha256.New, []byte(key))
	h.Write([]byte(content))
	return h.Sum(nil)
}

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

const signedBody = `{"id":"m-1","s":"S","signature":{"t":"1771355400","n":"nonce"}}`

// A signedRow is a request that a provider signs, at 1771355400.
type signedRow struct {
	verify, secret, body string
	header               map[string]string
}

// signedByKey are requests whose signatures are verified with a public key.
func signedByKey(t *testing.T) map[string]signedRow {
	t.Helper()
	const body = signedBody
	edPublic, edPrivate, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	ecPrivate, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ecPublic, err := x509.MarshalPKIXPublicKey(ecPrivate.Public())
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte("1771355400" + body))
	ecSignature, err := ecdsa.SignASN1(rand.Reader, ecPrivate, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return map[string]signedRow{
		"ed25519, as Telnyx": {
			`{"ed25519": {"secrets": ["{{secret}}"], "header": "X-Sig", "encoding": "base64", "timestamp": "X-Time",
				"content": "{{header.X-Time}}|{{body}}"}}`, b64(edPublic), body,
			map[string]string{
				"X-Sig": b64(ed25519.Sign(edPrivate, []byte("1771355400|"+body))), "X-Time": "1771355400",
			},
		},
		"ecdsa, as SendGrid": {
			`{"ecdsa": {"secrets": ["{{secret}}"], "header": "X-Sig", "encoding": "base64",
				"content": "{{header.X-Time}}{{body}}"}}`, b64(ecPublic), body,
			map[string]string{"X-Sig": b64(ecSignature), "X-Time": "1771355400"},
		},
	}
}

// signedByMAC are requests with an HMAC.
func signedByMAC() map[string]signedRow {
	const body = signedBody
	bodySum := sha256.Sum256([]byte(body))
	tokenSum := sha256.Sum256([]byte("token"))
	memberBody := strings.TrimSuffix(body, "}}") +
		`,"sig":"` + hex.EncodeToString(mac("key", "1771355400nonce")) + `"}}`
	const svixKey = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	rawSvix, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(svixKey, "whsec_"))
	return map[string]signedRow{
		"a list, as Svix": {
			`{"hmac": {"secrets": ["{{secret}}"], "key": "base64", "header": "X-Sig", "encoding": "base64",
				"prefix": "v1,",
				"list": " ", "timestamp": "X-Time", "content": "{{header.X-Id}}.{{header.X-Time}}.{{body}}"}}`,
			svixKey, body,
			map[string]string{
				"X-Sig":  "v2,xx v1,AAAA v1," + b64(mac(string(rawSvix), "msg_1.1771355400."+body)),
				"X-Time": "1771355400",
				"X-Id":   "msg_1",
			},
		},
		"a derived key, as Telegram": {
			`{"hmac": {"secrets": ["{{secret}}"], "key": "sha256", "header": "X-Sig", "timestamp": "X-Time",
				"content": "{{header.X-Time}}\n{{body}}"}}`, "token", body,
			map[string]string{
				"X-Sig": hex.EncodeToString(mac(string(tokenSum[:]), "1771355400\n"+body)), "X-Time": "1771355400",
			},
		},
		"inside the body, as Mailgun": {
			`{"hmac": {"secrets": ["{{secret}}"], "member": "signature.sig",
				"content": "{{member.signature.t}}{{member.signature.n}}"}}`, "key", memberBody, nil,
		},
		"URL and nonce, as Plivo": {
			`{"hmac": {"secrets": ["{{secret}}"], "header": "X-Sig", "encoding": "base64", "list": ",",
				"url": "{{url}}",
				"content": "{{url_without_query}}{{header.X-Nonce}}"}}`, "key", body,
			map[string]string{
				"X-Sig": "AAAA," + b64(mac("key", "https://otp.example.com/hook12345")), "X-Nonce": "12345",
			},
		},
		"URL and digest, as Bird": {
			`{"hmac": {"secrets": ["{{secret}}"], "header": "X-Sig", "encoding": "base64", "url": "{{url}}",
				"timestamp": "X-Time", "within": 60, "content": "{{header.X-Time}}\n{{url}}\n{{body_sha256}}"}}`,
			"key", body,
			map[string]string{
				"X-Sig":  b64(mac("key", "1771355400\nhttps://otp.example.com/hook?route=a\n"+string(bodySum[:]))),
				"X-Time": "1771355400",
			},
		},
	}
}

// A signed request is right, and every change to it is noticed.
func TestVerifySignatures(t *testing.T) {
	t.Parallel()
	all := signedByMAC()
	maps.Copy(all, signedByKey(t))
	for name, row := range all {
		v, err := verifierOf(t, row.verify, row.secret)
		if err != nil || v == nil {
			t.Errorf("%s: %v, %v", name, v, err)
			continue
		}
		verify := func(change func(*http.Request), body string, now int64) bool {
			r := httptest.NewRequest(http.MethodPost, "/behind/a/proxy?route=a", nil)
			for name, value := range row.header {
				r.Header.Set(name, value)
			}
			change(r)
			return v.verify(r, []byte(body), time.Unix(now, 0))
		}
		same := func(*http.Request) {}
		if !verify(same, row.body, 1771355400+60) {
			t.Errorf("%s: refused", name)
		}
		signsBody := !strings.Contains(name, "Mailgun") && !strings.Contains(name, "Plivo")
		if signsBody && verify(same, row.body+" ", 1771355400) {
			t.Errorf("%s: another body passes", name)
		}
		if strings.Contains(row.verify, `"timestamp"`) && (verify(same, row.body, 1771355400+301) ||
			verify(same, row.body, 1771355400-301)) {
			t.Errorf("%s: another time passes", name)
		}
		for header := range row.header {
			if verify(func(r *http.Request) { r.Header.Del(header) }, row.body, 1771355400) ||
				verify(func(r *http.Request) { r.Header.Set(header, "1") }, row.body, 1771355400) {
				t.Errorf("%s: passes without %s", name, header)
			}
		}
		other, err := verifierOf(t, row.verify, "")
		if other != nil || err != nil {
			t.Errorf("%s: without a secret: %v, %v", name, other, err)
		}
	}
}

// A key that is none of the algorithm is an error of the configuration.
func TestVerifyKeys(t *testing.T) {
	t.Parallel()
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, err := x509.MarshalPKIXPublicKey(p384.Public())
	if err != nil {
		t.Fatal(err)
	}
	for _, verify := range []string{
		`{"ed25519": {"secrets": ["{{secret}}"], "header": "X-Sig"}}`,
		`{"ecdsa": {"secrets": ["{{secret}}"], "header": "X-Sig"}}`,
		`{"sns": {"secrets": ["{{secret}}"], "topic": "t"}}`,
		`{"hmac": {"secrets": ["{{secret}}"], "header": "X-Sig", "key": "base64"}}`,
	} {
		for _, key := range []string{"!", "whsec_!", b64(other)} {
			if strings.Contains(verify, "hmac") && key == b64(other) {
				continue
			}
			if v, err := verifierOf(t, verify, key); err == nil || strings.Contains(err.Error(), "whsec") {
				t.Errorf("%s with %.10s: %v, %v", verify, key, v, err)
			}
		}
	}
}

// MessageBird signs the URL and the body, Vonage the body without an expiry.
func TestVerifyJWTHashes(t *testing.T) {
	t.Parallel()
	now := time.Unix(1771355400, 0)
	const body = `{"a":1}`
	hash := func(s string) string {
		sum := sha256.Sum256([]byte(s))
		return hex.EncodeToString(sum[:])
	}
	signs := func(body, url string) string {
		claims := `"iss":"MessageBird","url_hash":"` + hash(url) + `"`
		if body != "" {
			claims += `,"payload_hash":"` + hash(body) + `"`
		}
		return claims
	}
	const called = "https://otp.example.com/hook?id=7&s=S"
	bird := `{"jwt": {"secrets": ["{{secret}}"], "header": "X-Jwt", "issuer": "MessageBird",
		"body_hash": "payload_hash",
		"url": "{{url}}", "url_hash": "url_hash"}}`
	vonage := `{"jwt": {"secrets": ["{{secret}}"], "body_hash": "payload_hash"}}`
	for name, row := range map[string]struct {
		verify, claims, body string
		want                 bool
	}{
		"both": {
			bird, signs(body, called), body, true,
		},
		"no body": {bird, signs("", called), "", true},
		"no body, but a hash": {
			bird, signs(body, called), "", false,
		},
		"a body that is not signed": {bird, signs("", called), body, false},
		"another URL": {
			bird, signs(body, called+"1"), body, false,
		},
		"another issuer": {
			bird, `"iss":"Bird","payload_hash":"` + hash(body) + `","url_hash":"` + hash(called) + `"`, body, false,
		},
		"no expiry":    {vonage, `"payload_hash":"` + hash(body) + `"`, body, true},
		"upper case":   {vonage, `"payload_hash":"` + strings.ToUpper(hash(body)) + `"`, body, true},
		"expired":      {vonage, `"exp":1771355000,"payload_hash":"` + hash(body) + `"`, body, false},
		"another body": {vonage, `"payload_hash":"` + hash(body) + `"`, body + " ", false},
		"no hash":      {vonage, `"iat":1`, body, false},
		"no text":      {vonage, `"payload_hash":7`, body, false},
	} {
		v, err := verifierOf(t, row.verify, "key")
		if err != nil {
			t.Fatal(err)
		}
		signed := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256"}`)) + "." +
			base64.RawURLEncoding.EncodeToString([]byte("{"+row.claims+"}"))
		token := signed + "." + base64.RawURLEncoding.EncodeToString(mac("key", signed))
		r := httptest.NewRequest(http.MethodPost, "/x?id=7&s=S", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("X-Jwt", token)
		if got := v.verify(r, []byte(row.body), now); got != row.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// The port and the fragment of the URL are as Twilio's libraries have them.
func TestVerifyTwilioURLs(t *testing.T) {
	t.Parallel()
	for configured, signed := range map[string]map[string]bool{
		"https://otp.example.com/h?a=1#rc=2": {
			"https://otp.example.com/h?a=1": true, "https://otp.example.com:443/h?a=1": true,
			"https://otp.example.com:80/h?a=1": false, "https://otp.example.com/h?a=1#rc=2": false,
		},
		"https://otp.example.com:8443/h": {
			"https://otp.example.com:8443/h": true, "https://otp.example.com/h": true,
			"https://otp.example.com:443/h": false,
		},
	} {
		v := twilioVerifier{keys: []string{"key"}, urls: portVariants(configured)}
		for u, want := range signed {
			h := hmac.New(sha1.New, []byte("key"))
			h.Write([]byte(u + "A1A2B0"))
			r := httptest.NewRequest(http.MethodPost, "/", nil)
			r.Header.Set("X-Twilio-Signature", b64(h.Sum(nil)))
			if got := v.verify(r, []byte("B=0&A=2&A=1&A=2"), time.Now()); got != want {
				t.Errorf("%s for %s: %v", u, configured, got)
			}
		}
	}
}

// FuzzVerify looks for a webhook that passes although nobody has signed it.
func FuzzVerify(f *testing.F) {
	public, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		f.Fatal(err)
	}
	var verifiers []verifier
	for verify, secret := range map[string]string{
		`{"hmac": {"secrets": ["{{secret}}"], "header": "X-Sig", "prefix": "v1,", "list": " "}}`: "key",
		`{"hmac": {"secrets": ["{{secret}}"], "member": "a.b", "content": "{{member.c}}"}}`:      "key",
		`{"ed25519": {"secrets": ["{{secret}}"], "header": "X-Sig", "encoding": "base64"}}`:      b64(public),
		`{"jwt": {"secrets": ["{{secret}}"], "header": "X-Sig", "body_hash": "h"}}`:              "key",
		`{"twilio": {"secrets": ["{{secret}}"], "url": "{{url}}"}}`:                              "key",
	} {
		v, err := verifierOf(f, verify, secret)
		if err != nil {
			f.Fatal(err)
		}
		verifiers = append(verifiers, v)
	}
	f.Add("v1,00 v1,", `{"a":{"b":"00"},"c":""}`)
	f.Add("e30.e30.", "a=b&c")
	f.Add(b64(make([]byte, 64)), "")
	f.Fuzz(func(t *testing.T, signature, body string) {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.Header.Set("X-Sig", signature)
		r.Header.Set("X-Twilio-Signature", signature)
		for _, v := range verifiers {
			if v.verify(r, []byte(body), time.Now()) {
				t.Errorf("%q with %q passes %T", body, signature, v)
			}
		}
	})
}
