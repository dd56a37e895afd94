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
	pipe   *pipeline

	pipelining, dsn bool // the server offers it; dsn: and has not refused it yet

	uses   int
	opened time.Time
	expire *time.Timer // while idle
	clean  bool        // the last transaction failed, and the connection can be used again
	dirty  bool        // the next must begin with RSET
}

// An envelope is one message and where it goes.
type envelope struct {
	from, to string
	utf8     bool // to needs SMTPUTF8
	dsn      DSN
	id       string // of the message, for notifications
	data     []byte
}

// dial opens a connection and logs in. Its error belongs to the phase.
func (r *relay) dial(ctx context.Context) (*conn, phase, error) {
	raw, err := r.open(ctx, "tcp", r.Addr)
	if err != nil {
		return nil, phaseDial, err
	}
	c := &conn{guard: &guard{Conn: raw}, opened: time.Now()}
	release := c.guard.follow(ctx, time.Time{})
	defer release()
	c.meter = newMeter(c.guard)
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

// secure puts TLS between the meter and the guard.
func (r *relay) secure(ctx context.Context, c *conn) (phase, error) {
	if r.TLS == StartTLS {
		if p, err := c.meter.upgrade(r.hello); err != nil {
			return p, err
		}
		// go-smtp awaits a greeting; the server has given it already.
		c.meter.pending = "220 TLS\r\n"
	}
	secured := tls.Client(c.guard, r.TLSConfig)
	if err := secured.HandshakeContext(ctx); err != nil {
		if header, ok := errors.AsType[tls.RecordHeaderError](err); ok && r.TLS == ImplicitTLS && string(header.RecordHeader[:3]) == "220" {
			err = errNotTLSFirst
		}
		return phaseTLS, err
	}
	c.meter.Conn = secured
	return phaseTLS, nil
}

// greet says hello and logs in.
func (r *relay) greet(ctx context.Context, c *conn) (phase, error) {
	c.pipe = &pipeline{meter: c.meter}
	c.client = gosmtp.NewClient(c.pipe)
	c.pipe.upper = true // go-smtp knows no other keywords; servers may write them anyhow (RFC 5321 §4.1.1.1)
	if err := c.meter.whole(c.client.Hello(r.hello)); err != nil {
		return phaseHello, err
	}
	c.pipe.upper = false
	c.pipelining, _ = c.client.Extension("PIPELINING")
	c.dsn, _ = c.client.Extension("DSN")
	if r.Username == "" {
		return phaseHello, nil
	}
	mechanism, err := r.login(ctx, c.client.SupportsAuth)
	if err != nil {
		return phaseAuth, err
	}
	if err := c.meter.whole(c.client.Auth(mechanism)); err != nil {
		return phaseAuth, err
	}
	if s, ok := mechanism.(*scramClient); ok && !s.proven() {
		return phaseAuth, errSCRAM
	}
	return phaseAuth, nil
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
	extensions, err := m.ask(text, 250, "EHLO "+name)
	if err != nil {
		return phaseHello, err
	}
	if !offersStartTLS(extensions) {
		return phaseTLS, errNoStartTLS
	}
	_, err = m.ask(text, 220, "STARTTLS")
	return phaseTLS, err
}

func (m *meter) ask(text *textproto.Conn, expect int, command string) (string, error) {
	if err := text.PrintfLine("%s", command); err != nil {
		return "", err
	}
	_, message, err := text.ReadResponse(expect)
	return message, m.whole(err)
}

func offersStartTLS(extensions string) bool {
	for line := range strings.SplitSeq(extensions, "\n") {
		if strings.EqualFold(strings.TrimSpace(line), "STARTTLS") {
			return true
		}
	}
	return false
}

// limits are the times by which a transaction must have come so far, within
// the life of its context.
type limits struct {
	first time.Time // the server has said something
	ready time.Time // it has replied to DATA
}

// transact sends one mail and returns what the server says of it. The error
// belongs to the phase. The connection may be used again where err is nil or
// c.clean is set.
func (c *conn) transact(ctx context.Context, e envelope, l limits) (said string, p phase, err error) {
	defer c.guard.follow(ctx, l.first)()
	c.meter.heard = func() { c.guard.limit(ctx, l.ready) }
	c.uses++
	if e.utf8 {
		if offered, _ := c.client.Extension("SMTPUTF8"); !offered {
			c.clean = true
			return "", phaseRcpt, errNeedsUTF8
		}
	}
	if !c.dsn {
		e.dsn = NoDSN
	}
	w, p, err := c.commands(e)
	if e.dsn != NoDSN && c.clean && isAboutParameters(err) {
		e.dsn = NoDSN
		w, p, err = c.commands(e)
		c.dsn = err != nil // else it was the request that was refused
	}
	if err != nil {
		return "", p, err
	}
	c.guard.limit(ctx, time.Time{})
	return c.content(w, e.data)
}

// commands gets the server ready for the message's content.
func (c *conn) commands(e envelope) (*gosmtp.DataCommand, phase, error) {
	reset := c.dirty
	c.clean, c.dirty = false, false
	if c.pipelining {
		return c.together(e, reset)
	}
	if reset {
		if err := c.reset(); err != nil {
			return nil, phaseReset, err
		}
	}
	w, p, err := c.oneByOne(e)
	err = c.meter.whole(err)
	if r, refused := replyOf(err); refused {
		c.clean = r.code >= 400 && r.code < 600 && r.code != 421
		c.dirty = c.clean
	}
	return w, p, err
}

// together has the pipeline send the commands in one go.
func (c *conn) together(e envelope, reset bool) (*gosmtp.DataCommand, phase, error) {
	c.pipe.begin(reset)
	w, p, err := c.oneByOne(e)
	c.pipe.end()
	if c.pipe.failed == "" {
		return w, p, err
	}
	c.clean = c.pipe.whole && c.pipe.failed != phaseReset
	c.dirty = c.clean
	if err == nil { // what refuses an earlier command would be right for DATA
		err = &textproto.Error{Code: 354}
	}
	return nil, c.pipe.failed, err
}

func (c *conn) oneByOne(e envelope) (*gosmtp.DataCommand, phase, error) {
	mail := gosmtp.MailOptions{Size: int64(len(e.data)), UTF8: e.utf8}
	var rcpt *gosmtp.RcptOptions
	if e.dsn != NoDSN {
		mail.Return, mail.EnvelopeID = gosmtp.DSNReturnHeaders, e.id
		rcpt = notifications(e)
	}
	if err := c.client.Mail(e.from, &mail); err != nil {
		return nil, phaseMail, err
	}
	if err := c.client.Rcpt(e.to, rcpt); err != nil {
		return nil, phaseRcpt, err
	}
	w, err := c.client.Data()
	return w, phaseData, err
}

func notifications(e envelope) *gosmtp.RcptOptions {
	o := gosmtp.RcptOptions{
		Notify:                []gosmtp.DSNNotify{gosmtp.DSNNotifyFailure},
		OriginalRecipientType: gosmtp.DSNAddressTypeRFC822,
		OriginalRecipient:     e.to,
	}
	if e.dsn == FailureAndSuccess {
		o.Notify = append(o.Notify, gosmtp.DSNNotifySuccess)
	}
	if e.utf8 {
		o.OriginalRecipientType = gosmtp.DSNAddressTypeUTF8
	}
	return &o
}

// reset ends a transaction that was broken off. go-smtp's own Reset makes the
// next command say EHLO again.
func (c *conn) reset() error {
	_, err := c.meter.ask(textproto.NewConn(c.meter), 250, "RSET")
	return err
}

// content sends the message. A writer that has failed is never closed: closing
// adds the final dot, and a truncated mail would be delivered.
func (c *conn) content(w *gosmtp.DataCommand, message []byte) (said string, p phase, err error) {
	if isReady(message) {
		c.pipe.mail = message
	} else if _, err = w.Write(message); err != nil {
		return "", phaseData, err
	}
	c.meter.final = true
	response, err := w.CloseWithResponse()
	c.meter.final = false
	err = c.meter.whole(err)
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

func (c *conn) tlsVersion() string {
	if secured, ok := c.meter.Conn.(*tls.Conn); ok {
		return tls.VersionName(secured.ConnectionState().Version)
	}
	return "none"
}

// close closes the connection beneath TLS, whose own Close may wait seconds to
// write its farewell to a server that does not read.
func (c *conn) close() { _ = c.guard.Conn.Close() }
