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
func Try(ctx context.Context, c Channel, m *Message) (Submission, error) {
	own := *m
	own.Tried, own.Last, own.Allow = slices.Clone(m.Tried), slices.Clone(m.Last), nil
	type answer struct {
		s   Submission
		err error
	}
	answered := make(chan answer, 1)
	go func() {
		a := answer{err: &Error{Class: Unknown, Op: "channel: send",
			Err: errors.New("the channel ended its goroutine")}}
		defer func() {
			if v := recover(); v != nil {
				a.err = &Error{Class: Unknown, Op: "channel: send", Err: &PanicError{fmt.Sprintf("%T", v),
					debug.Stack()}}
			}
			answered <- a
		}()
		s, err := c.Send(ctx, &own)
		a = answer{s, Classed("channel: send", err)}
	}()
	select {
	case a := <-answered:
		return a.s, a.err
	case <-ctx.Done():
	}
	t := time.NewTimer(grace)
	defer t.Stop()
	select {
	case a := <-answered:
		return a.s, a.err
	case <-t.C:
		return Submission{State: Failed}, &Error{Class: Unknown, Op: "channel: send", Err: ErrStuck}
	}
}
