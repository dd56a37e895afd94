package provider

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/transport"
	"github.com/otpcourier/otpcourier/gateway/internal/sign"
)

// signings are the signatures of requests that templates cannot express, by the
// name that a profile's signing has.
var signings = map[string]signing{
	"sigv4":   {[]string{"key_id", "secret", "region", "service"}, []string{"token"}, sign.SigV4},
	"alibaba": {[]string{"key_id", "secret"}, []string{"token"}, sign.Alibaba},
	"tc3":     {[]string{"key_id", "secret", "service"}, []string{"token"}, sign.TC3},
	"sorted": {
		[]string{"parameter", "algorithm"}, []string{"key", "before", "after", "replace", "encoding"}, sign.Sorted,
	},
}

// A signing signs requests of one kind.
type signing struct {
	settings []string // members of a profile's signing that it needs
	optional []string // members that may be missing, or empty

	// sign signs a request that is complete otherwise. It may add headers, or
	// replace the URL's query or the body. settings holds the values of its
	// members. An error holds none of them.
	sign func(req *http.Request, body []byte, settings map[string]string, now time.Time) error
}

// A signingSpec is a profile's signing: a name, and settings, which are
// templates of values.
type signingSpec map[string]string

func (s signingSpec) compile(known scope) (map[string]template, error) {
	if s == nil {
		return nil, nil
	}
	kind, ok := signings[s["name"]]
	if !ok {
		return nil, at("signing.name", fmt.Errorf("is not one of %s", strings.Join(sortedKeys(signings), ", ")))
	}
	for _, name := range kind.settings {
		if s[name] == "" {
			return nil, at("signing."+name, errMissing)
		}
	}
	settings := make(map[string]string, len(s))
	for name, text := range s {
		if name == "name" {
			continue
		}
		if !slices.Contains(kind.settings, name) && !slices.Contains(kind.optional, name) {
			return nil, at("signing."+name, fmt.Errorf("is no setting of %s", s["name"]))
		}
		settings[name] = text
	}
	return parseTemplates("signing", settings, known)
}

// validateSigning refuses settings under which no request can be signed.
func (c *Channel) validateSigning(v *transport.Validator) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "https://provider.example/", nil)
	if err == nil && c.spec.Signing != nil {
		err = c.signWith(signings[c.spec.Signing["name"]], req)
	}
	v.Error("Values", at("signing of profile "+c.spec.Name, err))
}

// sign signs a request as the profile has it.
func (c *Channel) sign(op string, req *http.Request) error {
	if c.spec.Signing == nil {
		return nil
	}
	err := c.signWith(signings[c.spec.Signing["name"]], req)
	if err != nil {
		return &channel.Error{Class: channel.Misconfigured, Op: op, Err: err}
	}
	return nil
}

func (c *Channel) signWith(kind signing, req *http.Request) error {
	settings, err := renderAll(c.spec.signing, c.values.lookup)
	if err != nil {
		return err
	}
	for _, name := range kind.settings {
		if settings[name] == "" {
			return fmt.Errorf("the %s is empty", name)
		}
	}
	body, err := bodyOf(req)
	if err != nil {
		return err
	}
	return kind.sign(req, body, settings, time.Now())
}

// bodyOf returns the body of a request, which stays whole.
func bodyOf(req *http.Request) ([]byte, error) {
	if req.GetBody == nil {
		return nil, nil
	}
	body, err := req.GetBody()
	if err != nil {
		return nil, errors.New("the body cannot be read")
	}
	return io.ReadAll(body)
}
