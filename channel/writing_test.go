package channel_test

import (
	"context"
	"errors"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/channeltest"
)

// pager is the channel of WRITING.md, with its provider.
type pager struct {
	accepted atomic.Int32
	status   atomic.Int32 // of refusals; 0: accepts
}

// noAnswer is a status of the provider's that stands for none.
const noAnswer = -1

// classes are those of the provider's statuses.
var classes = map[int]channel.Class{1: channel.Temporary, 2: channel.Throttled, 3: channel.Unreachable,
	4: channel.InvalidRecipient, 5: channel.Misconfigured}

func (p *pager) page(ctx context.Context, _, _, _ string) (id string, status int, err error) {
	if err := ctx.Err(); err != nil {
		return "", 0, err
	}
	switch status := p.status.Load(); status {
	case 0:
		return "page-" + strconv.Itoa(int(p.accepted.Add(1))), 0, nil
	case noAnswer:
		return "", 0, errors.New("EOF")
	default:
		return "", int(status), nil
	}
}

// refuse makes the provider answer by the status of a class.
func (p *pager) refuse(class channel.Class) bool {
	if class == channel.Unknown {
		p.status.Store(noAnswer)
		return true
	}
	for status, c := range classes {
		if c == class {
			p.status.Store(int32(status))
			return true
		}
	}
	return false
}

func pagerError(class channel.Class, code string, cause error) error {
	return &channel.Error{Class: class, Op: "pager: page", Code: code, Err: cause}
}

func (p *pager) Send(ctx context.Context, m *channel.Message) (channel.Submission, error) {
	to := channel.Recipient{Push: m.To.Push}
	if err := to.Validate(); err != nil { // no token, or a line break in it
		return channel.Submission{State: channel.Failed}, err
	}
	if !m.Expires.IsZero() && !time.Now().Before(m.Expires) {
		return channel.Submission{State: channel.Failed}, pagerError(channel.Expired, "", nil)
	}
	id, status, err := p.page(ctx, to.Push, m.Text, m.ID) // Message.ID is the idempotency key
	switch {
	case err != nil: // no answer: it may have been sent
		return channel.Submission{State: channel.Failed}, pagerError(channel.Unknown, "", ctx.Err())
	case status != 0:
		return channel.Submission{State: channel.Failed}, pagerError(classes[status], strconv.Itoa(status), nil)
	}
	return channel.Submission{ProviderIDs: []string{id}, State: channel.Sent}, nil
}

func TestPager(t *testing.T) {
	t.Parallel()
	channeltest.Run(t, channeltest.Harness{
		Address:     channel.Push,
		ProviderIDs: true,
		New: func(testing.TB) channeltest.Subject {
			p := &pager{}
			return channeltest.Subject{
				Channel:  p,
				Accepted: func() int { return int(p.accepted.Load()) },
				Refuse:   p.refuse,
			}
		},
	})
}
