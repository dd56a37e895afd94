package gateway

import (
	"context"
	"errors"
)

// ErrClosed is the cause of errors after Close or Shutdown.
var ErrClosed = errors.New("gateway: channel closed")

// Shutdown refuses further messages and webhooks, ends polling, and waits for
// the calls and receipts under way. If ctx ends first, Shutdown cuts them off
// and returns the context's error. Messages that were submitted stay submitted;
// a process that starts later gets their webhooks.
func (g *SMSGate) Shutdown(ctx context.Context) error { return g.life.Shutdown(ctx) }

// Close refuses further messages and webhooks and cuts off the calls under way,
// which return at once. It may be called again.
func (g *SMSGate) Close() error { return g.life.Close() }
