package channeltest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/otpcourier/otpcourier/channel"
)

// A Fake is a scripted channel that records the messages it was given. The zero
// value accepts every message that a real channel would.
type Fake struct {
	// Name begins the provider ids, for example "carrier-a-1", "carrier-a-2",
	// in the order of the calls. Default "fake".
	Name string

	// Address is the kind of address that a recipient must have: the fake
	// refuses others as InvalidRecipient. Default: any kind.
	Address channel.Address

	// Answers are given one for each call, in order: [Accept], [Refuse],
	// [Stall], [Hold], or your own function.
	Answers []channel.Func

	// Then answers every call after Answers. Default: [Accept], unless the
	// message has expired or its recipient is invalid, or the context has
	// ended.
	Then channel.Func

	mu    sync.Mutex
	calls []Call
	ids   int
}

// A Call is one call of a Fake's Send.
type Call struct {
	Message    channel.Message // a copy
	Answered   bool            // the two fields below are set
	Submission channel.Submission
	Err        error
}

var _ channel.Channel = (*Fake)(nil)

// Send records m and gives the next answer, whose context ends with the
// message's life. If the answer has neither ProviderIDs nor an error, Send adds
// the fake's next id.
func (f *Fake) Send(ctx context.Context, m *channel.Message) (channel.Submission, error) {
	answer, n := f.record(m)
	if time.Now().Before(m.Expires) {
		bounded, cancel := context.WithDeadline(ctx, m.Expires)
		defer cancel()
		ctx = bounded
	}
	s, err := answer(ctx, m)

	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil && len(s.ProviderIDs) == 0 {
		f.ids++
		s.ProviderIDs = []string{fmt.Sprintf("%s-%d", f.name(), f.ids)}
	}
	c := &f.calls[n]
	c.Answered, c.Submission, c.Err = true, s, err
	return s, err
}

// record notes the call and returns its answer and its index.
func (f *Fake) record(m *channel.Message) (channel.Func, int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := len(f.calls)
	c := Call{Message: *m}
	c.Message.Tried = slices.Clone(m.Tried)
	f.calls = append(f.calls, c)
	switch {
	case n < len(f.Answers):
		return f.Answers[n], n
	case f.Then != nil:
		return f.Then, n
	}
	return f.accept, n
}

func (f *Fake) accept(ctx context.Context, m *channel.Message) (channel.Submission, error) {
	refused := &channel.Error{Op: f.name() + ": send"}
	switch {
	case ctx.Err() != nil:
		refused.Class, refused.Err = channel.Temporary, ctx.Err()
	case !m.Expires.IsZero() && !time.Now().Before(m.Expires):
		refused.Class = channel.Expired
	case m.To.Validate() != nil, f.Address != 0 && !m.To.Has(f.Address):
		refused.Class = channel.InvalidRecipient
	default:
		return channel.Submission{State: channel.Sent}, nil
	}
	return channel.Submission{State: channel.Failed}, refused
}

func (f *Fake) name() string {
	if f.Name == "" {
		return "fake"
	}
	return f.Name
}

// Calls returns every call of Send so far, in order, refused ones included.
func (f *Fake) Calls() []Call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

// Accepted returns the messages that were answered without an error, in the
// order of the calls.
func (f *Fake) Accepted() []channel.Message {
	var all []channel.Message
	for _, c := range f.Calls() {
		if c.Answered && c.Err == nil {
			all = append(all, c.Message)
		}
	}
	return all
}

// Accept answers that the provider has taken the message under these ids.
// Without ids, it has one of the Fake's own.
func Accept(providerIDs ...string) channel.Func {
	return func(context.Context, *channel.Message) (channel.Submission, error) {
		return channel.Submission{ProviderIDs: slices.Clone(providerIDs), State: channel.Sent}, nil
	}
}

// Refuse answers with an error of this class and protocol code.
func Refuse(class channel.Class, code string) channel.Func {
	return Fail(&channel.Error{Class: class, Op: "fake: send", Code: code})
}

// Fail answers with err, which need not be a [channel.Error].
func Fail(err error) channel.Func {
	return func(context.Context, *channel.Message) (channel.Submission, error) {
		return channel.Submission{State: channel.Failed}, err
	}
}

// Stall answers only when the call's context ends; the class is Unknown, as for
// a response that never came.
func Stall() channel.Func { return Hold(nil, nil) }

// Hold answers with then after release is closed. If the call's context ends
// first, it answers as [Stall] does.
func Hold(release <-chan struct{}, then channel.Func) channel.Func {
	return func(ctx context.Context, m *channel.Message) (channel.Submission, error) {
		select {
		case <-release:
			return then(ctx, m)
		case <-ctx.Done():
			err := fmt.Errorf("%w: %w", errNoAnswer, ctx.Err())
			return channel.Submission{State: channel.Failed},
				&channel.Error{Class: channel.Unknown, Op: "fake: send", Err: err}
		}
	}
}

var errNoAnswer = errors.New("no answer from the provider")
