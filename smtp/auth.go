package smtp

import (
	"errors"

	"github.com/emersion/go-sasl"
)

var errNoMechanism = errors.New("the server offers neither AUTH PLAIN nor AUTH LOGIN")

// A loginClient speaks AUTH LOGIN, which no RFC describes: servers ask for a
// name and then for a password, in words of their own. The words are ignored.
type loginClient struct {
	username, password string
	asked              int
}

var _ sasl.Client = (*loginClient)(nil)

func (l *loginClient) Start() (mech string, ir []byte, err error) { return sasl.Login, nil, nil }

func (l *loginClient) Next([]byte) ([]byte, error) {
	l.asked++
	switch l.asked {
	case 1:
		return []byte(l.username), nil
	case 2:
		return []byte(l.password), nil
	}
	return nil, sasl.ErrUnexpectedServerChallenge
}

// mechanism picks PLAIN (RFC 4616) before LOGIN, nil where neither is offered.
func (s *settings) mechanism(offers func(mech string) bool) sasl.Client {
	switch {
	case offers(sasl.Plain):
		return sasl.NewPlainClient("", s.Username, s.Password)
	case offers(sasl.Login):
		return &loginClient{username: s.Username, password: s.Password}
	}
	return nil
}
