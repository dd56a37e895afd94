package provider_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/provider"
)

const snsTopic = "arn:aws:sns:eu-west-1:123456789012:ses"

// ses is version 2 of Amazon SES's API, whose events come by Amazon SNS.
var ses = api{
	name: "ses", kind: channel.Email,
	values: map[string]string{
		"region": "eu-west-1", "key_id": "AKID-ses", "secret": "aws-secret-94", "from": "codes@mybank.example",
		"topic": snsTopic, "certificate": snsKeys().public,
	},
	urls:   []string{"url"},
	send:   "/v2/email/outbound-emails",
	accept: `{"MessageId":"010001-%d"}`,
	id:     "010001-1",
	refusals: map[channel.Class]answer{
		channel.Throttled:     {429, `{}`, sesError("TooManyRequestsException")},
		channel.Unreachable:   {400, `{}`, sesError("BadRequestException")},
		channel.Misconfigured: {400, `{}`, sesError("MailFromDomainNotVerifiedException")},
	},
	documented: []documented{
		{"rejected", answer{400, `{"message":"x"}`, sesError("MessageRejected")}, "misconfigured MessageRejected"},
		{"domain", answer{400, `{}`, sesError("MailFromDomainNotVerifiedException:http://x/")}, "misconfigured 400"},
		{"paused", answer{400, `{}`, sesError("SendingPausedException:http://x/")}, "misconfigured 400"},
		{"quota", answer{400, `{}`, sesError("LimitExceededException")}, "throttled LimitExceededException"},
		{"too many", answer{429, `{}`, sesError("TooManyRequestsException")}, "throttled TooManyRequestsException"},
		{
			"signature", answer{403, `{"__type":"InvalidSignatureException"}`, nil},
			"misconfigured InvalidSignatureException",
		},
		{"no id", answer{200, `{}`, nil}, "unknown 200"},
	},
	hook: posting{
		body: `{"eventType":%q,"mail":{"messageId":"010001-1","destination":["ann@example.com"]},` +
			`"bounce":{"bounceType":"Permanent"}}`,
		sign: signSNS,
		tells: []told{
			{"Send", "sent unknown Send Permanent"}, {"Bounce", "failed invalid recipient Bounce Permanent"},
			{"Delivery", "delivered unknown Delivery Permanent"},
		},
		other: `{"eventType":"Open","mail":{"messageId":"010001-9"}}`,
	},
}

func sesError(kind string) http.Header { return http.Header{"X-Amzn-Errortype": {kind}} }

// snsKeys are SNS's key, and one that is not.
var snsKeys = sync.OnceValue(func() (keys struct {
	right, wrong *rsa.PrivateKey
	public       string
}) {
	for _, key := range []**rsa.PrivateKey{&keys.right, &keys.wrong} {
		made, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		*key = made
	}
	public, err := x509.MarshalPKIXPublicKey(keys.right.Public())
	if err != nil {
		panic(err)
	}
	keys.public = base64.StdEncoding.EncodeToString(public)
	return keys
})

// signSNS puts an event into a notification, and signs that.
func signSNS(r *http.Request, body, secret string) {
	notify(r, secret, map[string]string{
		"Type": "Notification", "MessageId": "m-1", "TopicArn": snsTopic, "Message": body,
		"Timestamp": "2026-11-30T00:00:00Z",
	}, "Message", "MessageId", "Timestamp", "TopicArn", "Type")
}

func notify(r *http.Request, secret string, members map[string]string, signed ...string) {
	content := ""
	for _, name := range signed {
		content += name + "\n" + members[name] + "\n"
	}
	key := snsKeys().right
	if secret != hookSecret {
		key = snsKeys().wrong
	}
	sum := sha256.Sum256([]byte(content))
	signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:])
	if err != nil {
		panic(err)
	}
	members["SignatureVersion"], members["Signature"] = "2", base64.StdEncoding.EncodeToString(signature)
	encoded, err := json.Marshal(members)
	if err != nil {
		panic(err)
	}
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(string(encoded))), int64(len(encoded))
}

// A subscription of our topic is confirmed where Amazon says, and nowhere else.
func TestSNSConfirms(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"https://sns.eu-west-1.amazonaws.com/?Action=Confirm&Token=t1": "200 GET /?Action=Confirm&Token=t1",
		"https://sns.cn-north-1.amazonaws.com.cn/?Token=t1":            "200 GET /?Token=t1",
		"https://sns.eu-west-1.amazonaws.com.evil.example/?Token=t1":   "400 ",
		"https://evil.example/?Token=t1":                               "400 ",
		"http://sns.eu-west-1.amazonaws.com/?Token=t1":                 "400 ",
		"https://user@sns.eu-west-1.amazonaws.com/?Token=t1":           "400 ",
	} {
		s := &server{}
		c := ses.config(t, "https://email.example", &http.Client{Transport: inMemory{s}})
		c.Receipt = (&hearing{}).receipt
		ch := newChannel(t, c)
		for _, secret := range []string{"other", hookSecret} {
			r := httptest.NewRequest(http.MethodPost, "/hooks", nil)
			notify(r, secret, map[string]string{
				"Type": "SubscriptionConfirmation", "MessageId": "m-1", "TopicArn": snsTopic, "Message": "confirm",
				"Token":        "t1",
				"SubscribeURL": address, "Timestamp": "2026-11-30T00:00:00Z",
			}, "Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
			w := httptest.NewRecorder()
			ch.WebhookHandler().ServeHTTP(w, r)
			got := http.StatusText(w.Code)
			if secret != hookSecret && (w.Code != http.StatusUnauthorized || s.requests != nil) {
				t.Errorf("%s: a forged one: %s, asked %q", address, got, s.requests)
			}
			if status, asked, _ := strings.Cut(want, " "); secret == hookSecret &&
				(http.StatusText(w.Code) != map[string]string{"200": "OK", "400": "Bad Request"}[status] ||
					strings.Join(s.requests, "") != asked) {
				t.Errorf("%s: %s, asked %q, want %q", address, got, s.requests, want)
			}
		}
	}
	c := ses.config(t, "https://email.example", &http.Client{Transport: inMemory{&server{}}})
	c.Values["certificate"] = "not a certificate"
	if _, err := provider.New(c); err == nil || strings.Contains(err.Error(), "not a cert") {
		t.Errorf("a certificate that is none: %v", err)
	}
}
