package smtptest

import (
	"crypto/rand"
	"crypto/subtle"
	"io"

	"github.com/emersion/go-sasl"
	gosmtp "github.com/emersion/go-smtp"
)

var (
	errNeedsTLS = &gosmtp.SMTPError{Code: 530, EnhancedCode: gosmtp.EnhancedCode{5, 7, 0},
		Message: "Must issue a STARTTLS command first"}
	errNeedsLogin = &gosmtp.SMTPError{Code: 530, EnhancedCode: gosmtp.EnhancedCode{5, 7, 0},
		Message: "Authentication required"}
)

// A session is the conversation of one connection.
type session struct {
	server    *Server
	conn      *gosmtp.Conn
	loggedIn  bool
	mechanism string
	from      string
	to        []string
}

var _ gosmtp.AuthSession = (*session)(nil)

func (s *Server) newSession(c *gosmtp.Conn) (gosmtp.Session, error) {
	if err := s.apply(AtHello, c); err != nil {
		return nil, err
	}
	return &session{server: s, conn: c}, nil
}

func (s *session) AuthMechanisms() []string {
	if s.server.config.Username == "" {
		return nil
	}
	return s.server.config.Mechanisms
}

func (s *session) Auth(mechanism string) (sasl.Server, error) {
	s.mechanism = mechanism
	return s.saslServer(mechanism)
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
	s.server.receive()
	if err := s.server.apply(AtDot, s.conn, s.to...); err != nil {
		return err
	}
	m, err := parse(raw)
	if err != nil {
		return &gosmtp.SMTPError{Code: 554, EnhancedCode: gosmtp.EnhancedCode{5, 6, 0},
			Message: "not a mail: " + err.Error()}
	}
	m.Mechanism = s.mechanism
	m.ID, m.From, m.To = rand.Text()[:12], s.from, append([]string(nil), s.to...)
	s.server.keep(m)
	return &gosmtp.SMTPError{Code: 250, EnhancedCode: gosmtp.EnhancedCode{2, 0, 0}, Message: "Ok: queued as " + m.ID}
}

func (s *session) Reset() { s.from, s.to = "", nil }

func (s *session) Logout() error { return nil }
