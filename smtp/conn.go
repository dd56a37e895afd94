package smtp

import (
	"context"
	"net/textproto"
	"time"

	gosmtp "github.com/emersion/go-smtp"
)

// A conn is a connection after its login. One goroutine uses it at a time.
type conn struct {
	client  *gosmtp.Client
	pipe    *pipeline     // client reads and writes through it
	limiter *replyLimiter // beneath pipe, above TLS
	raw     *deadlineConn // beneath TLS

	pipelining bool // the server offers PIPELINING
	dsn        bool // the server offers DSN, and has not refused it yet

	state    connState
	uses     int         // transactions begun
	maxUses  int         // transactions, after which the pool leaves the connection
	refusals int         // since the last accepted mail; servers slow down clients with many
	opened   time.Time   // set by dial
	expire   *time.Timer // runs while the connection is idle, and then closes it
}

// A connState is the progress of a connection. dial returns a ready connection;
// a transaction moves it:
//
//	ready, needsReset ─begin─► busy ─accepted─► ready
//	                            │ ────refused─► needsReset
//	                            └ excess octets ► desynchronized
//
// A connection goes back to the pool if it is ready or needs a RSET. A
// transaction may also end by a lost connection, or by a refusal after which
// the server may close. It then leaves the connection busy, and the connection
// is closed.
type connState uint8

const (
	stateReady          connState = iota // the next transaction begins with MAIL
	stateNeedsReset                      // a command was refused: the next transaction begins with RSET
	stateBusy                            // a transaction is under way, or broke off
	stateDesynchronized                  // the server sent octets without a command
)

// begin moves the connection to busy, and reports whether a RSET must go first.
func (c *conn) begin() (reset bool) {
	reset = c.state == stateNeedsReset
	c.state = stateBusy
	return reset
}

// refused notes that the server has refused a command, and accepts a RSET.
func (c *conn) refused() {
	c.state = stateNeedsReset
	c.refusals++
}

// accepted notes that the server has accepted the mail.
func (c *conn) accepted() { c.state, c.refusals = stateReady, 0 }

// isReusable reports whether another transaction may follow.
func (c *conn) isReusable() bool { return c.state == stateReady || c.state == stateNeedsReset }

// An envelope is one message with its addresses.
type envelope struct {
	from, to string
	utf8     bool // to needs SMTPUTF8
	dsn      DSN
	id       string // of the message, for notifications
	mail     composed
	data     []byte // the mail for the relay
}

// limits are the times by which a transaction must reach a step, within the
// life of its context.
type limits struct {
	first time.Time // the server has sent something
	ready time.Time // the server has replied to DATA
}

// transact sends one mail and returns the text of the server's last reply. The
// error belongs to the phase.
func (c *conn) transact(ctx context.Context, e envelope, l limits) (text string, p phase, err error) {
	defer c.raw.bind(ctx, l.first)()
	c.limiter.onReply = func() { c.raw.limit(ctx, l.ready) }
	c.uses++
	if e.utf8 {
		if offered, _ := c.client.Extension("SMTPUTF8"); !offered {
			return "", phaseRcpt, errNeedsUTF8
		}
	}
	if !c.dsn {
		e.dsn = NoDSN
	}
	w, p, err := c.commands(e)
	if e.dsn != NoDSN && c.isReusable() && isAboutParameters(err) {
		e.dsn = NoDSN
		w, p, err = c.commands(e)
		c.dsn = err != nil // else the server has refused the request for notifications
	}
	if err == nil {
		c.raw.limit(ctx, time.Time{})
		text, p, err = c.content(w, e.data)
	}
	if c.limiter.excess {
		c.state = stateDesynchronized
	}
	return text, p, err
}

// commands sends the commands before the message's content.
func (c *conn) commands(e envelope) (*gosmtp.DataCommand, phase, error) {
	reset := c.begin()
	if c.pipelining {
		return c.pipelined(e, reset)
	}
	if reset {
		if err := c.reset(); err != nil {
			return nil, phaseReset, err
		}
	}
	w, p, err := c.oneByOne(e)
	err = c.limiter.ifComplete(err)
	if r, refused := replyOf(err); refused && r.code >= 400 && r.code < 600 && r.code != 421 {
		c.refused()
	}
	return w, p, err
}

// pipelined sends the commands in one write.
func (c *conn) pipelined(e envelope, reset bool) (*gosmtp.DataCommand, phase, error) {
	c.pipe.begin(reset)
	w, p, err := c.oneByOne(e)
	c.pipe.end()
	if c.pipe.failed == "" {
		return w, p, err
	}
	if c.pipe.resettable && c.pipe.failed != phaseReset {
		c.refused()
	}
	if err == nil { // the refusal of an earlier command has the code that accepts DATA
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

// reset ends an unfinished transaction. go-smtp's own Reset makes the next
// command repeat EHLO.
func (c *conn) reset() error {
	_, err := c.limiter.ask(textproto.NewConn(c.limiter), 250, "RSET")
	return err
}

// content sends the message. If a writer has failed, it must not be closed:
// Close adds the final dot, and the server would deliver a truncated mail.
func (c *conn) content(w *gosmtp.DataCommand, message []byte) (text string, p phase, err error) {
	if isReady(message) {
		c.pipe.mail = message
	} else if _, err = w.Write(message); err != nil {
		return "", phaseData, err
	}
	c.limiter.final = true
	response, err := w.CloseWithResponse()
	c.limiter.final = false
	err = c.limiter.ifComplete(err)
	switch {
	case err == nil:
		c.accepted()
		return response.StatusText, phaseDot, nil
	case c.limiter.writeErr != nil: // the final dot was not written completely
		return "", phaseData, err
	}
	return "", phaseDot, err
}

// quit sends QUIT without awaiting the reply, and closes.
func (c *conn) quit() {
	c.raw.setDeadline(time.Now().Add(quitTimeout))
	_, _ = c.limiter.Write([]byte("QUIT\r\n"))
	c.close()
}

// leave sends QUIT and waits, for a moment, until the server has closed the
// connection.
func (c *conn) leave() {
	defer c.close()
	c.raw.setDeadline(time.Now().Add(leaveTimeout))
	if _, err := c.limiter.Write([]byte("QUIT\r\n")); err != nil {
		return
	}
	var reply [256]byte
	for {
		if _, err := c.limiter.Read(reply[:]); err != nil {
			return
		}
	}
}

// close closes the connection beneath TLS, whose own Close may wait seconds to
// write a close_notify to a server that does not read.
func (c *conn) close() { _ = c.raw.Conn.Close() }
