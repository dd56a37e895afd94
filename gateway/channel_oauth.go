package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/internal/web"
)

const (
	opOAuth = "gateway: token"

	// oauthMargin is how long before its end a token is not used any more.
	oauthMargin = time.Minute

	// oauthLife is that of a token whose life the server does not tell (RFC
	// 6749 §5.1 recommends that it does).
	oauthLife = 5 * time.Minute
)

// authorize puts the profile's credentials on a request, and reports whether
// they are a token that was kept from before.
func (c *Channel) authorize(ctx context.Context, req *http.Request) (kept bool, err error) {
	a := c.spec.Auth
	if a == nil {
		return false, nil
	}
	misconfigured := func(err error) error {
		return &channel.Error{Class: channel.Misconfigured, Op: opOAuth, Err: err}
	}
	switch {
	case a.Basic != nil:
		user, password, err := a.credentials(c.value)
		if err != nil {
			return false, misconfigured(err)
		}
		req.SetBasicAuth(user, password)
	case a.Bearer != nil:
		token, err := a.bearer.render(c.value)
		if err != nil {
			return false, misconfigured(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
	default:
		token, kept, err := c.tokens.get(ctx)
		if err != nil {
			return false, err
		}
		req.Header.Set("Authorization", "Bearer "+token)
		return kept, nil
	}
	return false, nil
}

func (a *authSpec) credentials(get lookup) (user, password string, err error) {
	if user, err = a.user.render(get); err != nil {
		return "", "", err
	}
	password, err = a.password.render(get)
	return user, password, err
}

// oauthTokens keeps an access token (RFC 6749 §4.4). One goroutine at a time
// fetches; the others wait for it or for their context.
type oauthTokens struct {
	channel *Channel
	turn    chan struct{} // holds one element while someone fetches

	mu    sync.Mutex
	token string
	until time.Time
}

func newOAuthTokens(c *Channel) *oauthTokens {
	return &oauthTokens{channel: c, turn: make(chan struct{}, 1)}
}

func (t *oauthTokens) current() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if time.Now().Before(t.until) {
		return t.token
	}
	return ""
}

// drop forgets the token that a request had.
func (t *oauthTokens) drop(req *http.Request) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if req.Header.Get("Authorization") == "Bearer "+t.token {
		t.token, t.until = "", time.Time{}
	}
}

// get returns a token, and whether it was kept from before.
func (t *oauthTokens) get(ctx context.Context) (token string, kept bool, err error) {
	if token := t.current(); token != "" {
		return token, true, nil
	}
	select {
	case t.turn <- struct{}{}:
	case <-ctx.Done():
		return "", false, &channel.Error{Class: channel.Temporary, Op: opOAuth, Err: context.Cause(ctx)}
	}
	defer func() { <-t.turn }()
	if token := t.current(); token != "" {
		return token, true, nil
	}
	token, life, err := t.fetch(ctx)
	if err != nil {
		return "", false, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.token, t.until = token, time.Now().Add(life-min(oauthMargin, life/10))
	return token, false, nil
}

// fetch asks for a token. Whatever fails, no message was sent.
func (t *oauthTokens) fetch(ctx context.Context) (string, time.Duration, error) {
	req, err := t.build(ctx)
	if err != nil {
		return "", 0, &channel.Error{Class: channel.Misconfigured, Op: opOAuth, Err: err}
	}
	r, err := t.channel.web.Do(ctx, opOAuth, req)
	if err != nil {
		return "", 0, notSent(err)
	}
	if !r.OK() {
		return "", 0, notSent(web.Refusal(opOAuth, r, time.Now()))
	}
	var answer struct {
		AccessToken string      `json:"access_token"`
		ExpiresIn   json.Number `json:"expires_in"`
	}
	if err := json.Unmarshal(r.Body, &answer); err != nil || answer.AccessToken == "" || !headerValue(answer.AccessToken) {
		if r.Cut {
			return "", 0, &channel.Error{Class: channel.Temporary, Op: opOAuth, Err: errors.New("the answer is cut short")}
		}
		return "", 0, &channel.Error{Class: channel.Misconfigured, Op: opOAuth, Err: errors.New("the answer holds no token")}
	}
	life := oauthLife // where the answer names none that is a number of seconds
	if seconds, err := answer.ExpiresIn.Int64(); err == nil && seconds > 0 {
		life = time.Duration(min(seconds, 24*60*60)) * time.Second
	}
	return answer.AccessToken, life, nil
}

func (t *oauthTokens) build(ctx context.Context) (*http.Request, error) {
	a, get := t.channel.spec.Auth, t.channel.value
	client, secret, err := a.credentials(get)
	if err != nil {
		return nil, err
	}
	address, err := renderURL(a.url, get)
	if err != nil {
		return nil, err
	}
	form := url.Values{"grant_type": {"client_credentials"}}
	scope, err := a.scope.render(get)
	if err != nil && !errors.Is(err, errOmit) {
		return nil, err
	}
	if scope != "" {
		form.Set("scope", scope)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, errors.New("the URL is malformed") // err quotes it
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(url.QueryEscape(client), url.QueryEscape(secret)) // RFC 6749 §2.3.1
	return req, nil
}
