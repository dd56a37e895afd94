package provider

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/internal/token"
	"github.com/otpcourier/otpcourier/gateway/internal/web"
)

const (
	opToken = "provider: token"

	// oauthMargin is how long before its end a token is not used any more.
	oauthMargin = time.Minute

	// oauthLife is that of a token whose life the server does not tell (RFC
	// 6749 §5.1 recommends that it does).
	oauthLife = 5 * time.Minute
)

// authorize puts the profile's credentials on a request, and returns the token
// if they are one that was kept from an earlier request.
func (c *Channel) authorize(ctx context.Context, req *http.Request) (kept string, err error) {
	a := c.spec.Auth
	if a == nil {
		return "", nil
	}
	misconfigured := func(err error) error {
		return &channel.Error{Class: channel.Misconfigured, Op: opToken, Err: err}
	}
	switch {
	case a.Basic != nil:
		user, password, err := a.credentials(c.values.lookup)
		if err != nil {
			return "", misconfigured(err)
		}
		req.SetBasicAuth(user, password)
	case a.Bearer != nil:
		bearer, err := a.bearer.render(c.values.lookup)
		if err != nil {
			return "", misconfigured(err)
		}
		req.Header.Set("Authorization", "Bearer "+bearer)
	default:
		access, old, err := c.tokens.Get(ctx)
		if err != nil {
			return "", err
		}
		req.Header.Set("Authorization", "Bearer "+access)
		if old {
			kept = access
		}
	}
	return kept, nil
}

func (a *authSpec) credentials(get lookup) (user, password string, err error) {
	if user, err = a.user.render(get); err != nil {
		return "", "", err
	}
	password, err = a.password.render(get)
	return user, password, err
}

// fetchToken gets a token, with the client's credentials (RFC 6749 §4.4) or as
// the profile's login has it. Neither has a refresh token.
func (c *Channel) fetchToken(ctx context.Context, _ string) (token.Token, error) {
	refuse := func(class channel.Class, err error) (token.Token, error) {
		return token.Token{}, &channel.Error{Class: class, Op: opToken, Err: err}
	}
	req, err := c.tokenRequest(ctx)
	if err != nil {
		return refuse(channel.Misconfigured, err)
	}
	r, err := c.life.Web.Do(ctx, opToken, req)
	if err != nil {
		return token.Token{}, web.NotSent(err)
	}
	now := time.Now()
	if !r.OK() {
		return token.Token{}, web.NotSent(web.Refusal(opToken, r, now))
	}
	paths := oauthPaths
	if login := c.spec.Auth.Login; login != nil {
		paths = login
	}
	root, err := parseDocument(r.Body)
	answer := document{root: root, header: r.Header}
	access := paths.token.find(answer)
	if err != nil || access == "" || !headerValue(access) {
		if r.Cut {
			return refuse(channel.Temporary, errors.New("the answer is cut short"))
		}
		return refuse(channel.Misconfigured, errors.New("the answer holds no token"))
	}
	life := oauthLife // where the answer names none that is a number of seconds
	if seconds, err := strconv.ParseInt(paths.life.find(answer), 10, 64); err == nil && seconds > 0 {
		life = time.Duration(min(seconds, 24*60*60)) * time.Second
	}
	until := now.Add(life - min(oauthMargin, life/10))
	return token.Token{Access: access, Renew: until, Expires: until}, nil
}

// oauthPaths are those of RFC 6749 §5.1.
var oauthPaths = &loginSpec{
	token: path{[][]steps{{{"access_token"}}}}, life: path{[][]steps{{{"expires_in"}}}},
}

func (c *Channel) tokenRequest(ctx context.Context) (*http.Request, error) {
	a, get := c.spec.Auth, c.values.lookup
	if a.Login != nil {
		return a.Login.build(ctx, get, c.spec.headers)
	}
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
