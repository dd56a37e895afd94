package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/textproto"
	"strings"
	"time"

	gosmtp "github.com/emersion/go-smtp"
)

var (
	errNoStartTLS  = errors.New("the server does not offer STARTTLS; nothing was sent in the clear")
	errNotTLSFirst = errors.New("the server speaks in the clear first: it wants Config.TLS StartTLS, the way of port 587")
	errNoGreeting  = errors.New("no greeting in the clear: does the server want Config.TLS ImplicitTLS, the way of port 465?")
)

// A conn is a connection that is logged in and ready for mail. One goroutine
// uses it at a time.
type conn struct {
	client *gosmtp.Client
	guard  *guard
	meter  *meter

	uses   int
	opened time.Time
	expire *time.Timer // while idle
	clean  bool        // the last transaction failed without leaving a trace on the connection
}

// An envelope is one message and where it goes.
type envelope struct {
	from, to string
	utf8     bool // to needs SMTPUTF8
	data     []byte
}

// dial opens a connection and logs in. Its error belongs to the phase.
func (s *settings) dial(ctx context.Context) (*conn, phase, error) {
	raw, err := s.Dial(ctx, "tcp", s.Addr)
	if err != nil {
		return nil, phaseDial, err
	}
	c := &conn{guard: &guard{Conn: raw}, opened: time.Now()}
	release := c.guard.follow(ctx)
	defer release()
	p, err := s.open(ctx, c)
	if err != nil {
		c.close()
		return nil, p, err
	}
	return c, p, nil
}

func (s *settings) open(ctx context.Context, c *conn) (phase, error) {
	c.meter = &meter{Conn: c.guard}
	if !s.DangerouslyPlaintext {
		if s.TLS == StartTLS {
			if p, err := c.meter.upgrade(s.HelloName); err != nil {
				return p, err
			}
			// go-smtp awaits a greeting; the server has given it already.
			c.meter.pending = "220 TLS\r\n"
		}
		secured := tls.Client(c.guard, s.TLSConfig)
		if err := secured.HandshakeContext(ctx); err != nil {
			if header, ok := errors.AsType[tls.RecordHeaderError](err); ok && s.TLS == ImplicitTLS && string(header.RecordHeader[:3]) == "220" {
				err = errNotTLSFirst
			}
			return phaseTLS, err
		}
		c.meter.Conn = secured
	}
	c.client = gosmtp.NewClient(c.meter)
	if err := c.client.Hello(s.HelloName); err != nil {
		return phaseHello, err
	}
	if s.Username == "" {
		return phaseHello, nil
	}
	mechanism := s.mechanism(c.client.SupportsAuth)
	if mechanism == nil {
		return phaseAuth, errNoMechanism
	}
	return phaseAuth, c.client.Auth(mechanism)
}

// upgrade brings a connection from the greeting to where the TLS handshake
// begins. go-smtp's own way there always says "EHLO localhost", and passes
// over what a man in the middle adds after the reply to STARTTLS (RFC 3207
// §6); the meter does not.
func (m *meter) upgrade(name string) (phase, error) {
	text := textproto.NewConn(m)
	if _, _, err := text.ReadResponse(220); err != nil {
		if _, refused := replyOf(err); !refused {
			err = fmt.Errorf("%w: %w", errNoGreeting, speechless(err))
		}
		return phaseHello, err
	}
	extensions, err := ask(text, 250, "EHLO "+name)
	if err != nil {
		return phaseHello, err
	}
	if !offersStartTLS(extensions) {
		return phaseTLS, errNoStartTLS
	}
	_, err = ask(text, 220, "STARTTLS")
	return phaseTLS, err
}

func ask(text *textproto.Conn, expect int, command string) (string, error) {
	if err := text.PrintfLine("%s", command); err != nil {
		return "", err
	}
	_, message, err := text.ReadResponse(expect)
	return message, err
}

func offersStartTLS(extensions string) bool {
	for line := range strings.SplitSeq(extensions, "\n") {
		if strings.EqualFold(strings.TrimSpace(line), "STARTTLS") {
			return true
		}
	}
	return false
}

// transact sends one mail and returns what the server says of it. The error
// belongs to the phase. The connection may be used again where err is nil or
// c.clean is set.
func (c *conn) transact(ctx context.Context, e envelope) (said string, p phase, err error) {
	release := c.guard.follow(ctx)
	defer release()
	c.uses++
	c.clean = false
	if e.utf8 {
		if offered, _ := c.client.Extension("SMTPUTF8"); !offered {
			c.clean = true
			return "", phaseRcpt, errNeedsUTF8
		}
	}
	err = c.client.Mail(e.from, &gosmtp.MailOptions{Size: int64(len(e.data)), UTF8: e.utf8})
	if err != nil {
		r, refused := replyOf(err)
		c.clean = refused && r.code >= 400 && r.code != 421
		return "", phaseMail, err
	}
	if err = c.client.Rcpt(e.to, nil); err != nil {
		return "", phaseRcpt, err
	}
	return c.data(e.data)
}

// data sends the message. A writer that has failed is never closed: closing
// adds the final dot, and a truncated mail would be delivered.
func (c *conn) data(message []byte) (said string, p phase, err error) {
	w, err := c.client.Data()
	if err != nil {
		return "", phaseData, err
	}
	if _, err = w.Write(message); err != nil {
		return "", phaseData, err
	}
	response, err := w.CloseWithResponse()
	switch {
	case err == nil:
		return response.StatusText, phaseDot, nil
	case c.meter.written != nil: // the dot, the last thing written, did not go out whole
		return "", phaseData, err
	}
	return "", phaseDot, err
}

// quit takes leave without awaiting the answer, and closes.
func (c *conn) quit() {
	c.guard.limitTo(time.Now().Add(farewell))
	_, _ = c.meter.Write([]byte("QUIT\r\n"))
	c.close()
}

// close closes the connection beneath TLS, whose own Close may wait seconds to
// write its farewell to a server that does not read.
func (c *conn) close() { _ = c.guard.Conn.Close() }
