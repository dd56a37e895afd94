package provider

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// parsedVerifier makes a verifier of a profile's words, with secrets "old" and
// "new".
func parsedVerifier(t *testing.T, verify string) verifier {
	t.Helper()
	p, err := ParseProfile([]byte(`{"name": "v", "values": {"secret": "", "next": "", "none": "", "url": ""},
		"send": {"url": "https://h/", "json": "{{secret}}{{next}}{{none}}{{url}}"}, "states": {"S": "sent"},
		"webhook": {"id": "id", "status": "s", "verify": ` + verify + `}}`))
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{
		"secret": "testkey8", "next": "new", "url": "https://mycompany.com/myapp.php?foo=1&bar=2",
	}
	v, err := p.spec.Webhook.Verify.with(func(name string) (string, error) { return values[name], nil })
	if err != nil || v == nil {
		t.Fatal(v, err)
	}
	return v
}

const both = `"secrets": ["{{secret}}", "{{next}}"]`

// The vector of sms-gate.app's webhooks: time and body are signed.
func TestVerifyHMAC(t *testing.T) {
	t.Parallel()
	v := parsedVerifier(t, `{"hmac": {"header": "X-Signature", "timestamp": "X-Timestamp",
		"secrets": ["{{secret}}", "{{next}}", "{{none}}"]}}`)
	body := []byte(`{"deviceId":"D1","event":"sms:delivered","id":"E1","payload":{` +
		`"deliveredAt":"2026-02-18T02:10:00.000+07:00","messageId":"otp-0001","phoneNumber":"+19162255887",` +
		`"recipient":"+19162255887","simNumber":2},"webhookId":"W1"}`)
	const signature, timestamp = "c4a8fea54c7e1bfedfc8b4e4263add65a10a079d8e03be379e610278e7a53962", "1771355400"
	at := time.Unix(1771355400, 0)
	for name, row := range map[string]struct {
		signature, timestamp string
		body                 []byte
		now                  time.Time
		want                 bool
	}{
		"right":          {signature, timestamp, body, at, true},
		"in time":        {signature, timestamp, body, at.Add(5 * time.Minute), true},
		"late":           {signature, timestamp, body, at.Add(5*time.Minute + time.Second), false},
		"early":          {signature, timestamp, body, at.Add(-5*time.Minute - time.Second), false},
		"other time":     {signature, "1771355401", body, at, false},
		"no time":        {signature, "", body, at, false},
		"time moved":     {signature, "0", append(body[:len(body):len(body)], "177135540"...), at, false},
		"huge time":      {signature, "9223372036854775807", body, at, false},
		"other body":     {signature, timestamp, body[1:], at, false},
		"no signature":   {"", timestamp, body, at, false},
		"half signature": {signature[:32], timestamp, body, at, false},
		"empty key":      {signedByNobody(body, timestamp), timestamp, body, at, false},
		"not hex":        {"zz" + signature[2:], timestamp, body, at, false},
	} {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.Header.Set("X-Signature", row.signature)
		r.Header.Set("X-Timestamp", row.timestamp)
		if got := v.verify(r, row.body, row.now); got != row.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// A secret that is more than a value is none while the value is empty: what
// is left of it stands in the profile, for everyone to read.
func TestVerifySecretUnset(t *testing.T) {
	t.Parallel()
	get := func(name string) (string, error) { return map[string]string{"secret": "s3"}[name], nil }
	for text, want := range map[string]string{
		"key-{{secret}}":           "key-s3",
		"key-{{none}}":             "",
		"{{secret}}:{{none}}":      "",
		"key-{{none|secret}}":      "key-s3",
		"{{none}}{{none}}":         "",
		"{{secret}}:{{secret}}/v1": "s3:s3/v1",
	} {
		s := secretSpecs{Secrets: []string{text}}
		if err := s.compile("verify", func(string) bool { return true }); err != nil {
			t.Fatal(err)
		}
		got, err := s.resolve(get)
		if err != nil || strings.Join(got, ",") != want {
			t.Errorf("%s: %q, %v, want %q", text, got, err, want)
		}
	}
}

// signedByNobody signs with an empty key, as anyone can.
func signedByNobody(body []byte, timestamp string) string {
	h := hmac.New(sha256.New, nil)
	h.Write(body)
	h.Write([]byte(timestamp))
	return hex.EncodeToString(h.Sum(nil))
}

// The vector of Twilio's documentation and libraries.
func TestVerifyTwilio(t *testing.T) {
	t.Parallel()
	const configured = "https://mycompany.com/myapp.php?foo=1&bar=2"
	v := twilioVerifier{keys: []string{"other", "12345"}, urls: portVariants(configured)}
	form := url.Values{
		"CallSid": {"CA1234567890ABCDE"}, "From": {"+12349013030"}, "To": {"+18005551212"}, "Caller": {"+12349013030"},
		"Digits": {"1234"},
	}
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	r.Header.Set("X-Twilio-Signature", "0/KCTR6DLpKmkAf8muzZqo1nDgQ=")
	if !v.verify(r, []byte(form.Encode()), time.Now()) {
		t.Error("the vector is refused")
	}
	form.Set("Digits", "1235")
	if v.verify(r, []byte(form.Encode()), time.Now()) {
		t.Error("another form passes")
	}
	v.urls = portVariants(configured + "&baz=3")
	form.Set("Digits", "1234")
	if v.verify(r, []byte(form.Encode()), time.Now()) {
		t.Error("another URL passes")
	}
}

func sign256(secret, data string) string {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte(data))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

func TestVerifyJWT(t *testing.T) {
	t.Parallel()
	v := parsedVerifier(t, `{"jwt": {"audience": "{{url}}", `+both+`}}`)
	now := time.Unix(1771355400, 0)
	const aud = "https://mycompany.com/myapp.php?foo=1&bar=2"
	claims := func(aud string, exp, nbf time.Duration) string {
		return fmt.Sprintf(`{"aud":%s,"exp":%d,"nbf":%d}`, aud, now.Add(exp).Unix(), now.Add(nbf).Unix())
	}
	good := claims(`["`+aud+`"]`, time.Minute, -time.Minute)
	const hs256 = `{"alg":"HS256","typ":"JWT"}`
	for name, row := range map[string]struct {
		header, claims, secret string
		want                   bool
	}{
		"right":             {hs256, good, "testkey8", true},
		"next key":          {hs256, good, "new", true},
		"audience alone":    {hs256, claims(`"`+aud+`"`, time.Minute, 0), "testkey8", true},
		"several audiences": {hs256, claims(`["x","`+aud+`"]`, time.Minute, 0), "testkey8", true},
		"no nbf":            {hs256, fmt.Sprintf(`{"aud":%q,"exp":%d}`, aud, now.Unix()), "testkey8", true},
		"wrong key":         {hs256, good, "testkey9", false},
		"no key":            {hs256, good, "", false},
		"alg none":          {`{"alg":"none"}`, good, "testkey8", false},
		"alg HS512":         {`{"alg":"HS512"}`, good, "testkey8", false},
		"alg missing":       {`{}`, good, "testkey8", false},
		"critical":          {`{"alg":"HS256","crit":["b64"]}`, good, "testkey8", false},
		"other audience":    {hs256, claims(`"https://evil.example/"`, time.Minute, 0), "testkey8", false},
		"no audience":       {hs256, fmt.Sprintf(`{"exp":%d}`, now.Add(time.Minute).Unix()), "testkey8", false},
		"expired":           {hs256, claims(`"`+aud+`"`, -jwtLeeway-time.Second, -time.Hour), "testkey8", false},
		"expired by a hair": {hs256, claims(`"`+aud+`"`, -jwtLeeway, -time.Hour), "testkey8", true},
		"no expiry":         {hs256, fmt.Sprintf(`{"aud":%q}`, aud), "testkey8", false},
		"expiry in heaven":  {hs256, fmt.Sprintf(`{"aud":%q,"exp":1e300}`, aud), "testkey8", true},
		"expiry in hell":    {hs256, fmt.Sprintf(`{"aud":%q,"exp":-1e300}`, aud), "testkey8", false},
		"not yet":           {hs256, claims(`"`+aud+`"`, time.Hour, jwtLeeway+time.Second), "testkey8", false},
		"no claims":         {hs256, `[]`, "testkey8", false},
	} {
		signed := base64.RawURLEncoding.EncodeToString([]byte(row.header)) + "." +
			base64.RawURLEncoding.EncodeToString([]byte(row.claims))
		token := signed + "." + sign256(row.secret, signed)
		for _, scheme := range []string{"Bearer ", "bearer ", ""} {
			r := httptest.NewRequest(http.MethodPost, "/", nil)
			r.Header.Set("Authorization", scheme+token)
			if got, want := v.verify(r, nil, now), row.want && scheme != ""; got != want {
				t.Errorf("%s, scheme %q: %v", name, scheme, got)
			}
		}
	}
	for _, token := range []string{"", ".", "..", "a.b", "a.b.c.d", "e30.e30."} {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		if v.verify(r, nil, now) {
			t.Errorf("%q passes", token)
		}
	}
}

func TestVerifyToken(t *testing.T) {
	t.Parallel()
	for _, verify := range []string{
		`{"token": {"query": "token", ` + both + `}}`, `{"token": {"header": "X-Token", ` + both + `}}`,
	} {
		v := parsedVerifier(t, verify)
		for token, want := range map[string]bool{
			"testkey8": true, "new": true, "": false, "testkey": false, "testkey88": false,
		} {
			r := httptest.NewRequest(http.MethodPost, "/?token="+token, nil)
			r.Header.Set("X-Token", token)
			if got := v.verify(r, nil, time.Now()); got != want {
				t.Errorf("%s with %q: %v", verify, token, got)
			}
		}
	}
}

// Whoever writes so in a profile gets what it says.
func TestVerifyNone(t *testing.T) {
	t.Parallel()
	p, err := ParseProfile([]byte(`{"name": "v", "send": {"url": "https://h/"}, "states": {"S": "sent"},
		"webhook": {"id": "id", "status": "s", "verify": {"dangerously_none": true}}}`))
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(Config{Profile: p})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if c.verifier == nil || !c.verifier.verify(nil, nil, time.Time{}) {
		t.Error("a webhook is refused")
	}
}
