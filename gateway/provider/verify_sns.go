package provider

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // what SignatureVersion 1 signs with
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/gateway/internal/web"
)

const opConfirm = "provider: confirm"

// snsSpec is the signature of Amazon SNS ("Verifying the signatures of Amazon SNS
// messages"): RSA of some members of the body, one a line after its name. The
// certificate is configured, not fetched from where the message says. Because
// every topic's messages are signed with the same key, the topic counts, too.
type snsSpec struct {
	secretSpecs
	Topic string `json:"topic"`

	topic template
}

func (s *snsSpec) compile(where string, known scope) (err error) {
	if s.Topic == "" {
		return at(where+".topic", errMissing)
	}
	if s.topic, err = parseTemplate(s.Topic, known); err != nil {
		return at(where+".topic", err)
	}
	return s.secretSpecs.compile(where, known)
}

func (s *snsSpec) with(get lookup) (verifier, error) {
	certificates, err := s.resolve(get)
	if len(certificates) == 0 {
		return nil, err
	}
	topic, err := s.topic.render(get)
	if errors.Is(err, errOmit) {
		return nil, nil //nolint:nilnil // anybody's topic would do
	}
	v := snsVerifier{topic: topic}
	for _, text := range certificates {
		key, err := rsaKey(text)
		if err != nil {
			return nil, err
		}
		v.keys = append(v.keys, key)
	}
	return v, err
}

// rsaKey reads the public key of a certificate, or a public key, in PEM or base64.
func rsaKey(text string) (*rsa.PublicKey, error) {
	b, err := keyBytes(text)
	if err != nil {
		return nil, errKey
	}
	var public any
	if certificate, err := x509.ParseCertificate(b); err == nil {
		public = certificate.PublicKey
	} else if public, err = x509.ParsePKIXPublicKey(b); err != nil {
		return nil, errKey
	}
	key, ok := public.(*rsa.PublicKey)
	if !ok {
		return nil, errKey
	}
	return key, nil
}

type snsVerifier struct {
	keys  []*rsa.PublicKey
	topic string
}

// snsMembers are the signed members of a body, in their order.
var snsMembers = map[string][]string{
	"Notification": {"Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"},

	"SubscriptionConfirmation": {
		"Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type",
	},
}

func (v snsVerifier) verify(_ *http.Request, body []byte, _ time.Time) bool {
	var members map[string]string
	// Other members than strings are none of SNS's.
	if json.Unmarshal(body, &members) != nil || members["TopicArn"] != v.topic {
		return false
	}
	var content strings.Builder
	for _, name := range snsMembers[members["Type"]] {
		if value, ok := members[name]; ok {
			content.WriteString(name + "\n" + value + "\n")
		}
	}
	hash, sum := crypto.SHA256, sha256.Sum256([]byte(content.String()))
	digest := sum[:]
	if members["SignatureVersion"] == "1" {
		old := sha1.Sum([]byte(content.String())) //nolint:gosec // see the import
		hash, digest = crypto.SHA1, old[:]
	}
	signature, err := base64.StdEncoding.DecodeString(members["Signature"])
	if err != nil || content.Len() == 0 {
		return false
	}
	for _, key := range v.keys {
		if rsa.VerifyPKCS1v15(key, hash, digest, signature) == nil {
			return true
		}
	}
	return false
}

// confirmation returns where a subscription is to be confirmed, if the body asks
// for that, otherwise "".
func (s *snsSpec) confirmation(body []byte) string {
	var members map[string]string
	if s == nil || json.Unmarshal(body, &members) != nil || members["Type"] != "SubscriptionConfirmation" {
		return ""
	}
	return members["SubscribeURL"]
}

var snsHost = regexp.MustCompile(`^sns\.[a-z0-9-]+\.amazonaws\.com(\.cn)?$`)

// confirmSNS confirms a subscription, whose request was verified, and returns the
// status of the answer.
func (c *Channel) confirmSNS(ctx context.Context, address string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil || req.URL.Scheme != "https" || req.URL.User != nil || !snsHost.MatchString(req.URL.Host) {
		return http.StatusBadRequest, errors.New("the subscription is not to be confirmed at Amazon's")
	}
	answer, err := c.life.Web.Do(ctx, opConfirm, req)
	if err != nil {
		return http.StatusServiceUnavailable, err
	}
	if !answer.OK() {
		return http.StatusServiceUnavailable, web.Refusal(opConfirm, answer, time.Now())
	}
	return http.StatusOK, nil
}
