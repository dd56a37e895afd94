package provider_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A posting is what a provider posts.
type posting struct {
	body  string // %s or %q: the status
	query string // instead of a body, of a GET
	sign  func(r *http.Request, body, secret string)
	tells []told // in order
	other string // a report about something else, body or query
	reply string // what the provider wants to hear
}

// news is the first report that tells something.
func (h posting) news() told {
	for _, row := range h.tells {
		if row.receipt != "" {
			return row
		}
	}
	return told{}
}

// request makes a webhook signed with a secret, or unsigned without one.
func (h posting) request(content, secret string) *http.Request {
	if h.query != "" {
		r := httptest.NewRequest(http.MethodGet, "/hooks?"+content, nil)
		if secret != "" {
			h.sign(r, "", secret)
		}
		return r
	}
	r := httptest.NewRequest(http.MethodPost, "/hooks", strings.NewReader(content))
	if secret != "" {
		h.sign(r, content, secret)
	}
	return r
}

// report makes what is posted about a status.
func (h posting) report(status string) string {
	return fmt.Sprintf(h.body+h.query, status)
}

func mac256(secret, data string) []byte {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte(data))
	return h.Sum(nil)
}

func signHMAC(header, prefix string) func(*http.Request, string, string) {
	return func(r *http.Request, body, secret string) {
		r.Header.Set(header, prefix+hex.EncodeToString(mac256(secret, body)))
	}
}

func signHMACTime(r *http.Request, body, secret string) {
	now := strconv.FormatInt(time.Now().Unix(), 10)
	r.Header.Set("X-Timestamp", now)
	r.Header.Set("X-Signature", hex.EncodeToString(mac256(secret, body+now)))
}

func signToken(r *http.Request, _, secret string) {
	query := r.URL.Query()
	query.Set("token", secret)
	r.URL.RawQuery = query.Encode()
}

func signTwilio(r *http.Request, body, secret string) {
	form, _ := url.ParseQuery(body)
	signed := reportURL
	for _, name := range slices.Sorted(maps.Keys(form)) {
		signed += name + form.Get(name)
	}
	h := hmac.New(sha1.New, []byte(secret))
	h.Write([]byte(signed))
	r.Header.Set("X-Twilio-Signature", base64.StdEncoding.EncodeToString(h.Sum(nil)))
}

// jwtNow are claims that are valid now, as httpSMS has them.
func jwtNow() string {
	now := time.Now()
	return fmt.Sprintf(`{"iss":"api.httpsms.com","sub":"user","aud":[%q],"exp":%d,"nbf":%d,"iat":%d}`,
		reportURL, now.Add(10*time.Minute).Unix(), now.Add(-10*time.Minute).Unix(), now.Unix())
}

func makeJWT(header, claims, secret string) string {
	signed := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." +
		base64.RawURLEncoding.EncodeToString([]byte(claims))
	return signed + "." + base64.RawURLEncoding.EncodeToString(mac256(secret, signed))
}

func signJWT(claims func() string) func(*http.Request, string, string) {
	return func(r *http.Request, _, secret string) {
		r.Header.Set("Authorization", "Bearer "+makeJWT(`{"alg":"HS256","typ":"JWT"}`, claims(), secret))
	}
}
