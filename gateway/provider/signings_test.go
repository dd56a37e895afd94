package provider_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/provider"
)

// Each signing that a profile can name signs the request that is sent, body and host
// included. Package sign is held against the providers' examples.
func TestSignings(t *testing.T) {
	t.Parallel()
	const key = `, "key_id": "AKID", "secret": "{{secret}}"`
	for settings, want := range map[string]string{
		`"name": "sigv4", "region": "eu-west-1", "service": "sns"` + key: "AWS4-HMAC-SHA256 " +
			"Credential=AKID/20000101/eu-west-1/sns/aws4_request, " +
			"SignedHeaders=content-type;host;x-amz-date;x-tc-action, Signature=",
		`"name": "alibaba"` + key: "ACS3-HMAC-SHA256 Credential=AKID," +
			"SignedHeaders=content-type;host;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce,Signature=",
		`"name": "tc3", "service": "sms"` + key: "TC3-HMAC-SHA256 " +
			"Credential=AKID/2000-01-01/sms/tc3_request, SignedHeaders=content-type;host;x-tc-action, Signature=",
		`"name": "sorted", "parameter": "sig", "algorithm": "sha256", "after": "{{secret}}"`: "",
	} {
		signatures := map[string]bool{}
		for _, secret := range []string{"s3cr3t-1", "s3cr3t-2"} {
			var authorization, sig string
			synctest.Test(t, func(t *testing.T) { authorization, sig = signedRequest(t, settings, secret) })
			if !strings.HasPrefix(authorization, want) || strings.Contains(authorization+sig, "s3cr3t") {
				t.Errorf("%s: Authorization %q", settings, authorization)
			}
			signatures[authorization+sig] = true
		}
		if len(signatures) != 2 {
			t.Errorf("%s: the secret makes no difference", settings)
		}
	}
}

// signedRequest sends a message by a profile with a signing, and returns the header
// Authorization and the parameter sig of its request.
func signedRequest(t *testing.T, settings, secret string) (authorization, sig string) {
	t.Helper()
	profile := parse(t, `{"name": "signed", "values": {"secret": null}, "signing": {`+settings+`},
		"headers": {"X-Tc-Action": "SendSms"},
		"send": {"url": "https://provider.example/", "form": {"to": "{{to}}", "text": "{{text}}"}}}`)
	c := newChannel(t, provider.Config{
		Profile: profile, Values: map[string]string{"secret": secret},
		Client: &http.Client{Transport: inMemory{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			if r.ContentLength != int64(len(body)) || r.Host != "provider.example" {
				t.Errorf("a body of %d octets has length %d; host %q", len(body), r.ContentLength, r.Host)
			}
			authorization = r.Header.Get("Authorization")
			for pair := range strings.SplitSeq(string(body), "&") {
				if value, ok := strings.CutPrefix(pair, "sig="); ok {
					sig = value
				}
			}
		})}},
	})
	m := &channel.Message{
		ID: "a.1", To: channel.Recipient{Phone: "+447700900123"}, Text: "582037", Expires: time.Now().Add(time.Minute),
	}
	if _, err := c.Send(t.Context(), m); err != nil {
		t.Errorf("%s: %v", settings, err)
	}
	return authorization, sig
}

// New refuses settings under which no request can be signed, and shows none of them.
func TestSigningsRefuse(t *testing.T) {
	t.Parallel()
	const tc3, sorted = `"name": "tc3", "key_id": "AKID", `, `"name": "sorted", "parameter": "sig", `
	for settings, want := range map[string]string{
		tc3 + `"secret": "{{secret}}", "service": "{{empty}}"`:  "the service is empty",
		sorted + `"algorithm": "{{secret}}"`:                    "the algorithm is not one of",
		sorted + `"algorithm": "hmac-md5"`:                      "the key is empty",
		sorted + `"algorithm": "md5", "encoding": "{{secret}}"`: "the encoding is not one of",
	} {
		profile := parse(t, `{"name": "signed", "values": {"secret": null, "empty": ""}, "signing": {`+settings+`},
			"headers": {"X-Used": "{{secret}}{{empty}}"},
			"send": {"url": "https://provider.example/", "form": {"to": "{{to}}"}}}`)
		_, err := provider.New(provider.Config{Profile: profile, Values: map[string]string{"secret": "s3cr3t-1"}})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s: %v, want %q", settings, err, want)
		}
	}
}
