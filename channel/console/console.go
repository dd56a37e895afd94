// Package console prints messages instead of sending them, for development: a
// program runs on a desk before it has a carrier or a mail relay.
//
//	svc, err := otp.New(otp.Config{Channel: console.New(os.Stderr), …})
//
// Everyone who reads the output can use the codes in it. Each message says so.
// A program must not use this channel in production.
package console

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/otpcourier/otpcourier/channel"
)

// notice begins each message.
const notice = "DEVELOPMENT ONLY: this message was printed, not sent; anyone who reads it can use the code"

// New returns a channel that prints each message to w, with its recipient and
// its code. It accepts any kind of address, and refuses a malformed one. If w
// fails, the message counts as not sent, and the error has class Temporary. The
// channel is safe for concurrent use: it calls w.Write once for each message,
// one call at a time.
func New(w io.Writer) channel.Channel {
	var mu sync.Mutex
	return channel.Func(func(ctx context.Context, m *channel.Message) (channel.Submission, error) {
		refused := func(class channel.Class, err error) (channel.Submission, error) {
			return channel.Submission{State: channel.Failed},
				&channel.Error{Class: class, Op: "console: send", Err: err}
		}
		switch err := m.To.Validate(); {
		case err != nil:
			return refused(channel.InvalidRecipient, err)
		case !m.Expires.IsZero() && !time.Now().Before(m.Expires):
			return refused(channel.Expired, errors.New("the message has expired"))
		case ctx.Err() != nil:
			return refused(channel.Temporary, ctx.Err())
		}
		text := page(m)
		mu.Lock()
		defer mu.Unlock()
		if _, err := w.Write(text); err != nil {
			return refused(channel.Temporary, err)
		}
		return channel.Submission{State: channel.Sent}, nil
	})
}

// page is the printed form of a message. It indents the lines of the message,
// so that none looks like the frame.
func page(m *channel.Message) []byte {
	var b bytes.Buffer
	fmt.Fprintln(&b, "==", notice)
	for _, kind := range []channel.Address{channel.Phone, channel.Email, channel.Push, channel.Chat} {
		if to := m.To.Of(kind); to != "" {
			fmt.Fprintf(&b, "%-8s %s\n", kind, to)
		}
	}
	if m.Subject != "" && m.To.Has(channel.Email) {
		fmt.Fprintf(&b, "%-8s %s\n", "subject", m.Subject)
	}
	fmt.Fprintf(&b, "%-8s %s\n", "code", m.Code)
	for line := range strings.SplitSeq(strings.TrimRight(m.Text, "\n"), "\n") {
		fmt.Fprintln(&b, "   ", line)
	}
	return b.Bytes()
}
