package sign

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// SigV4 signs a request to AWS with Signature Version 4, in the header Authorization
// (AWS, "Create a signed AWS API request"). settings: key_id, secret, region, service
// such as "sns" or "ses", and, for temporary credentials, token (optional).
//
// All headers of the request are signed but User-Agent, which proxies change. The path
// must have no empty or dot segments. S3, which encodes paths otherwise, is not served.
func SigV4(req *http.Request, body []byte, settings map[string]string, now time.Time) error {
	stamp := now.UTC().Format("20060102T150405Z")
	req.Header.Del("Authorization")
	req.Header.Set("X-Amz-Date", stamp)
	if token := settings["token"]; token != "" {
		req.Header.Set("X-Amz-Security-Token", token)
	}
	query, err := canonicalQuery(req)
	if err != nil {
		return err
	}
	c := canonical{
		method: req.Method, path: escapeSegments(path(req)), query: query, digest: sha256Hex(body),
		headers: canonicalHeaders(req, func(name string) bool { return name != "user-agent" }),
	}
	scope := strings.Join([]string{stamp[:8], settings["region"], settings["service"], "aws4_request"}, "/")
	key := derive("AWS4"+settings["secret"], stamp[:8], settings["region"], settings["service"], "aws4_request")
	text := strings.Join([]string{"AWS4-HMAC-SHA256", stamp, scope, c.hash()}, "\n")
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+settings["key_id"]+"/"+scope+
		", SignedHeaders="+c.signedHeaders()+", Signature="+hex.EncodeToString(hmacSHA256(key, text)))
	return nil
}

// escapeSegments encodes a path that is encoded already once more, as AWS has it for
// all services but S3.
func escapeSegments(path string) string {
	segments := strings.Split(path, "/")
	for i, s := range segments {
		segments[i] = escape(s)
	}
	return strings.Join(segments, "/")
}

// Alibaba signs a request to Alibaba Cloud with ACS3-HMAC-SHA256, in the header
// Authorization (Alibaba Cloud SDK, "V3 request structure and signature"). settings:
// key_id, secret and, for temporary credentials, token (optional). The request must
// have the headers X-Acs-Action and X-Acs-Version. Alibaba adds X-Acs-Date,
// X-Acs-Content-Sha256 and X-Acs-Signature-Nonce.
func Alibaba(req *http.Request, body []byte, settings map[string]string, now time.Time) error {
	return alibaba(req, body, settings, now, strings.ToLower(rand.Text()))
}

func alibaba(req *http.Request, body []byte, settings map[string]string, now time.Time, nonce string) error {
	c := canonical{method: req.Method, path: path(req), digest: sha256Hex(body)}
	req.Header.Set("X-Acs-Date", now.UTC().Format("2006-01-02T15:04:05Z"))
	req.Header.Set("X-Acs-Content-Sha256", c.digest)
	req.Header.Set("X-Acs-Signature-Nonce", nonce)
	if token := settings["token"]; token != "" {
		req.Header.Set("X-Acs-Security-Token", token)
	}
	c.headers = canonicalHeaders(req, func(name string) bool {
		return name == "content-type" || strings.HasPrefix(name, "x-acs-")
	})
	var err error
	if c.query, err = canonicalQuery(req); err != nil {
		return err
	}
	signature := hmacSHA256([]byte(settings["secret"]), "ACS3-HMAC-SHA256\n"+c.hash())
	req.Header.Set("Authorization", "ACS3-HMAC-SHA256 Credential="+settings["key_id"]+
		",SignedHeaders="+c.signedHeaders()+",Signature="+hex.EncodeToString(signature))
	return nil
}

// TC3 signs a request to Tencent Cloud with TC3-HMAC-SHA256, in the header
// Authorization (Tencent Cloud, "Signature v3"). settings: key_id, secret, service
// such as "sms" and, for temporary credentials, token (optional). The request must
// have the headers X-TC-Action, X-TC-Version and, for most services, X-TC-Region. TC3
// adds X-TC-Timestamp.
func TC3(req *http.Request, body []byte, settings map[string]string, now time.Time) error {
	query, err := canonicalQuery(req)
	if err != nil {
		return err
	}
	req.Header.Set("X-Tc-Timestamp", strconv.FormatInt(now.Unix(), 10))
	if token := settings["token"]; token != "" {
		req.Header.Set("X-Tc-Token", token)
	}
	c := canonical{method: req.Method, path: "/", query: query, digest: sha256Hex(body)}
	c.headers = canonicalHeaders(req, func(name string) bool {
		return slices.Contains([]string{"content-type", "x-tc-action"}, name)
	})
	for name, value := range c.headers { // which Tencent compares in lower case
		c.headers[name] = strings.ToLower(value)
	}
	date := now.UTC().Format(time.DateOnly)
	scope := date + "/" + settings["service"] + "/tc3_request"
	text := strings.Join([]string{"TC3-HMAC-SHA256", strconv.FormatInt(now.Unix(), 10), scope, c.hash()}, "\n")
	signature := hmacSHA256(derive("TC3"+settings["secret"], date, settings["service"], "tc3_request"), text)
	req.Header.Set("Authorization", "TC3-HMAC-SHA256 Credential="+settings["key_id"]+"/"+scope+
		", SignedHeaders="+c.signedHeaders()+", Signature="+hex.EncodeToString(signature))
	return nil
}
