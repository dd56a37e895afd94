package provider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/internal/web"
)

// request makes a request, and makes it again with a new token if the one that
// was kept is refused; once, however many tokens others fetch meanwhile.
func (c *Channel) request(ctx context.Context, op string, spec *requestSpec, get lookup) (web.Response, error) {
	for try := 0; ; try++ {
		req, err := spec.build(ctx, get, c.spec.headers)
		if err != nil {
			return web.Response{}, &channel.Error{Class: channel.Misconfigured, Op: op, Err: err}
		}
		kept, err := c.authorize(ctx, req)
		if err != nil {
			return web.Response{}, err
		}
		if err := c.sign(op, req); err != nil {
			return web.Response{}, err
		}
		if op == opSend && req.Body == http.NoBody {
			web.Once(req) // a second GET would be a second SMS
		}
		answer, err := c.life.Web.Do(ctx, op, req)
		if err != nil {
			return answer, err
		}
		if try > 0 || kept == "" || answer.Status != http.StatusUnauthorized && answer.Status != http.StatusForbidden {
			return answer, nil
		}
		c.tokens.Drop(kept)
	}
}

// build makes a request of a profile's description, with the headers that all
// requests have. The error holds no value.
func (r *requestSpec) build(ctx context.Context, get lookup, common map[string]template) (*http.Request, error) {
	address, err := r.address(get)
	if err != nil {
		return nil, err
	}
	body, contentType, err := r.body(get)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, address, body)
	if err != nil {
		return nil, errors.New("the URL is malformed") // err quotes it
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if err := setHeaders(req.Header, common, get); err != nil {
		return nil, err
	}
	return req, setHeaders(req.Header, r.headers, get)
}

func setHeaders(into http.Header, headers map[string]template, get lookup) error {
	rendered, err := renderAll(headers, get)
	if err != nil {
		return err
	}
	for name, value := range rendered {
		if !headerValue(value) {
			return fmt.Errorf("the value of header %s has a control character, or white space at an end", name)
		}
		into.Set(name, value)
	}
	return nil
}

func (r *requestSpec) address(get lookup) (string, error) {
	address, err := renderURL(r.url, get)
	if err != nil || r.query == nil {
		return address, err
	}
	query, err := encodeForm(r.query, get)
	return address + "?" + query, err
}

// renderURL renders a URL, whose beginning may be a value that was checked.
func renderURL(t template, get lookup) (string, error) {
	base := ""
	if t.parts[0].field() {
		value, err := t.parts[0].value(get)
		if err != nil {
			return "", err
		}
		base, t.parts = strings.TrimSuffix(value, "/"), t.parts[1:]
	}
	rest, err := t.renderWith(get, pathSegment)
	return base + rest, err
}

// body renders what is sent. The reader is in memory, so that net/http can
// rewind it.
func (r *requestSpec) body(get lookup) (io.Reader, string, error) {
	switch {
	case r.json != nil:
		v, err := r.json.render(get)
		if err != nil {
			return nil, "", err
		}
		encoded, err := json.Marshal(v)
		return strings.NewReader(string(encoded)), "application/json", err
	case r.form != nil:
		encoded, err := encodeForm(r.form, get)
		return strings.NewReader(encoded), "application/x-www-form-urlencoded", err
	}
	return http.NoBody, "", nil
}
