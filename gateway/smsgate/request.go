package smsgate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/internal/web"
)

// A call is one request of the API.
type request struct {
	op, method string
	path       string // below the base
	id         string // one more segment of the path, escaped; empty: none
	query      url.Values
	body       []byte // JSON
	bearer     string // instead of what the configuration says
	basic      bool   // with the password, not a token
}

// call makes a request with the password or a token, and once more with a new
// token where the server does not know the one at hand.
func (c *Channel) call(ctx context.Context, r request) (web.Response, error) {
	if r.basic || r.bearer != "" || !c.config.JWT {
		return c.do(ctx, r)
	}
	for try := 1; ; try++ {
		access, _, err := c.tokens.Get(ctx)
		if err != nil {
			return web.Response{}, err
		}
		r.bearer, r.basic = access, access == ""
		resp, err := c.do(ctx, r)
		if err != nil || resp.Status != http.StatusUnauthorized || access == "" || try == 2 {
			return resp, err
		}
		c.tokens.Drop(access)
	}
}

func (c *Channel) do(ctx context.Context, r request) (web.Response, error) {
	u := *c.base
	u.Path += "/" + r.path
	if r.id != "" {
		u.RawPath = u.EscapedPath() + "/" + url.PathEscape(r.id)
		u.Path += "/" + r.id
	}
	u.RawQuery = r.query.Encode()
	var body io.Reader
	if r.body != nil {
		body = bytes.NewReader(r.body)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, u.String(), body)
	if err != nil {
		err = errors.New("the request cannot be made") // err quotes the URL
		return web.Response{}, &channel.Error{Class: channel.Misconfigured, Op: r.op, Err: err}
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "otpcourier")
	if r.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.bearer != "" {
		req.Header.Set("Authorization", "Bearer "+r.bearer)
	} else {
		req.SetBasicAuth(c.config.Username, c.config.Password)
	}
	return c.life.Web.Do(ctx, r.op, req)
}

// decode reads the answer to a call that has succeeded.
func decode(op string, r web.Response, into any) error {
	if r.Cut || json.Unmarshal(r.Body, into) != nil {
		return &channel.Error{Class: channel.Temporary, Op: op, Err: errors.New("the server's answer cannot be read")}
	}
	return nil
}

var (
	errQueueFull   = errors.New("the phone's queue is full")
	errShared      = errors.New("refused, but another call may have succeeded")
	errNoDevice    = errors.New("the server does not know the phone, or has not seen it in time")
	errNumber      = errors.New("the server says that the number is wrong")
	errNotMobile   = errors.New("the server says that the number is not of a mobile phone")
	errCredentials = errors.New("the server refuses username and password")
	errScope       = errors.New("the account may not do that")
	errNotFound    = errors.New("there is no such path; is the base URL right?")
)

// refusal is the error for an answer that is no success. The API has no codes but
// HTTP's, so the texts of its errors decide: they are {"message":"…"} or, from a
// proxy, plain.
func refusal(op string, r web.Response, now time.Time) error {
	e := web.Refusal(op, r, now)
	text := strings.ToLower(string(r.Body[:min(len(r.Body), 512)]))
	says := func(s string) bool { return strings.Contains(text, s) }
	switch r.Status {
	case http.StatusBadRequest:
		switch {
		case says("not mobile phone number"):
			e.Class, e.Err = channel.Unreachable, errNotMobile
		case says("phone number"), says("phonenumbers"), says("phone in row"):
			e.Class, e.Err = channel.InvalidRecipient, errNumber
		case says("record not found"), says("device"):
			e.Class, e.Err = channel.Temporary, errNoDevice
		}
	case http.StatusUnauthorized:
		e.Err = errCredentials
	case http.StatusForbidden:
		e.Err = errScope
	case http.StatusNotFound:
		e.Err = errNotFound
	case http.StatusServiceUnavailable:
		switch {
		case says("queue limit"):
			e.Class, e.Err = channel.Throttled, errQueueFull
		case op == opSend: // not the server's: a proxy may have passed the message on
			e.Class = channel.Unknown
		}
	}
	return e
}

// ofDevice reports whether a message was refused for a reason that another
// phone need not have.
func ofDevice(err error) bool {
	return errors.Is(err, errQueueFull) || errors.Is(err, errNoDevice)
}
