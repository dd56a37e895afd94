package smpp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"time"

	"github.com/ajankovic/smpp/pdu"
	"github.com/cenkalti/backoff/v5"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

const opBind = "smpp: bind_transceiver"

// run keeps the client bound until connecting ends, and closes what is open
// when ctx ends. It owns every goroutine of the client.
func (c *Client) run(ctx, connecting context.Context) {
	defer close(c.stopped)
	defer c.receivers.Wait()
	pauses := backoff.ExponentialBackOff{
		InitialInterval: c.config.ReconnectMin, MaxInterval: c.config.ReconnectMax,
		Multiplier: 2, RandomizationFactor: 0.5,
	}
	pauses.Reset()
	for {
		began := time.Now()
		s, err := c.connect(connecting)
		if err != nil {
			c.failed(err)
		} else {
			err = c.serve(ctx, s)
		}
		if connecting.Err() != nil {
			return
		}
		if s != nil && time.Since(began) > c.config.ReconnectMax {
			pauses.Reset()
			continue
		}
		sleep(connecting, c.pause(err, &pauses))
	}
}

// serve runs a bound session until it ends, and returns why.
func (c *Client) serve(ctx context.Context, s *session) error {
	s.onRetire = func(cause error) { c.detach(s, cause) }
	c.receivers.Go(func() { s.handOver(ctx) })
	c.attach(s)
	stop := context.AfterFunc(ctx, func() { s.end(ErrClosed) })
	defer stop()
	c.log().Info("smpp: bound", "addr", c.config.Addr, "system_id", c.config.SystemID)
	err := s.serve()
	c.log().Info("smpp: session ended", "addr", c.config.Addr, "cause", err)
	return err
}

// pause is how long to wait after a connection failed with err.
func (c *Client) pause(err error, pauses *backoff.ExponentialBackOff) time.Duration {
	if status, ok := errors.AsType[Status](err); ok && status.refusesBind() {
		wait := c.config.RefusedWait
		wait += rand.N(wait/4 + 1)
		c.log().Error("smpp: SMSC refuses the credentials or the address", "addr", c.config.Addr,
			"system_id", c.config.SystemID, "status", status.Code(), "error", err, "next_try", wait)
		return wait
	}
	wait := pauses.NextBackOff()
	c.log().Warn("smpp: not bound", "addr", c.config.Addr, "error", err, "next_try", wait)
	return wait
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// connect returns a session that is bound but not served yet.
func (c *Client) connect(ctx context.Context) (*session, error) {
	ctx, cancel := context.WithTimeout(ctx, c.config.BindTimeout)
	defer cancel()
	raw, err := c.config.Dial(ctx, "tcp", c.config.Addr)
	if err != nil {
		return nil, bindFailure(ctx, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() }) // ends every read and write below
	s, err := c.open(ctx, raw)
	if !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		_ = raw.Close()
		return nil, bindFailure(ctx, err)
	}
	return s, nil
}

// open negotiates TLS and binds.
func (c *Client) open(ctx context.Context, raw net.Conn) (*session, error) {
	conn := raw
	if !c.config.DangerouslyPlaintext {
		t := tls.Client(raw, c.config.TLS)
		if err := t.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		conn = t
	}
	idle := &idleReader{conn: conn}
	in := wire.NewReader(idle)
	if err := c.bind(conn, in); err != nil {
		return nil, err
	}
	idle.timeout = c.config.EnquireLink + 2*c.config.EnquireLinkTimeout
	return newSession(&c.config, conn, raw, in), nil
}

// bind sends bind_transceiver and awaits its answer. Whatever the SMSC asks
// before that is not answered.
func (c *Client) bind(conn net.Conn, in *wire.Reader) error {
	const seq = 1
	frame, err := wire.AppendBind(nil, pdu.BindTransceiverID, seq, wire.Bind{
		SystemID: c.config.SystemID, Password: c.config.Password, SystemType: c.config.SystemType,
		Version: wire.Version34,
	})
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
		case f.ID != pdu.BindTransceiverRespID && f.ID != pdu.GenericNackID:
			continue
		case Status(f.Status) != StatusOK:
			return refused(opBind, Status(f.Status))
		case f.ID == pdu.GenericNackID:
			return errNacked
		}
		return nil
	}
}

// bindFailure makes err a channel.Error: no message was sent.
func bindFailure(ctx context.Context, err error) error {
	if e, ok := errors.AsType[*channel.Error](err); ok {
		return e
	}
	if cause := ctx.Err(); cause != nil && !errors.Is(err, cause) {
		err = fmt.Errorf("%w: %w", cause, err)
	}
	return &channel.Error{Class: channel.Temporary, Op: opBind, Err: err}
}
