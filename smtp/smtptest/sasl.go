package smtptest

import (
	"crypto/rand"
	"errors"
	"slices"
	"strings"

	"github.com/emersion/go-sasl"
	gosmtp "github.com/emersion/go-smtp"
	"github.com/xdg-go/scram"
)

const (
	scramSHA256 = "SCRAM-SHA-256"
	xoauth2     = "XOAUTH2"
)

var known = []string{scramSHA256, sasl.Plain, sasl.Login, sasl.OAuthBearer, xoauth2}

// saslServer returns the server's side of a mechanism.
func (s *session) saslServer(mechanism string) (sasl.Server, error) {
	if !slices.Contains(s.AuthMechanisms(), mechanism) {
		return nil, gosmtp.ErrAuthUnknownMechanism
	}
	switch mechanism {
	case sasl.Plain:
		return sasl.NewPlainServer(func(_, username, password string) error { return s.login(username, password) }), nil
	case sasl.Login:
		return &loginServer{login: s.login}, nil
	case scramSHA256:
		return s.scramServer()
	}
	return &tokenServer{mechanism: mechanism, login: s.login}, nil
}

// A loginServer asks for name and password as in draft-murchison-sasl-login.
type loginServer struct {
	login    func(username, password string) error
	step     int
	username string
}

func (l *loginServer) Next(response []byte) (challenge []byte, done bool, err error) {
	if l.step == 0 && response == nil {
		return []byte("Username:"), false, nil
	}
	l.step++
	switch l.step {
	case 1:
		l.username = string(response)
		return []byte("Password:"), false, nil
	case 2:
		return nil, true, l.login(l.username, string(response))
	}
	return nil, true, errors.New("smtptest: too many responses")
}

// A tokenServer reads a bearer token in the initial response, of RFC 7628 or of
// XOAUTH2. Before it refuses, it gives the reason in a challenge.
type tokenServer struct {
	mechanism string
	login     func(username, token string) error
	refusal   error
}

func (t *tokenServer) Next(response []byte) (challenge []byte, done bool, err error) {
	if t.refusal != nil {
		dummy := map[string]string{sasl.OAuthBearer: "\x01", xoauth2: ""}[t.mechanism]
		if string(response) != dummy {
			return nil, true, errors.New("smtptest: not the dummy response")
		}
		return nil, true, t.refusal
	}
	if response == nil {
		return nil, false, nil
	}
	fields := strings.Split(string(response), "\x01") // name, auth=, "", ""
	if len(fields) != 4 || fields[2]+fields[3] != "" {
		return nil, true, errors.New("smtptest: malformed response")
	}
	username, ok := strings.CutPrefix(fields[0], "user=")
	if t.mechanism == sasl.OAuthBearer {
		username, ok = strings.CutPrefix(strings.TrimSuffix(fields[0], ","), "n,a=")
	}
	token, bearer := strings.CutPrefix(fields[1], "auth=Bearer ")
	if !ok || !bearer {
		return nil, true, errors.New("smtptest: malformed response")
	}
	if t.refusal = t.login(username, token); t.refusal == nil {
		return nil, true, nil
	}
	return []byte(`{"status":"invalid_token"}`), false, nil
}

// A scramServer makes a sasl.Server of a conversation of package scram.
type scramServer struct {
	conversation *scram.ServerConversation
	login        func() error
	proven       bool
}

func (s *session) scramServer() (sasl.Server, error) {
	c := s.server.config
	client, err := scram.SHA256.NewClient(c.Username, c.Password, "")
	if err != nil {
		return nil, err
	}
	stored := client.GetStoredCredentials(scram.KeyFactors{Salt: rand.Text(), Iters: 4096})
	server, err := scram.SHA256.NewServer(func(username string) (scram.StoredCredentials, error) {
		if username != c.Username {
			return scram.StoredCredentials{}, gosmtp.ErrAuthFailed
		}
		return stored, nil
	})
	if err != nil {
		return nil, err
	}
	login := func() error { return s.login(c.Username, c.Password) }
	return &scramServer{conversation: server.NewConversation(), login: login}, nil
}

func (s *scramServer) Next(response []byte) (challenge []byte, done bool, err error) {
	if s.proven {
		return nil, true, s.login()
	}
	if response == nil {
		return nil, false, nil
	}
	next, err := s.conversation.Step(string(response))
	if err != nil {
		return nil, true, gosmtp.ErrAuthFailed
	}
	s.proven = s.conversation.Valid()
	return []byte(next), false, nil
}
