package smpp

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// bindName is the name of a bind's command_id.
func bindName(kind pdu.CommandID) string {
	switch kind {
	case pdu.BindTransmitterID:
		return "bind_transmitter"
	case pdu.BindReceiverID:
		return "bind_receiver"
	}
	return "bind_transceiver"
}

// errBarred is the error of a bind that was not sent: the SMSC has just refused
// its credentials.
var errBarred = errors.New("smpp: the credentials were refused")

// connect returns a bound session that is not served yet. It gives up when
// connecting ends, unless a bind was sent; then it waits for the answer until
// ctx ends.
func (l *link) connect(ctx, connecting context.Context) (*session, error) {
	for {
		s, err := l.tryConnect(ctx, connecting)
		if !errors.Is(err, errBarred) {
			return s, err
		}
	}
}

// tryConnect is connect, but fails with errBarred if Config.Credentials returned
// credentials that must wait.
//
// Its two contexts have the deadline of BindTimeout. connecting ends when
// Shutdown or Close begins: until the bind is sent nothing has happened at the
// SMSC, so the link can stop at once. ctx ends with Close only: once the bind is
// sent the SMSC may have accepted it, so Shutdown must wait for the answer, in
// order to unbind the session.
func (l *link) tryConnect(ctx, connecting context.Context) (*session, error) {
	config := &l.client.config
	l.refusal = 0
	if err := l.awaitTurn(connecting); err != nil {
		return nil, l.bindError(err)
	}
	defer l.host.release()
	deadline := time.Now().Add(config.BindTimeout)
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	connecting, stop := context.WithDeadline(connecting, deadline)
	defer stop()
	credentials, err := l.credentials(connecting)
	if err != nil {
		return nil, l.bindFailure(connecting, err)
	}
	if l.barred(credentials) {
		return nil, errBarred
	}
	conn, raw, err := l.dial(connecting)
	if err != nil {
		return nil, l.bindFailure(connecting, err)
	}
	s, err := l.open(ctx, conn, raw, credentials)
	if err == nil {
		l.accepted(credentials)
	} else if status, ok := errors.AsType[Status](err); ok {
		e, _ := errors.AsType[*channel.Error](err)
		l.refuse(credentials, e, status)
	}
	return s, err
}

// dial opens the connection and negotiates TLS.
func (l *link) dial(ctx context.Context) (conn, raw net.Conn, err error) {
	addr := l.host.addr
	if l.client.config.AllAddresses {
		if addr, err = l.nextAddress(ctx); err != nil {
			return nil, nil, err
		}
	}
	raw, err = l.client.config.Dial(ctx, "tcp", addr)
	if err != nil {
		return nil, nil, err
	}
	conn = raw
	if l.host.tls != nil {
		t := tls.Client(raw, l.host.tls)
		conn, err = t, t.HandshakeContext(ctx)
	}
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = raw.Close()
		return nil, nil, err
	}
	return conn, raw, nil
}

// nextAddress returns an address of the host's name. Each link of the host, and
// each try, gets the next one.
func (l *link) nextAddress(ctx context.Context) (string, error) {
	name, port, _ := net.SplitHostPort(l.host.addr) // checked by validate
	all, err := l.client.config.lookupHost(ctx, name)
	if err != nil {
		return "", err
	}
	if len(all) == 0 {
		return "", fmt.Errorf("%s has no address", name)
	}
	slices.Sort(all)
	l.turn++
	return net.JoinHostPort(all[(l.turn-1)%len(all)], port), nil
}

// credentials returns the credentials of the next bind.
func (l *link) credentials(ctx context.Context) (wire.Bind, error) {
	config := &l.client.config
	b := wire.Bind{
		SystemID: config.SystemID, Password: config.Password, SystemType: config.SystemType, Version: config.Version,
	}
	if config.Credentials == nil {
		return b, nil
	}
	var err error
	if b.SystemID, b.Password, err = config.Credentials(ctx); err != nil {
		return b, fmt.Errorf("credentials: %w", err)
	}
	if err := wire.CheckCString(b.SystemID, wire.MaxSystemID); err != nil {
		return b, fmt.Errorf("system_id %w", err)
	}
	if err := wire.CheckCString(b.Password, wire.MaxPassword); err != nil {
		return b, fmt.Errorf("password %w", err)
	}
	return b, nil
}

// open binds over a connection.
func (l *link) open(ctx context.Context, conn, raw net.Conn, credentials wire.Bind) (*session, error) {
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() }) // ends every read and write below
	trace := l.client.config.tracer(l.host.addr)
	conn = trace.wrap(conn)
	in := wire.NewReader(conn)
	early, err := l.bind(conn, in, credentials, trace)
	if !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		_ = raw.Close()
		return nil, l.bindFailure(ctx, err)
	}
	s := newSession(&l.client.config, conn, raw, in)
	s.early, s.trace = early, trace
	return s, nil
}

// maxEarly is the largest number of requests from the SMSC before its answer to
// the bind.
const maxEarly = 100

// errEarly is the error of a connection with more than maxEarly such requests.
var errEarly = errors.New("SMSC sends requests and does not answer the bind")

// bind sends the bind and awaits its answer. It returns the earlier requests of
// the SMSC, for the session to answer.
func (l *link) bind(conn net.Conn, in *wire.Reader, credentials wire.Bind, trace *tracer) (
	early []wire.Frame, err error,
) {
	const seq = 1
	frame, err := wire.AppendBindFor(nil, l.kind, seq, credentials, l.client.config.served())
	if err != nil {
		return nil, err
	}
	if _, err := conn.Write(frame); err != nil {
		return nil, err
	}
	for {
		f, err := in.Next()
		if err != nil {
			return nil, err
		}
		trace.received(f)
		switch {
		case f.ID == l.kind|pdu.GenericNackID, f.ID == pdu.GenericNackID:
			return early, l.bindAnswer(f)
		case f.IsResponse():
		case len(early) == maxEarly:
			return nil, errEarly
		default:
			f.Body = bytes.Clone(f.Body)
			early = append(early, f)
		}
	}
}

// bindAnswer returns the error of an answer to the bind.
func (l *link) bindAnswer(f wire.Frame) error {
	switch {
	case Status(f.Status) != StatusOK:
		return refused("smpp: "+bindName(l.kind), Status(f.Status))
	case f.ID == pdu.GenericNackID:
		return errNacked
	}
	return nil
}

// bindFailure makes err a channel.Error: no message was sent.
func (l *link) bindFailure(ctx context.Context, err error) error {
	if e, ok := errors.AsType[*channel.Error](err); ok {
		return e
	}
	if cause := ctx.Err(); cause != nil && !errors.Is(err, cause) {
		err = fmt.Errorf("%w: %w", cause, err)
	}
	return l.bindError(err)
}

func (l *link) bindError(err error) error {
	return &channel.Error{Class: channel.Temporary, Op: "smpp: " + bindName(l.kind), Err: err}
}
