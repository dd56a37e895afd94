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
	errNotTLSFirst = errors.New("the server speaks in the clear first: " +
		"set Config.TLS to StartTLS, as for port 587")
	errNoGreeting = errors.New("no greeting in the clear: " +
		"perhaps Config.TLS must be ImplicitTLS, as for port 465")
)

// dial opens a connection and logs in. Its error belongs to the phase.
func (r *relay) dial(ctx context.Context) (*conn, phase, error) {
	raw, err := r.open(ctx, "tcp", r.Addr)
	if err != nil {
		return nil, phaseDial, err
	}
	c := &conn{raw: &deadlineConn{Conn: raw}, opened: time.Now()}
	release := c.raw.bind(ctx, time.Time{})
	defer release()
	c.limiter = newReplyLimiter(c.raw)
	p, err := phaseTLS, error(nil)
	if !r.DangerouslyPlaintext {
		p, err = r.secure(ctx, c)
	}
	if err == nil {
		p, err = r.greet(ctx, c)
	}
	if err != nil {
		c.close()
		return nil, p, err
	}
	return c, p, nil
}

// secure puts TLS between the reply limiter and the raw connection.
func (r *relay) secure(ctx context.Context, c *conn) (phase, error) {
	if r.TLS == StartTLS {
		if p, err := c.limiter.upgrade(r.hello); err != nil {
			return p, err
		}
		// go-smtp waits for a greeting, but the server has sent it already.
		c.limiter.pending = "220 TLS\r\n"
	}
	secured := tls.Client(c.raw, r.TLSConfig)
	if err := secured.HandshakeContext(ctx); err != nil {
		header, ok := errors.AsType[tls.RecordHeaderError](err)
		if ok && r.TLS == ImplicitTLS && string(header.RecordHeader[:3]) == "220" {
			err = errNotTLSFirst
		}
		return phaseTLS, err
	}
	c.limiter.Conn = secured
	return phaseTLS, nil
}

// greet sends EHLO and logs in.
func (r *relay) greet(ctx context.Context, c *conn) (phase, error) {
	c.pipe = &pipeline{replyLimiter: c.limiter}
	c.client = gosmtp.NewClient(c.pipe)
	c.pipe.upper = true // go-smtp knows keywords in upper case only, but servers may use any case (RFC 5321 §4.1.1.1)
	if err := c.limiter.ifComplete(c.client.Hello(r.hello)); err != nil {
		return phaseHello, err
	}
	c.pipe.upper = false
	c.pipelining, _ = c.client.Extension("PIPELINING")
	c.dsn, _ = c.client.Extension("DSN")
	offersHelp, _ := c.client.Extension("HELP")
	c.maxUses = r.maxMessages(offersHelp)
	if r.Username == "" {
		return phaseHello, nil
	}
	mechanism, err := r.login(ctx, c.client.SupportsAuth)
	if err != nil {
		return phaseAuth, err
	}
	if err := c.limiter.ifComplete(c.client.Auth(mechanism)); err != nil {
		return phaseAuth, err
	}
	if s, ok := mechanism.(*scramClient); ok && !s.verified() {
		return phaseAuth, errSCRAM
	}
	return phaseAuth, nil
}

// upgrade takes a connection from the greeting to the start of the TLS
// handshake. go-smtp's own upgrade always sends "EHLO localhost", and accepts
// octets that a man in the middle adds after the reply to STARTTLS (RFC 3207
// §6). The reply limiter refuses them.
func (l *replyLimiter) upgrade(name string) (phase, error) {
	text := textproto.NewConn(l)
	if _, _, err := text.ReadResponse(220); err != nil {
		if _, refused := replyOf(err); !refused {
			err = fmt.Errorf("%w: %w", errNoGreeting, withoutServerText(err))
		}
		return phaseHello, err
	}
	extensions, err := l.ask(text, 250, "EHLO "+name)
	if err != nil {
		return phaseHello, err
	}
	if !offersStartTLS(extensions) {
		return phaseTLS, errNoStartTLS
	}
	_, err = l.ask(text, 220, "STARTTLS")
	return phaseTLS, err
}

// ask sends a command and reads its reply.
func (l *replyLimiter) ask(text *textproto.Conn, expect int, command string) (string, error) {
	if err := text.PrintfLine("%s", command); err != nil {
		return "", err
	}
	_, message, err := text.ReadResponse(expect)
	return message, l.ifComplete(err)
}

func offersStartTLS(extensions string) bool {
	for line := range strings.SplitSeq(extensions, "\n") {
		if strings.EqualFold(strings.TrimSpace(line), "STARTTLS") {
			return true
		}
	}
	return false
}

func (c *conn) tlsVersion() string {
	if secured, ok := c.limiter.Conn.(*tls.Conn); ok {
		return tls.VersionName(secured.ConnectionState().Version)
	}
	return "none"
}
