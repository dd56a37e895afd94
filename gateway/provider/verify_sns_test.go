package provider

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"hash"
	"testing"
	"time"
)

// signSNS returns a body with a signature of some of its members.
func signSNS(
	t *testing.T, key *rsa.PrivateKey, version string, members map[string]string, names ...string,
) []byte {
	t.Helper()
	content := ""
	for _, name := range names {
		content += name + "\n" + members[name] + "\n"
	}
	hash, digest := crypto.SHA256, mustSum(sha256.New, content)
	if version == "1" {
		hash, digest = crypto.SHA1, mustSum(sha1.New, content)
	}
	signature, err := rsa.SignPKCS1v15(nil, key, hash, digest)
	if err != nil {
		t.Fatal(err)
	}
	members["Signature"], members["SignatureVersion"] = b64(signature), version
	body, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// SNS signs some members, in both versions, and only our topic counts.
func TestVerifySNS(t *testing.T) {
	t.Parallel()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	inPEM := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}))
	v, err := verifierOf(t, `{"sns": {"secrets": ["{{secret}}"], "topic": "arn:aws:sns:eu-west-1:1:ses"}}`, inPEM)
	if err != nil {
		t.Fatal(err)
	}
	sign := func(version string, members map[string]string, names ...string) []byte {
		return signSNS(t, key, version, members, names...)
	}
	members := func() map[string]string {
		return map[string]string{
			"Type": "Notification", "MessageId": "m", "TopicArn": "arn:aws:sns:eu-west-1:1:ses", "Message": "{\"a\":1}",
			"Timestamp": "2026-11-30T00:00:00Z",
		}
	}
	names := []string{"Message", "MessageId", "Timestamp", "TopicArn", "Type"}
	for _, version := range []string{"1", "2"} {
		body := sign(version, members(), names...)
		if !v.verify(nil, body, time.Now()) {
			t.Errorf("version %s is refused", version)
		}
		if v.verify(nil, bytes.Replace(body, []byte(`a\":1`), []byte(`a\":2`), 1), time.Now()) {
			t.Errorf("version %s: another message passes", version)
		}
	}
	other := members()
	other["TopicArn"] = "arn:aws:sns:eu-west-1:2:ses"
	if v.verify(nil, sign("2", other, names...), time.Now()) {
		t.Error("another topic passes")
	}
	confirm := members()
	confirm["Type"], confirm["SubscribeURL"], confirm["Token"] = "SubscriptionConfirmation", "https://sns.example/", "t"
	if !v.verify(nil, sign("2", confirm,
		"Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"), time.Now()) {
		t.Error("a confirmation is refused")
	}
	unknown := members()
	unknown["Type"] = "Other"
	if v.verify(nil, sign("2", unknown), time.Now()) || v.verify(nil, []byte("[]"), time.Now()) {
		t.Error("another type passes")
	}
}

func mustSum(newHash func() hash.Hash, content string) []byte {
	h := newHash()
	h.Write([]byte(content))
	return h.Sum(nil)
}
