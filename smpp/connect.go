package smpp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
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

// refusedForLong reports whether err is the answer to a bind that must not be
// repeated soon.
func refusedForLong(err error) bool {
	status, ok := errors.AsType[Status](err)
	return ok && status.refusesBind()
}

// errBarred says that a bind was refused while this one was about to be sent.
var errBarred = errors.New("smpp: another bind was refused")

// connect returns a session that is bound but not served yet. When connecting
// ends it gives up, but a bind that was sent is waited for until ctx ends: the
// SMSC may have accepted it, and is told goodbye.
func (l *link) connect(ctx, connecting context.Context) (*session, error) {
	for {
		s, err := l.tryConnect(ctx, connecting)
		if !errors.Is(err, errBarred) {
			return s, err
		}
	}
}

func (l *link) tryConnect(ctx, connecting context.Context) (*session, error) {
	config := &l.client.config
	if err := l.enter(connecting); err != nil {
		return nil, l.bindError(err)
	}
	defer l.host.leave()
	deadline := time.Now().Add(config.BindTimeout)
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	connecting, stop := context.WithDeadline(connecting, deadline)
	defer stop()
	who, err := l.credentials(connecting)
	if err != nil {
		return nil, l.bindFailure(connecting, err)
	}
	conn, raw, err := l.dial(connecting)
	if err != nil {
		return nil, l.bindFailure(connecting, err)
	}
	defer l.alone(connecting)()
	if l.barred(who) {
		_ = raw.Close()
		return nil, errBarred
	}
	s, err := l.open(ctx, conn, raw, who)
	switch {
	case refusedForLong(err):
		l.block(who, err)
	case err == nil:
		l.unblock()
	}
	return s, err
}

// dial opens the connection and negotiates TLS.
func (l *link) dial(ctx context.Context) (conn, raw net.Conn, err error) {
	raw, err = l.client.config.Dial(ctx, "tcp", l.host.addr)
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

// credentials is what the next bind says.
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

// open binds.
func (l *link) open(ctx context.Context, conn, raw net.Conn, who wire.Bind) (*session, error) {
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() }) // ends every read and write below
	in := wire.NewReader(conn)
	err := l.bind(conn, in, who)
	if !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		_ = raw.Close()
		return nil, l.bindFailure(ctx, err)
	}
	return newSession(&l.client.config, conn, raw, in), nil
}

// bind sends the bind and awaits its answer. Whatever the SMSC asks before that
// is not answered.
func (l *link) bind(conn net.Conn, in *wire.Reader, who wire.Bind) error {
	const seq = 1
	frame, err := wire.AppendBind(nil, l.kind, seq, who)
	if err != nil {
		return err
	}
	if _, err := conn.Write(frame); err != nil {
		return err
	}
	for {
		f, err := in.Next()
		switch {
		case err != nil:
			return err
		case f.ID != l.kind|pdu.GenericNackID && f.ID != pdu.GenericNackID:
			continue
		case Status(f.Status) != StatusOK:
			return refused("smpp: "+bindName(l.kind), Status(f.Status))
		case f.ID == pdu.GenericNackID:
			return errNacked
		}
		return nil
	}
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
