package web

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/otpcourier/otpcourier/channel"
)

// maxRetryAfter bounds what a server may ask for.
const maxRetryAfter = time.Hour

// shownCauses are errors whose text holds no word of the server's.
var shownCauses = []error{
	io.ErrUnexpectedEOF, io.EOF, http.ErrSchemeMismatch, context.DeadlineExceeded, context.Canceled,
}

var (
	errTimeout = errors.New("no answer in time")
	errFailed  = errors.New("the connection failed")
)

func (w *written) failure(ctx context.Context, op string, err error) error {
	e := &channel.Error{Class: channel.Temporary, Op: op, Err: cause(ctx, err)}
	switch {
	case unwelcome(err):
		e.Class = channel.Misconfigured
	case w.yes.Load():
		e.Class = channel.Unknown
	case untrusted(err):
		e.Class = channel.Misconfigured
	}
	return e
}

// cause picks from err's tree what can be shown. A *url.Error prints the URL,
// and net/http quotes answers that it does not understand, which may hold a
// number or a code.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	for _, shown := range shownCauses {
		if errors.Is(err, shown) {
			return shown
		}
	}
	if e, ok := errors.AsType[*net.OpError](err); ok {
		return e
	}
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		return e
	}
	if e, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return e
	}
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
		return errTimeout
	}
	return errFailed
}

// untrusted reports whether TLS failed for a reason that does not pass.
func untrusted(err error) bool {
	_, certificate := errors.AsType[*tls.CertificateVerificationError](err)
	_, record := errors.AsType[tls.RecordHeaderError](err)
	_, authority := errors.AsType[x509.UnknownAuthorityError](err)
	_, host := errors.AsType[x509.HostnameError](err)
	op, _ := errors.AsType[*net.OpError](err)
	alert := op != nil && op.Op == "remote error" // as crypto/tls marks the other side's alerts
	return certificate || record || authority || host || alert || errors.Is(err, http.ErrSchemeMismatch)
}

// unwelcome reports whether the other side has refused our certificate, or that
// there is none. In TLS 1.3 it says so after the request was written, but reads
// none before it has accepted the certificate (RFC 8446 §4.4.2.4).
func unwelcome(err error) bool {
	op, _ := errors.AsType[*net.OpError](err)
	if op == nil || op.Op != "remote error" || op.Err == nil {
		return false
	}
	switch op.Err.Error() { // crypto/tls does not export its alerts
	case "tls: certificate required", "tls: bad certificate", "tls: unsupported certificate",
		"tls: revoked certificate", "tls: expired certificate", "tls: unknown certificate",
		"tls: unknown certificate authority", "tls: access denied":
		return true
	}
	return false
}

// Refusal is the error for an answer that is no success, by its status. The
// answer's body is left out, because it may quote the message.
func Refusal(op string, r Response, now time.Time) *channel.Error {
	return &channel.Error{
		Class: class(r.Status), Op: op, Code: strconv.Itoa(r.Status), RetryAfter: retryAfter(r.Header, now),
	}
}

// NotSent corrects the class of a failure of a request that submits no message:
// Unknown becomes Temporary.
func NotSent(err error) error {
	e, ok := err.(*channel.Error) //nolint:errorlint // it is changed, not looked for
	if ok && e.Class == channel.Unknown {
		e.Class = channel.Temporary
	}
	return err
}

// class returns a status's class, unless the provider defines it otherwise (RFC
// 9110 §15). A server or proxy that fails, 500, 502 or 504, may have passed the
// message on before.
func class(status int) channel.Class {
	switch {
	case status == http.StatusTooManyRequests:
		return channel.Throttled
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status == http.StatusServiceUnavailable:
		return channel.Temporary
	case status == http.StatusNotImplemented, status == http.StatusHTTPVersionNotSupported:
		return channel.Misconfigured
	case status >= 300 && status <= 499:
		return channel.Misconfigured
	}
	return channel.Unknown
}

// retryAfter reads the header Retry-After, in seconds or as a date (RFC 9110
// §10.2.3): zero if there is none, it cannot be read or has passed, at most
// maxRetryAfter.
func retryAfter(h http.Header, now time.Time) time.Duration {
	v := h.Get("Retry-After")
	if v == "" {
		return 0
	}
	var wait time.Duration
	if seconds, err := strconv.ParseUint(v, 10, 64); err == nil {
		wait = time.Duration(min(seconds, uint64(maxRetryAfter/time.Second))) * time.Second
	} else if at, err := http.ParseTime(v); err == nil {
		wait = at.Sub(now)
	}
	return min(max(wait, 0), maxRetryAfter)
}
