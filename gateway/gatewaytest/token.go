package gatewaytest

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"time"
)

const (
	refreshScope = "tokens:refresh"
	refreshTTL   = 720 * time.Hour
)

// A token is an issued token, access or refresh.
type token struct {
	id      string
	scopes  []string
	expires time.Time
	revoked bool
	renews  []string // of a refresh token: the scopes of the next access token
	pair    string   // of a refresh token: the id of its access token
}

// scopesOf returns the scopes of a token, or nil if it is invalid.
func (s *Server) scopesOf(text string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tokens[text]
	// A used refresh token still reaches its endpoint, which refuses it in the
	// same way.
	if !s.config.JWT || t == nil || t.revoked || !time.Now().Before(t.expires) {
		return nil
	}
	return t.scopes
}

// issueToken serves POST /auth/token. s.mu is held.
func (s *Server) issueToken(c *call) reply {
	if !s.config.JWT {
		return refuse(http.StatusNotImplemented, "token service disabled, contact your administrator")
	}
	var in struct {
		TTL    uint64   `json:"ttl"`
		Scopes []string `json:"scopes"`
	}
	if err := json.Unmarshal(c.body, &in); err != nil {
		return refuse(http.StatusBadRequest, "failed to parse body: "+err.Error())
	}
	if len(in.Scopes) == 0 {
		return refuse(http.StatusBadRequest, "failed to validate: scopes are required")
	}
	life := s.config.AccessTTL
	if in.TTL > 0 && in.TTL < uint64(life/time.Second) {
		life = time.Duration(in.TTL) * time.Second
	}
	return s.pair(in.Scopes, life)
}

// refreshToken serves POST /auth/token/refresh. s.mu is held.
func (s *Server) refreshToken(c *call) reply {
	t := s.tokens[c.bearer]
	if t == nil || t.revoked {
		return refuse(http.StatusUnauthorized, "Unauthorized")
	}
	t.revoked = true
	return s.pair(t.renews, s.config.AccessTTL)
}

// revokeToken serves DELETE /auth/token/{id}: both tokens of a pair end.
// s.mu is held.
func (s *Server) revokeToken(c *call) reply {
	for _, t := range s.tokens {
		if t.id == c.id || t.pair == c.id {
			t.revoked = true
		}
	}
	return reply{status: http.StatusNoContent}
}

func (s *Server) pair(scopes []string, life time.Duration) reply {
	now := time.Now()
	access := &token{id: s.newID(), scopes: scopes, expires: now.Add(life).Truncate(time.Second)}
	refresh := &token{
		id: s.newID(), scopes: []string{refreshScope}, expires: now.Add(refreshTTL), renews: scopes, pair: access.id,
	}
	accessText, refreshText := access.sign(now), refresh.sign(now)
	s.tokens[accessText], s.tokens[refreshText] = access, refresh
	return reply{status: http.StatusCreated, body: map[string]any{
		"id": access.id, "token_type": "Bearer",
		"access_token": accessText, "refresh_token": refreshText, "expires_at": access.expires,
	}}
}

// sign writes a token as a JWT (RFC 7519), signed with HS256 by a key that is
// then forgotten: the server looks tokens up.
func (t *token) sign(now time.Time) string {
	part := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			panic("gatewaytest: " + err.Error())
		}
		return base64.RawURLEncoding.EncodeToString(b)
	}
	text := part(map[string]string{"alg": "HS256", "typ": "JWT"}) + "." + part(map[string]any{
		"jti": t.id, "iss": "gatewaytest", "user_id": "USER01", "scopes": t.scopes, "iat": now.Unix(),
		"exp": t.expires.Unix(),
	})
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// RevokeTokens makes all issued tokens invalid, as if the server had lost them.
func (s *Server) RevokeTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.tokens)
}

// newID returns an id of 21 characters, like the real server's. s.mu is held.
func (s *Server) newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])[:21]
}
