package sign

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"  //nolint:gosec // what some providers sign with
	"crypto/sha1" //nolint:gosec // what some providers sign with
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
)

var (
	errParameters = errors.New("the parameters that are to be signed are malformed")
	errBody       = errors.New("sorted parameters are those of a form, or of a URL without a body")
	errAlgorithm  = errors.New("the algorithm is not one of md5, sha1, sha256, sha512, hmac-md5, …")
	errKey        = errors.New("the key is empty")
	errEncoding   = errors.New("the encoding is not one of hex, HEX, base64")
)

var hashes = map[string]func() hash.Hash{
	"md5": md5.New, "sha1": sha1.New, "sha256": sha256.New, "sha512": sha512.New,
}

// Sorted signs the parameters of a form or, in a request without a body, of the URL,
// and adds the signature as one more. The signed text is before, then name=value of
// each parameter, sorted by name and joined by "&", then after. settings:
//
//   - parameter: the name of the signature's parameter
//   - algorithm: md5, sha1, sha256 or sha512, where the secret stands in before or
//     after, or hmac-md5 and so on, with key as the key
//   - key: the secret of hmac (optional)
//   - before, after: text around the parameters (optional)
//   - replace: what stands for each "&" and "=" in a value (optional: themselves)
//   - encoding: hex, HEX in capitals, or base64 (optional: hex)
//
// Vonage, for example, signs with parameter "sig", algorithm "hmac-sha256", before "&",
// replace "_" and encoding "HEX".
func Sorted(req *http.Request, body []byte, settings map[string]string, _ time.Time) error {
	inBody := len(body) > 0
	text := req.URL.RawQuery
	if inBody {
		kind, _, _ := mime.ParseMediaType(req.Header.Get("Content-Type"))
		if kind != "application/x-www-form-urlencoded" {
			return errBody
		}
		text = string(body)
	}
	parameters, err := url.ParseQuery(text)
	if err != nil {
		return errParameters // err quotes them
	}
	parameters.Del(settings["parameter"])
	signature, err := sum(sortedText(parameters, settings), settings)
	if err != nil {
		return err
	}
	parameters.Set(settings["parameter"], signature)
	if !inBody {
		req.URL.RawQuery = parameters.Encode()
		return nil
	}
	setBody(req, []byte(parameters.Encode()))
	return nil
}

func sortedText(parameters url.Values, settings map[string]string) string {
	text := parameters
	if stand := settings["replace"]; stand != "" {
		replacer := strings.NewReplacer("&", stand, "=", stand)
		text = make(url.Values, len(parameters))
		for name, values := range parameters {
			for _, v := range values {
				text.Add(name, replacer.Replace(v))
			}
		}
	}
	return settings["before"] + join(text) + settings["after"]
}

// sum returns the hash or HMAC of a text, encoded.
func sum(text string, settings map[string]string) (string, error) {
	name, keyed := strings.CutPrefix(settings["algorithm"], "hmac-")
	algorithm := hashes[name]
	if algorithm == nil {
		return "", errAlgorithm
	}
	h := algorithm()
	if keyed && settings["key"] == "" {
		return "", errKey
	}
	if keyed {
		h = hmac.New(algorithm, []byte(settings["key"]))
	}
	_, _ = io.WriteString(h, text)
	switch settings["encoding"] {
	case "", "hex":
		return hex.EncodeToString(h.Sum(nil)), nil
	case "HEX":
		return strings.ToUpper(hex.EncodeToString(h.Sum(nil))), nil
	case "base64":
		return base64.StdEncoding.EncodeToString(h.Sum(nil)), nil
	}
	return "", errEncoding
}

func setBody(req *http.Request, body []byte) {
	req.ContentLength = int64(len(body))
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	req.Body, _ = req.GetBody() // never fails
}
