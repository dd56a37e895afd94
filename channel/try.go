package channel

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"
)

// ErrStuck is the cause of an [Error] of class [Unknown] if Send has not
// returned although its context has ended.
var ErrStuck = errors.New("channel: Send ignores its context")

// A PanicError is the cause of an [Error] of class [Unknown] if Send has
// panicked. It does not hold the panic's value, which may be a secret.
type PanicError struct {
	Type  string // of the value
	Stack []byte
}

// Error names the type of the value.
func (e *PanicError) Error() string { return "the channel panicked with a " + e.Type }

// grace is how long Try waits for Send after its context has ended.
const grace = 500 * time.Millisecond

// Try calls c.Send for one message and survives a faulty c. Try gives c a copy
// of m, which c may keep or change. If c panics, or returns a nil *[Error] as
// an error, the error has class [Unknown]. If c has not returned half a second
// after ctx has ended, Try returns with [ErrStuck], and Send goes on in a
// goroutine of its own.
//
// If c is a [Prompter] and prompt, Try calls SendUntil with m itself, and in the
// caller's goroutine: that takes half the memory and much less time.
func Try(ctx context.Context, c Channel, m *Message) (Submission, error) {
	return TryUntil(ctx, c, m, time.Time{})
}

// TryUntil is [Try] with a context that ends at until, too, unless until is zero.
func TryUntil(ctx context.Context, c Channel, m *Message, until time.Time) (Submission, error) {
	if p, ok := c.(Prompter); ok && p.Prompt(c) {
		var t try
		t.call(func() (Submission, error) { return p.SendUntil(ctx, m, until) })
		return t.sub, t.err
	}
	if !until.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, until)
		defer cancel()
	}
	return tryApart(ctx, c, m)
}

// tryApart is Try for a channel that may be faulty.
func tryApart(ctx context.Context, c Channel, m *Message) (Submission, error) {
	own := *m
	own.Tried, own.Last, own.Allow = slices.Clone(m.Tried), slices.Clone(m.Last), nil
	t := new(try)
	done := make(chan struct{})
	go func() {
		defer close(done)
		growStack(false)
		t.call(func() (Submission, error) { return c.Send(ctx, &own) })
	}()
	select {
	case <-done:
		return t.sub, t.err
	case <-ctx.Done():
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-done:
		return t.sub, t.err
	case <-timer.C:
		return Submission{State: Failed}, &Error{Class: Unknown, Op: opSend, Err: ErrStuck}
	}
}

const opSend = "channel: send"

// A try is one call of a Channel's Send.
type try struct {
	sub Submission
	err error
}

// call calls send, and sets sub and err.
func (t *try) call(send func() (Submission, error)) {
	returned := false
	defer func() {
		if v := recover(); v != nil {
			t.fail(&PanicError{fmt.Sprintf("%T", v), debug.Stack()})
		} else if !returned {
			t.fail(errors.New("the channel ended its goroutine"))
		}
	}()
	sub, err := send()
	t.sub, t.err = sub, Classed(opSend, err)
	returned = true
}

func (t *try) fail(cause error) {
	t.sub, t.err = Submission{}, &Error{Class: Unknown, Op: opSend, Err: cause}
}

// growStack makes the stack of a new goroutine large enough for most channels' Send. The
// runtime would otherwise enlarge it with the calls of Send on it, which takes much longer.
//
//go:noinline
func growStack(use bool) {
	if use { // never; the room is part of the frame even so, and need not be cleared
		var room [4 << 10]byte
		touch(&room)
	}
}

//go:noinline
func touch(room *[4 << 10]byte) { room[0] = 1 }
