package smtptest

import (
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"io"

	"github.com/emersion/go-sasl"
	gosmtp "github.com/emersion/go-smtp"
)

var (
	errNeedsTLS   = &gosmtp.SMTPError{Code: 530, EnhancedCode: gosmtp.EnhancedCode{5, 7, 0}, Message: "Must issue a STARTTLS command first"}
	errNeedsLogin = &gosmtp.SMTPError{Code: 530, EnhancedCode: gosmtp.EnhancedCode{5, 7, 0}, Message: "Authentication required"}
)

// A session is one connection's conversation.
type session struct {
	server   *Server
	conn     *gosmtp.Conn
	loggedIn bool
	from     string
	to       []string
}

var _ gosmtp.AuthSession = (*session)(nil)

func (s *Server) newSession(c *gosmtp.Conn) (gosmtp.Session, error) {
	if err := s.apply(AtHello, c); err != nil {
		return nil, err
	}
	return &session{server: s, conn: c}, nil
}

func (s *session) AuthMechanisms() []string {
	switch c := s.server.config; {
	case c.Username == "":
		return nil
	case c.OnlyLogin:
		return []string{sasl.Login}
	}
	return []string{sasl.Plain, sasl.Login}
}

func (s *session) Auth(mechanism string) (sasl.Server, error) {
	switch {
	case mechanism == sasl.Plain && !s.server.config.OnlyLogin:
		return sasl.NewPlainServer(func(_, username, password string) error { return s.login(username, password) }), nil
	case mechanism == sasl.Login:
		return &loginServer{login: s.login}, nil
	}
	return nil, gosmtp.ErrAuthUnknownMechanism
}

func (s *session) login(username, password string) error {
	if err := s.server.apply(AtAuth, s.conn); err != nil {
		return err
	}
	c := s.server.config
	right := subtle.ConstantTimeCompare([]byte(username), []byte(c.Username)) &
		subtle.ConstantTimeCompare([]byte(password), []byte(c.Password))
	if right != 1 {
		return gosmtp.ErrAuthFailed
	}
	s.loggedIn = true
	return nil
}

// A loginServer asks for name and password as servers by draft-murchison-sasl-login do.
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

func (s *session) Mail(from string, _ *gosmtp.MailOptions) error {
	_, secure := s.conn.TLSConnectionState()
	switch c := s.server.config; {
	case c.TLS != Plaintext && !secure:
		return errNeedsTLS
	case c.Username != "" && !s.loggedIn:
		return errNeedsLogin
	}
	s.from = from
	return s.server.apply(AtMail, s.conn)
}

func (s *session) Rcpt(to string, _ *gosmtp.RcptOptions) error {
	if err := s.server.apply(AtRcpt, s.conn, to); err != nil {
		return err
	}
	s.to = append(s.to, to)
	return nil
}

func (s *session) Data(r io.Reader) error {
	if err := s.server.apply(AtBody, s.conn, s.to...); err != nil {
		return err
	}
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if err := s.server.apply(AtDot, s.conn, s.to...); err != nil {
		return err
	}
	m, err := parse(raw)
	if err != nil {
		return &gosmtp.SMTPError{Code: 554, EnhancedCode: gosmtp.EnhancedCode{5, 6, 0}, Message: "not a mail: " + err.Error()}
	}
	m.ID, m.From, m.To = rand.Text()[:12], s.from, append([]string(nil), s.to...)
	s.server.keep(m)
	return &gosmtp.SMTPError{Code: 250, EnhancedCode: gosmtp.EnhancedCode{2, 0, 0}, Message: "Ok: queued as " + m.ID}
}

func (s *session) Reset() { s.from, s.to = "", nil }

func (s *session) Logout() error { return nil }
