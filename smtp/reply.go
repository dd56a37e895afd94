package smtp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/emersion/go-sasl"
	gosmtp "github.com/emersion/go-smtp"

	"github.com/otpcourier/otpcourier/channel"
)

// A phase is the step of a transaction in which an error occurred. It decides
// the meaning of a reply: 5.1.1 after RCPT is about the recipient, after MAIL
// about us.
type phase string

const (
	phaseMessage phase = "message" // before it is offered to a relay
	phaseRelay   phase = "relay"   // choosing a relay
	phaseQueue   phase = "waiting for a connection"
	phaseDial    phase = "dial"
	phaseTLS     phase = "tls"
	phaseHello   phase = "ehlo" // with the greeting
	phaseAuth    phase = "auth"
	phaseReset   phase = "rset"
	phaseMail    phase = "mail"
	phaseRcpt    phase = "rcpt"
	phaseData    phase = "data" // up to the line with the final dot
	phaseDot     phase = "end of data"
)

// A reply is a refusal by the server. It leaves out the server's words, which
// often repeat the recipient's address.
type reply struct {
	code     int
	enhanced string // RFC 3463, "5.1.1"; empty: none
	reason   reason // from the words
	doubtful bool   // it came after a recipient was named, and may be about the recipient or about us
}

func (r reply) Error() string { return "the server replied " + strconv.Itoa(r.code) }

// String returns the enhanced status code, or the reply code without one.
func (r reply) String() string {
	if r.enhanced != "" {
		return r.enhanced
	}
	return strconv.Itoa(r.code)
}

// replyOf finds a refusal in err.
func replyOf(err error) (reply, bool) {
	var (
		smtpErr *gosmtp.SMTPError
		textErr *textproto.Error
	)
	switch {
	case errors.As(err, &smtpErr):
		// go-smtp drops a status without words after it.
		enhanced := enhancedIn(smtpErr.Code, smtpErr.Message)
		if e := smtpErr.EnhancedCode; e[0] != 0 {
			enhanced = enhancedIn(smtpErr.Code, strconv.Itoa(e[0])+"."+strconv.Itoa(e[1])+"."+strconv.Itoa(e[2]))
		}
		return reply{code: smtpErr.Code, enhanced: enhanced, reason: reasonIn(smtpErr.Message)}, true
	case errors.As(err, &textErr):
		return reply{
			code: textErr.Code, enhanced: enhancedIn(textErr.Code, textErr.Msg), reason: reasonIn(textErr.Msg),
		}, true
	}
	return reply{}, false
}

// enhancedIn returns the enhanced status code at the start of text. RFC 3463 §2
// does not allow it to contradict the reply code; if it does, the result is "".
func enhancedIn(code int, text string) string {
	end := strings.IndexFunc(text, func(r rune) bool { return r != '.' && (r < '0' || r > '9') })
	if end < 0 {
		end = len(text)
	}
	status := text[:end]
	parts := strings.Split(status, ".")
	if len(parts) != 3 || parts[0] != strconv.Itoa(code/100) {
		return ""
	}
	for _, part := range parts {
		if part == "" || len(part) > 3 {
			return ""
		}
	}
	return status
}

// recipientClasses are the statuses about the mailbox, after it was named.
var recipientClasses = map[string]channel.Class{
	"5.1.1":  channel.InvalidRecipient, // no such mailbox
	"5.1.2":  channel.InvalidRecipient, // no such domain
	"5.1.3":  channel.InvalidRecipient, // bad syntax
	"5.1.6":  channel.InvalidRecipient, // moved, no forwarding
	"5.1.10": channel.InvalidRecipient, // the domain takes no mail (RFC 7505)
	"5.2.1":  channel.InvalidRecipient, // disabled
	"4.1.1":  channel.Unreachable,      // the mailbox cannot be verified now
	"4.1.2":  channel.Unreachable,      // the domain cannot be found now
	"4.2.1":  channel.Unreachable,      // not accepting now, or too much mail for it
	"4.2.2":  channel.Unreachable,      // full
	"5.2.2":  channel.Unreachable,      // full
}

// namesRecipient reports whether a reply in the phase may be about the
// recipient.
func (p phase) namesRecipient() bool { return p == phaseRcpt || p == phaseData || p == phaseDot }

// class returns the class of the refusal. Every code is at least 400.
func (r reply) class(p phase) channel.Class {
	switch {
	case p.namesRecipient():
		return r.messageClass()
	case r.refusesLogin():
		return channel.Misconfigured
	case p == phaseHello: // the relay accepts nobody's mail now
		return channel.Temporary
	case r.throttles():
		return channel.Throttled
	case r.code < 500:
		return channel.Temporary
	}
	return channel.Misconfigured
}

// messageClass is class after a recipient was named. A single person's message
// never shows that we are misconfigured: see suspicion.
func (r reply) messageClass() channel.Class {
	class, found := recipientClasses[r.enhanced]
	switch {
	case r.throttles():
		return channel.Throttled
	case class == channel.InvalidRecipient && r.reason != reasonNone:
		return channel.Unreachable // a live address, by the words
	case found:
		return class
	case r.code < 500, r.isSequence():
		return channel.Temporary
	}
	return channel.Unreachable
}

// isSequence reports whether the server has lost track of the transaction.
func (r reply) isSequence() bool { return r.code == 503 }

