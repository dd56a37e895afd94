package smpp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"

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

// connect returns a session that is bound but not served yet.
func (l *link) connect(ctx context.Context) (*session, error) {
	if err := l.host.enter(ctx); err != nil {
		return nil, l.bindError(err)
	}
	defer l.host.leave()
	s, err := l.dial(ctx)
	if refusedForLong(err) {
		l.block(err)
	}
	return s, err
}

func (l *link) dial(ctx context.Context) (*session, error) {
	config := &l.client.config
	ctx, cancel := context.WithTimeout(ctx, config.BindTimeout)
	defer cancel()
	who, err := l.credentials(ctx)
	if err != nil {
		return nil, l.bindFailure(ctx, err)
	}
	raw, err := config.Dial(ctx, "tcp", l.host.addr)
	if err != nil {
		return nil, l.bindFailure(ctx, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() }) // ends every read and write below
	s, err := l.open(ctx, raw, who)
	if !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		_ = raw.Close()
		return nil, l.bindFailure(ctx, err)
	}
	return s, nil
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
	return b, errors.Join(
		wire.CheckCString("system_id", b.SystemID, wire.MaxSystemID),
		wire.CheckCString("password", b.Password, wire.MaxPassword),
	)
}

// open negotiates TLS and binds.
func (l *link) open(ctx context.Context, raw net.Conn, who wire.Bind) (*session, error) {
	config := &l.client.config
	conn := raw
	if l.host.tls != nil {
		t := tls.Client(raw, l.host.tls)
		if err := t.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		conn = t
	}
	idle := &idleReader{conn: conn}
	in := wire.NewReader(idle)
	if err := l.bind(conn, in, who); err != nil {
		return nil, err
	}
	idle.timeout = config.EnquireLink + 2*config.EnquireLinkTimeout
	return newSession(config, conn, raw, in), nil
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
