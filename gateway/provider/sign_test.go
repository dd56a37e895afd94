package provider_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/big"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// How providers sign their webhooks. Each has reportURL as its URL.

// keyOf makes a private key of a secret, so that a wrong secret is a wrong key.
func keyOf(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

// ed25519Public is the public key of hookSecret, as Telnyx shows it.
func ed25519Public() string {
	public, _ := ed25519.NewKeyFromSeed(keyOf(hookSecret)).Public().(ed25519.PublicKey)
	return base64.StdEncoding.EncodeToString(public)
}

func signTelnyx(r *http.Request, body, secret string) {
	now := strconv.FormatInt(time.Now().Unix(), 10)
	signature := ed25519.Sign(ed25519.NewKeyFromSeed(keyOf(secret)), []byte(now+"|"+body))
	r.Header.Set("Telnyx-Timestamp", now)
	r.Header.Set("Telnyx-Signature-Ed25519", base64.StdEncoding.EncodeToString(signature))
}

func ecdsaKey(secret string) *ecdsa.PrivateKey {
	key := &ecdsa.PrivateKey{D: new(big.Int).SetBytes(keyOf(secret))}
	key.Curve = elliptic.P256()
	key.D.Mod(key.D, key.Params().N)
	parsed, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), key.D.FillBytes(make([]byte, 32)))
	if err != nil {
		panic(err)
	}
	return parsed
}

// ecdsaPublic is the public key of hookSecret, as SendGrid shows it.
func ecdsaPublic() string {
	public, err := x509.MarshalPKIXPublicKey(ecdsaKey(hookSecret).Public())
	if err != nil {
		panic(err)
	}
	return base64.StdEncoding.EncodeToString(public)
}

func signSendGrid(r *http.Request, body, secret string) {
	now := strconv.FormatInt(time.Now().Unix(), 10)
	sum := sha256.Sum256([]byte(now + body))
	signature, err := ecdsa.SignASN1(rand.Reader, ecdsaKey(secret), sum[:])
	if err != nil {
		panic(err)
	}
	r.Header.Set("X-Twilio-Email-Event-Webhook-Timestamp", now)
	r.Header.Set("X-Twilio-Email-Event-Webhook-Signature", base64.StdEncoding.EncodeToString(signature))
}

// signVonage signs without an expiry, but the body.
func signVonage(r *http.Request, body, secret string) {
	sum := sha256.Sum256([]byte(body))
	claims := fmt.Sprintf(`{"iss":"Vonage","iat":%d,"jti":"j","api_key":"k","payload_hash":"%x"}`,
		time.Now().Unix(), sum)
	r.Header.Set("Authorization", "Bearer "+makeJWT(`{"typ":"JWT","alg":"HS256"}`, claims, secret))
}

// signMessageBird signs the URL, whose query is the report.
func signMessageBird(r *http.Request, _, secret string) {
	before, _, _ := strings.Cut(reportURL, "?")
	sum := sha256.Sum256([]byte(before + "?" + r.URL.RawQuery))
	now := time.Now().Unix()
	claims := fmt.Sprintf(`{"iss":"MessageBird","nbf":%d,"exp":%d,"jti":"j","url_hash":"%x"}`, now-1, now+60, sum)
	r.Header.Set("MessageBird-Signature-JWT", makeJWT(`{"alg":"HS256","typ":"JWT"}`, claims, secret))
}

func signBird(r *http.Request, body, secret string) {
	now := strconv.FormatInt(time.Now().Unix(), 10)
	sum := sha256.Sum256([]byte(body))
	r.Header.Set("MessageBird-Request-Timestamp", now)
	r.Header.Set("MessageBird-Signature", base64.StdEncoding.EncodeToString(
		mac256(secret, now+"\n"+reportURL+"\n"+string(sum[:]))))
}

func signPlivo(r *http.Request, _, secret string) {
	before, _, _ := strings.Cut(reportURL, "?")
	r.Header.Set("X-Plivo-Signature-V2-Nonce", "12345")
	r.Header.Set("X-Plivo-Signature-V2", base64.StdEncoding.EncodeToString(mac256(secret, before+"12345")))
}

func signTermii(r *http.Request, body, secret string) {
	h := hmac.New(sha512.New, []byte(secret))
	h.Write([]byte(body))
	r.Header.Set("X-Termii-Signature", hex.EncodeToString(h.Sum(nil)))
}

func signTelegram(r *http.Request, body, secret string) {
	now := strconv.FormatInt(time.Now().Unix(), 10)
	key := sha256.Sum256([]byte(secret))
	r.Header.Set("X-Request-Timestamp", now)
	r.Header.Set("X-Request-Signature", hex.EncodeToString(mac256(string(key[:]), now+"\n"+body)))
}

// svixSecret is the secret of a webhook as Svix writes it.
func svixSecret(secret string) string {
	return "whsec_" + base64.StdEncoding.EncodeToString([]byte(secret))
}

func signSvix(r *http.Request, body, secret string) {
	now := strconv.FormatInt(time.Now().Unix(), 10)
	r.Header.Set("Svix-Id", "msg_1")
	r.Header.Set("Svix-Timestamp", now)
	r.Header.Set("Svix-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac256("old", ""))+
		" v1,"+base64.StdEncoding.EncodeToString(mac256(secret, "msg_1."+now+"."+body)))
}

func signHeader(name, prefix string) func(*http.Request, string, string) {
	return func(r *http.Request, _, secret string) { r.Header.Set(name, prefix+secret) }
}

func signBasic(r *http.Request, _, secret string) { r.SetBasicAuth("otp", secret) }
