package provider

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/channel"
)

// signLength stands for a signing in the tests of the hook.
func signLength(req *http.Request, body []byte, settings map[string]string, _ time.Time) error {
	if settings["key"] == "bad" {
		return errors.New("the key is malformed")
	}
	req.Header.Set("X-Signature", settings["key"]+"/"+settings["region"])
	signed := string(body) + "&signed=1"
	req.ContentLength, req.Body = int64(len(signed)), io.NopCloser(strings.NewReader(signed))
	return nil
}

// withSigning makes a signing known while a test runs, which is not parallel.
func withSigning(t *testing.T, name string, kind signing) {
	t.Helper()
	signings[name] = kind
	t.Cleanup(func() { delete(signings, name) })
}

const signedProfile = `{"name": "signed", "values": {"url": null, "key": ""},
	"signing": {"name": "length", "key": "{{key}}"SETTINGS},
	"send": {"url": "{{url}}/send", "form": {"to": "{{to}}"}}}`

func TestSigningHook(t *testing.T) {
	withSigning(t, "length", signing{[]string{"key"}, []string{"region"}, signLength})
	profile, err := ParseProfile([]byte(strings.Replace(signedProfile, "SETTINGS", `, "region": "eu"`, 1)))
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"k1": "k1/eu to=%2B447700900123&signed=1", "": "the key is empty", "bad": "the key is malformed",
	} {
		sent := ""
		c, err := New(Config{
			Profile: profile, Values: map[string]string{"url": "https://provider.example", "key": key},
			Client: &http.Client{Transport: roundTrip(func(r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				sent = r.Header.Get("X-Signature") + " " + string(body)
				if int64(len(body)) != r.ContentLength {
					t.Errorf("a body of %d octets has length %d", len(body), r.ContentLength)
				}
			})},
		})
		if err != nil {
			if err.Error() != "provider: Config.Values: signing of profile signed: "+want {
				t.Errorf("key %q: %v, want %q", key, err, want)
			}
			continue
		}
		m := &channel.Message{ID: "a.1", To: channel.Recipient{Phone: "+447700900123"}, Text: "582037"}
		if _, err = c.Send(t.Context(), m); sent != want || err != nil {
			t.Errorf("key %q: sent %q, %v, want %q", key, sent, err, want)
		}
		_ = c.Close()
	}
}

func TestSigningRefused(t *testing.T) {
	withSigning(t, "length", signing{[]string{"key"}, []string{"region"}, signLength})
	for settings, want := range map[string]string{
		`, "name": "width"`: "signing.name: is not one of",
		`, "key": ""`:       "signing.key: ",
		`, "colour": "red"`: "signing.colour: is no setting of length",
		`, "region": "{{"`:  "signing.region: ",
	} {
		_, err := ParseProfile([]byte(strings.Replace(signedProfile, "SETTINGS", settings, 1)))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", settings, err, want)
		}
	}
}

type roundTrip func(*http.Request)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) {
	f(r)
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: r}, nil
}