// isDoubtful reports whether a refusal in the phase may be about the recipient
// or about us. That is every permanent refusal whose status does not name the
// mailbox.
func (r reply) isDoubtful(p phase) bool {
	_, found := recipientClasses[r.enhanced]
	return p.namesRecipient() && r.code >= 500 && !found && !r.throttles() && !r.isSequence()
}

// isAboutRecipient reports whether a temporary refusal in the phase is about
// the recipient. That is every refusal of RCPT. A later refusal is, such as
// greylisting by content, unless it is about the mail system or the network.
// 421 ends the connection.
func (r reply) isAboutRecipient(p phase) bool {
	isSystem := strings.HasPrefix(r.enhanced, "4.3.") || strings.HasPrefix(r.enhanced, "4.4.")
	return r.code != 421 && (p == phaseRcpt || p.namesRecipient() && !isSystem && !r.isSequence())
}

func (r reply) refusesLogin() bool {
	return r.code == 530 || r.code == 534 || r.code == 535 || r.code == 538 || r.enhanced == "5.7.8"
}

// throttles reports whether we send too much or too fast: Google's 421 4.7.28
// and 550 5.4.5, Exchange's 432 4.3.2, Amazon's 454 Throttling failure.
func (r reply) throttles() bool {
	switch r.code {
	case 421, 450, 451:
		return r.enhanced == "4.7.28"
	case 432:
		return r.enhanced == "4.3.2"
	case 454:
		return r.reason == reasonRate
	case 550:
		return r.enhanced == "5.4.5"
	}
	return false
}

// limitsConnections reports whether the relay refused a mail for now, because
// we have too many connections. Microsoft 365 says so after the mail, 432
// 4.3.2.
func (r reply) limitsConnections() bool {
	return r.code < 500 && r.reason == reasonConns || r.code == 432 && r.enhanced == "4.3.2"
}

func (r reply) aboutSyntax() bool {
	return r.code >= 500 && r.code <= 504 || r.code == 555 || strings.HasPrefix(r.enhanced, "5.5.")
}

var (
	errExpired        = errors.New("the code has expired")
	errMalformedReply = errors.New("the server's reply is malformed")
	errUnexpected     = errors.New("the server's reply does not fit the command")
)

// failure returns the error of a message for err in phase p.
func failure(ctx context.Context, p phase, err error) *channel.Error {
	e := &channel.Error{Op: "smtp: " + string(p)}
	if r, ok := replyOf(err); ok {
		e.Code = r.String()
		if r.code >= 400 && r.code < 600 {
			r.doubtful = r.isDoubtful(p)
			e.Class, e.Err = r.class(p), r
			e.AboutRecipient = e.Class == channel.Temporary && r.isAboutRecipient(p)
			return e
		}
		err = errUnexpected
	}
	e.Class, e.Err = channel.Temporary, withoutServerText(err)
	cause := causeOf(ctx, err)
	switch {
	case p == phaseDot: // written, without a refusal
		e.Class = channel.Unknown
	case errors.Is(cause, errExpired):
		e.Class = channel.Expired
	case cause != nil: // the end of ctx caused err
	case p == phaseTLS && !isNetworkError(err), isAlert(err):
		e.Class = channel.Misconfigured
	case isLoginFault(err):
		e.Class = channel.Misconfigured
	}
	if cause != nil {
		e.Err = cause
		if errors.Is(err, errNoGreeting) {
			e.Err = fmt.Errorf("%w: %w", errNoGreeting, cause)
		}
	}
	return e
}

// isLoginFault reports whether the login cannot work with this configuration.
func isLoginFault(err error) bool {
	for _, fault := range [...]error{
		errNoMechanism, errSCRAM, errSCRAMPassword, errToken, sasl.ErrUnexpectedServerChallenge,
	} {
		if errors.Is(err, fault) {
			return true
		}
	}
	return false
}

// isAboutParameters reports whether a reply refuses, or may refuse, the
// parameters after an address in MAIL or RCPT. A status 5.1.x is about the
// address.
func isAboutParameters(err error) bool {
	r, refused := replyOf(err)
	return refused && (r.code == 555 || r.code == 501 && !strings.HasPrefix(r.enhanced, "5.1."))
}

// causeOf returns why ctx has ended, or nil. The connection's deadline is the
// context's, and may pass a moment before the context ends.
func causeOf(ctx context.Context, err error) error {
	deadline, ok := ctx.Deadline()
	if ok && errors.Is(err, os.ErrDeadlineExceeded) && !time.Now().Before(deadline) {
		<-ctx.Done()
	}
	return context.Cause(ctx)
}

// withoutServerText removes the server's words from err.
func withoutServerText(err error) error {
	if _, ok := errors.AsType[textproto.ProtocolError](err); ok {
		return errMalformedReply
	}
	return err
}

// isAlert reports whether err is a TLS alert from the server. In TLS 1.3 the
// server reports a refused client certificate after the handshake (RFC 8446
// §4.4.2.4).
func isAlert(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "remote error"
}

// isNetworkError tells a lost or slow connection from a disagreement about TLS.
func isNetworkError(err error) bool {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, io.ErrClosedPipe) {
		return true
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Op == "read" || op.Op == "write"
	}
	netErr, ok := errors.AsType[net.Error](err)
	return ok && netErr.Timeout()
}
