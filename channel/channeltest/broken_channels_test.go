package channeltest

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/otpcourier/otpcourier/channel"
)

// A mutant breaks one rule, which the case of that name has to notice.
type mutant struct {
	name   string
	caught string
	wrap   func(r *rig) channel.Channel
}

// do makes a mutant's Channel from what it does around the correct one.
func do(
	f func(ctx context.Context, m *channel.Message, r *rig) (channel.Submission, error),
) func(*rig) channel.Channel {
	return func(r *rig) channel.Channel {
		return channel.Func(func(ctx context.Context, m *channel.Message) (channel.Submission, error) {
			return f(ctx, m, r)
		})
	}
}

// spoil makes a mutant's Channel that changes the answers of the correct one.
func spoil(
	f func(m *channel.Message, s channel.Submission, err error) (channel.Submission, error),
) func(*rig) channel.Channel {
	return do(func(ctx context.Context, m *channel.Message, r *rig) (channel.Submission, error) {
		s, err := r.fake.Send(ctx, m)
		return f(m, s, err)
	})
}

// rewrite makes a mutant's Channel that sends another message.
func rewrite(f func(m *channel.Message)) func(*rig) channel.Channel {
	return do(func(ctx context.Context, m *channel.Message, r *rig) (channel.Submission, error) {
		other := *m
		f(&other)
		return r.fake.Send(ctx, &other)
	})
}

// leak makes a mutant's Channel whose errors hold something of the message.
func leak(f func(m *channel.Message) string) func(*rig) channel.Channel {
	return spoil(func(m *channel.Message, s channel.Submission, err error) (channel.Submission, error) {
		if err != nil {
			err = &channel.Error{Class: channel.ClassOf(err), Op: "mutant: send", Err: fmt.Errorf("sending %s", f(m))}
		}
		return s, err
	})
}

// reclass makes a mutant's Channel that takes one class for another.
func reclass(from, to channel.Class) func(*rig) channel.Channel {
	return spoil(func(_ *channel.Message, s channel.Submission, err error) (channel.Submission, error) {
		if err != nil && channel.ClassOf(err) == from {
			err = &channel.Error{Class: to, Op: "mutant: send", Err: err}
		}
		return s, err
	})
}

func mutants() []mutant {
	return slices.Concat(carelessMutants(), leakyMutants(), wrongAnswerMutants(), wrongClassMutants(), typedMutants())
}

// carelessMutants break what a channel has to do before and while it sends.
func carelessMutants() []mutant {
	return []mutant{
		{"sends after expiry", "Expired", do(sendExpired)},
		{"takes no expiry for expired", "NoExpiry", do(refuseEternal)},
		{"sends though cancelled", "Cancelled", do(sendCancelled)},
		{"ignores cancellation", "CancelledWhileStalled", do(ignoreContext)},
		{"ignores deadline", "DeadlineWhileStalled", do(ignoreContext)},
		{"watches the deadline only", "CancelledWhileStalled", do(ignoreCancellation)},
		{"gives up after a stall", "UsableAfterStall", breakAfterStall},
		{"class expired when cancelled", "CancelledWhileStalled", reclass(channel.Unknown, channel.Expired)},
		{"calls a cancelled message not sent", "CancelledWhileStalled", spoil(callUnsent)},
		{"calls a message that timed out not sent", "DeadlineWhileStalled", spoil(callUnsent)},
		{"looks at the expiry once", "ExpiresWhileStalled", do(lookOnce)},
		{"looks at the expiry only without a deadline", "ExpiresBeforeDeadline",
			do(func(ctx context.Context, m *channel.Message, r *rig) (channel.Submission, error) {
				if _, ok := ctx.Deadline(); ok {
					return lookOnce(ctx, m, r)
				}
				return r.fake.Send(ctx, m)
			})},
		{"waits for its turn whatever happens", "CancelledBehindOthers", takeTurns},
		{"keeps the turn of a message that was cut short", "CancelledBehindOthers", keepTurns},
		{"returns seconds after its context has ended", "DeadlineWhileStalled",
			do(func(ctx context.Context, m *channel.Message, r *rig) (channel.Submission, error) {
				s, err := r.fake.Send(ctx, m)
				if ctx.Err() != nil {
					<-time.After(3 * time.Second)
				}
				return s, err
			})},
		{"returns seconds after the message has expired", "ExpiresWhileStalled",
			do(func(ctx context.Context, m *channel.Message, r *rig) (channel.Submission, error) {
				s, err := r.fake.Send(ctx, m)
				if !m.Expires.IsZero() && !time.Now().Before(m.Expires) {
					<-time.After(3 * time.Second)
				}
				return s, err
			})},
		{"sends what it has called not sent", "CancelledWhileStalled", sendLater},
		{"repeats a message that may have gone out", "Refused/unknown",
			do(func(ctx context.Context, m *channel.Message, r *rig) (channel.Submission, error) {
				s, err := r.fake.Send(ctx, m)
				if err != nil && channel.ClassOf(err) == channel.Unknown && ctx.Err() == nil {
					r.late.Add(2) // the provider has read both
				}
				return s, err
			})},
		{"calls Allow", "MessageUntouched",
			do(func(ctx context.Context, m *channel.Message, r *rig) (channel.Submission, error) {
				if m.Allow != nil {
					_ = m.Allow(ctx, channel.Route{})
				}
				return r.fake.Send(ctx, m)
			})},
		{"panics without a text", "OddMessage",
			do(func(ctx context.Context, m *channel.Message, r *rig) (channel.Submission, error) {
				_ = m.Text[0]
				return r.fake.Send(ctx, m)
			})},
		{"sends a long text, and refuses it", "OddMessage",
			do(func(ctx context.Context, m *channel.Message, r *rig) (channel.Submission, error) {
				s, err := r.fake.Send(ctx, m)
				if len(m.Text) > 1000 && err == nil {
					s.State, err = channel.Failed, &channel.Error{Class: channel.Misconfigured, Op: "mutant: send"}
				}
				return s, err
			})},
		{"calls a message that expired on its way not sent", "ExpiresWhileStalled", spoil(callUnsent)},
		{"accepts any address", "InvalidRecipient",
			rewrite(func(m *channel.Message) { m.To = Message(channel.Phone, "").To })},
		{"trims addresses", "InvalidRecipient",
			rewrite(func(m *channel.Message) { m.To.Phone, _, _ = strings.Cut(m.To.Phone, "\r") })},
		{"changes the message", "MessageUntouched", do(changeMessage)},
		{"changes what the message points to", "MessageUntouched", do(changeTried)},
		{"sends twice", "Accepted",
			do(func(ctx context.Context, m *channel.Message, r *rig) (channel.Submission, error) {
				_, _ = r.fake.Send(ctx, m)
				return r.fake.Send(ctx, m)
			})},
		{"answers before sending", "Accepted",
			do(func(context.Context, *channel.Message, *rig) (channel.Submission, error) {
				return channel.Submission{ProviderIDs: []string{"1"}}, nil
			})},
		{"mixes up concurrent sends", "Concurrent", mixUp},
		{"refuses a known id", "Twice", refuseKnown},
	}
}

// lookOnce refuses an expired message. It waits for the provider without a bound.
func lookOnce(ctx context.Context, m *channel.Message, r *rig) (channel.Submission, error) {
	if !m.Expires.IsZero() && !time.Now().Before(m.Expires) {
		return r.fake.Send(ctx, m)
	}
	other := *m
	other.Expires = time.Time{}
	return r.fake.Send(ctx, &other)
}

// leakyMutants give something away in their errors.
func leakyMutants() []mutant {
	return []mutant{
		{"leaks the code", "Expired", leak(func(m *channel.Message) string { return m.Code })},
		{"leaks the text", "Refused/temporary", leak(func(m *channel.Message) string { return m.Text })},
		{"leaks the number", "Cancelled", leak(func(m *channel.Message) string { return m.To.Phone })},
		{"leaks a bad number", "InvalidRecipient", leak(func(m *channel.Message) string { return m.To.Phone })},
		{"leaks the number without its country", "Cancelled", leak(func(m *channel.Message) string {
			return "0" + strings.TrimPrefix(m.To.Phone, "+44")
		})},
		{"leaks the code in groups", "Expired", leak(func(m *channel.Message) string {
			return m.Code[:4] + " " + m.Code[4:]
		})},
		{"leaks the text in base64", "Expired", leak(func(m *channel.Message) string {
			return base64.StdEncoding.EncodeToString([]byte(m.Text))
		})},
		{"leaks its credential in the header Authorization", "Expired", leak(func(*channel.Message) string {
			return "Basic " + base64.StdEncoding.EncodeToString([]byte("user:"+credential))
		})},
		{"leaks in a Hop", "Refused/temporary",
			spoil(func(m *channel.Message, s channel.Submission, err error) (channel.Submission, error) {
				s.Hops = []channel.Hop{{Route: "one", Err: errors.New("to " + m.To.Phone)}}
				return s, err
			})},
		{"leaks its credential in a Hop of an accepted message", "Accepted",
			spoil(func(_ *channel.Message, s channel.Submission, err error) (channel.Submission, error) {
				s.Hops = []channel.Hop{{Route: "one", Err: errors.New("key " + credential)}, {Route: "two"}}
				return s, err
			})},
		{"leaks in a log", "Refused/temporary",
			spoil(func(m *channel.Message, s channel.Submission, err error) (channel.Submission, error) {
				if err != nil {
					err = &channel.Error{Class: channel.ClassOf(err), Op: "mutant: send", Err: logged{m.To.Phone}}
				}
				return s, err
			})},
		{"writes the code to its log", "Accepted",
			do(func(ctx context.Context, m *channel.Message, r *rig) (channel.Submission, error) {
				r.log.Store("sending " + m.Text)
				return r.fake.Send(ctx, m)
			})},
		{"leaks deep in the tree", "Refused/unknown", spoil(leakDeep)},
		{"leaks its credential in a URL", "Refused/unknown", spoil(leakURL("?key=" + url.QueryEscape(credential)))},
		{"leaks its credential", "Expired", spoil(leakURL("/" + credential))},
	}
}

// leakURL wraps the error that net/http makes, with a URL that ends so.
func leakURL(end string) func(*channel.Message, channel.Submission, error) (channel.Submission, error) {
	return func(_ *channel.Message, s channel.Submission, err error) (channel.Submission, error) {
		if err != nil {
			cause := &url.Error{Op: "Post", URL: "https://provider.example/send" + end, Err: io.EOF}
			err = &channel.Error{Class: channel.ClassOf(err), Op: "mutant: send", Err: cause}
		}
		return s, err
	}
}

// wrongAnswerMutants do not say what they have done.
func wrongAnswerMutants() []mutant {
	return []mutant{
		{"untyped errors", "Expired",
			spoil(func(_ *channel.Message, s channel.Submission, err error) (channel.Submission, error) {
				if err != nil {
					err = errors.New("something happened")
				}
				return s, err
			})},
		{"a nil *Error", "Refused/temporary",
			spoil(func(_ *channel.Message, s channel.Submission, err error) (channel.Submission, error) {
				if err != nil {
					err = (*channel.Error)(nil)
				}
				return s, err
			})},
		{"no Op", "Refused/throttled",
			spoil(func(_ *channel.Message, s channel.Submission, err error) (channel.Submission, error) {
				if err != nil {
					err = &channel.Error{Class: channel.ClassOf(err)}
				}
				return s, err
			})},
		{"swallows errors", "Refused/misconfigured",
			spoil(func(_ *channel.Message, s channel.Submission, _ error) (channel.Submission, error) {
				return s, nil
			})},
		{"state sent with an error", "Refused/temporary",
			spoil(func(_ *channel.Message, s channel.Submission, err error) (channel.Submission, error) {
				s.State = channel.Sent
				return s, err
			})},
		{"state failed without an error", "Accepted",
			spoil(func(_ *channel.Message, s channel.Submission, err error) (channel.Submission, error) {
				s.State = channel.Failed
				return s, err
			})},
		{"says delivered", "Accepted",
			spoil(func(_ *channel.Message, s channel.Submission, err error) (channel.Submission, error) {
				if err == nil {
					s.State = channel.Delivered
				}
				return s, err
			})},
		{"uses the slice of ids again", "Twice", func(r *rig) channel.Channel {
			ids := make([]string, 1)
			return channel.Func(func(ctx context.Context, m *channel.Message) (channel.Submission, error) {
				s, err := r.fake.Send(ctx, m)
				if err == nil && strings.HasPrefix(m.ID, "twice") { // elsewhere it is a data race
					copy(ids, s.ProviderIDs)
					s.ProviderIDs = ids
				}
				return s, err
			})
		}},
		{"drops RetryAfter", "RetryAfter",
			spoil(func(_ *channel.Message, s channel.Submission, err error) (channel.Submission, error) {
				if err != nil {
					err = &channel.Error{Class: channel.ClassOf(err), Op: "mutant: send", Err: err}
				}
				return s, err
			})},
		{"RetryAfter in milliseconds", "RetryAfter",
			spoil(func(_ *channel.Message, s channel.Submission, err error) (channel.Submission, error) {
				if e := (*channel.Error)(nil); errors.As(err, &e) {
					e.RetryAfter /= 1000
				}
				return s, err
			})},
		{"drops the provider's ids", "Accepted",
			spoil(func(_ *channel.Message, s channel.Submission, err error) (channel.Submission, error) {
				s.ProviderIDs = nil
				return s, err
			})},
		{"empty provider id", "Twice",
			spoil(func(_ *channel.Message, s channel.Submission, err error) (channel.Submission, error) {
				return channel.Submission{ProviderIDs: []string{""}}, err
			})},
		{"one provider id for all", "Concurrent",
			spoil(func(_ *channel.Message, s channel.Submission, err error) (channel.Submission, error) {
				return channel.Submission{ProviderIDs: []string{"1"}}, err
			})},
		{"accepts, then says refused", "Refused/temporary",
			do(func(ctx context.Context, m *channel.Message, r *rig) (channel.Submission, error) {
				s, err := r.fake.Send(ctx, m)
				if err != nil {
					r.late.Add(1)
				}
				return s, err
			})},
	}
}

// typed is a channel with more methods than Send.
type typed struct {
	channel.Channel
	prompt func(channel.Channel) bool
	close  func() error
	ever   bool // SendUntil has no end
}

func (c *typed) SendUntil(ctx context.Context, m *channel.Message, until time.Time) (channel.Submission, error) {
	if !until.IsZero() && !c.ever {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, until)
		defer cancel()
	}
	return c.Send(ctx, m)
}

func (c *typed) Prompt(other channel.Channel) bool { return c.prompt != nil && c.prompt(other) }

func (c *typed) Close() error {
	if c.close == nil {
		return nil
	}
	return c.close()
}

// typedMutants break the promises of optional methods.
func typedMutants() []mutant {
	refuse := func(r *rig, closed *atomic.Bool) channel.Channel {
		return channel.Func(func(ctx context.Context, m *channel.Message) (channel.Submission, error) {
			if closed.Load() {
				return channel.Submission{}, &channel.Error{Class: channel.Temporary, Op: "mutant: send"}
			}
			return r.fake.Send(ctx, m)
		})
	}
	return []mutant{
		{"is not as prompt as it says", "Prompt", func(r *rig) channel.Channel {
			c := &typed{}
			c.prompt = func(other channel.Channel) bool { return other == c }
			c.Channel = channel.Func(func(ctx context.Context, m *channel.Message) (channel.Submission, error) {
				s, err := r.fake.Send(ctx, m)
				if ctx.Err() != nil {
					<-time.After(2 * time.Second)
				}
				return s, err
			})
			return c
		}},
		{"is prompt without regard to until", "Prompt", func(r *rig) channel.Channel {
			c := &typed{Channel: r.fake, ever: true}
			c.prompt = func(other channel.Channel) bool { return other == c }
			return c
		}},
		{"calls every channel prompt", "Prompt", func(r *rig) channel.Channel {
			return &typed{Channel: r.fake, prompt: func(channel.Channel) bool { return true }}
		}},
		{"hangs in Close", "Closed", func(r *rig) channel.Channel {
			return &typed{Channel: r.fake, close: func() error { <-time.After(time.Minute); return nil }}
		}},
		{"sends after Close", "Closed", func(r *rig) channel.Channel { return &typed{Channel: r.fake} }},
		{"waits in Close for the provider", "ClosedMeanwhile", func(r *rig) channel.Channel {
			var closed atomic.Bool
			return &typed{Channel: refuse(r, &closed), close: func() error { closed.Store(true); return nil }}
		}},
	}
}

// dropCode makes errors without the provider's code.
func dropCode(_ *channel.Message, s channel.Submission, err error) (channel.Submission, error) {
	if refused, ok := errors.AsType[*channel.Error](err); ok {
		bare := *refused
		bare.Code = ""
		err = &bare
	}
	return s, err
}

// wrongClassMutants take each class for another.
func wrongClassMutants() (all []mutant) {
	all = append(all, mutant{"drops the code", "Refused/unreachable", spoil(dropCode)})
	for _, class := range []channel.Class{channel.Unknown, channel.Temporary, channel.Throttled, channel.Unreachable,
		channel.InvalidRecipient, channel.Misconfigured} {
		to := channel.Temporary
		if class == to {
			to = channel.Unknown
		}
		all = append(all,
			mutant{class.String() + " as " + to.String(), "Refused/" + class.String(), reclass(class, to)})
	}
	return all
}

func sendExpired(ctx context.Context, m *channel.Message, r *rig) (channel.Submission, error) {
	eternal := *m
	eternal.Expires = eternal.Expires.Add(24 * 365 * 100 * 3600e9)
	return r.fake.Send(ctx, &eternal)
}

func refuseEternal(ctx context.Context, m *channel.Message, r *rig) (channel.Submission, error) {
	if m.Expires.IsZero() {
		return channel.Submission{}, &channel.Error{Class: channel.Expired, Op: "mutant: send"}
	}
	return r.fake.Send(ctx, m)
}

// sendCancelled answers as it should, but has sent.
func sendCancelled(ctx context.Context, m *channel.Message, r *rig) (channel.Submission, error) {
	if ctx.Err() != nil {
		r.late.Add(1)
	}
	return r.fake.Send(ctx, m)
}

func ignoreContext(ctx context.Context, m *channel.Message, r *rig) (channel.Submission, error) {
	return r.fake.Send(context.WithoutCancel(ctx), m)
}

func ignoreCancellation(ctx context.Context, m *channel.Message, r *rig) (channel.Submission, error) {
	patient := context.WithoutCancel(ctx)
	if deadline, ok := ctx.Deadline(); ok {
		var stop context.CancelFunc
		patient, stop = context.WithDeadline(patient, deadline)
		defer stop()
	}
	return r.fake.Send(patient, m)
}

func breakAfterStall(r *rig) channel.Channel {
	var broken atomic.Bool
	return channel.Func(func(ctx context.Context, m *channel.Message) (channel.Submission, error) {
		if broken.Load() {
			return channel.Submission{}, &channel.Error{Class: channel.Temporary, Op: "mutant: send"}
		}
		s, err := r.fake.Send(ctx, m)
		broken.Store(errors.Is(err, errNoAnswer))
		return s, err
	})
}

// callUnsent takes a message without an answer for one that was not sent, and
// nothing else.
func callUnsent(_ *channel.Message, s channel.Submission, err error) (channel.Submission, error) {
	if errors.Is(err, errNoAnswer) {
		err = &channel.Error{Class: channel.Temporary, Op: "mutant: send", Err: err}
	}
	return s, err
}

func changeMessage(ctx context.Context, m *channel.Message, r *rig) (channel.Submission, error) {
	s, err := r.fake.Send(ctx, m)
	m.Text = strings.ToUpper(m.Text)
	return s, err
}

func changeTried(ctx context.Context, m *channel.Message, r *rig) (channel.Submission, error) {
	s, err := r.fake.Send(ctx, m)
	slices.Reverse(m.Tried)
	return s, err
}

func leakDeep(m *channel.Message, s channel.Submission, err error) (channel.Submission, error) {
	if err != nil {
		err = &quiet{channel.Error{Class: channel.ClassOf(err), Op: "mutant: send",
			Err: errors.New("550 " + m.To.Phone)}}
	}
	return s, err
}

// quiet keeps its own text clean, but not that of what it wraps.
type quiet struct{ cause channel.Error }

func (q *quiet) Error() string { return "failed" }
func (q *quiet) Unwrap() error { return &q.cause }

func mixUp(r *rig) channel.Channel {
	var last atomic.Pointer[channel.Submission]
	return channel.Func(func(ctx context.Context, m *channel.Message) (channel.Submission, error) {
		s, err := r.fake.Send(ctx, m)
		if err == nil && strings.HasSuffix(m.ID, "-3.1") && last.Load() != nil {
			return *last.Load(), nil // the answer to somebody else
		}
		last.Store(&s)
		return s, err
	})
}

// takeTurns sends one message at a time.
func takeTurns(r *rig) channel.Channel {
	turn := make(chan struct{}, 1)
	return channel.Func(func(ctx context.Context, m *channel.Message) (channel.Submission, error) {
		turn <- struct{}{}
		defer func() { <-turn }()
		return r.fake.Send(ctx, m)
	})
}

// keepTurns has ten turns, and gives one back only if the provider has answered.
func keepTurns(r *rig) channel.Channel {
	turns := make(chan struct{}, 10)
	return channel.Func(func(ctx context.Context, m *channel.Message) (channel.Submission, error) {
		select {
		case turns <- struct{}{}:
		case <-ctx.Done():
			return channel.Submission{}, &channel.Error{Class: channel.Temporary, Op: "mutant: send"}
		}
		s, err := r.fake.Send(ctx, m)
		if !errors.Is(err, errNoAnswer) {
			<-turns
		}
		return s, err
	})
}

// sendLater calls a message not sent when its context ends, and sends it when the provider
// goes on.
func sendLater(r *rig) channel.Channel {
	return channel.Func(func(ctx context.Context, m *channel.Message) (channel.Submission, error) {
		if r.mode.Load() == nil || r.stalled.Load() == nil {
			return r.fake.Send(ctx, m)
		}
		released := *r.stalled.Load()
		<-ctx.Done()
		go func() {
			<-released
			r.late.Add(1)
		}()
		return channel.Submission{}, &channel.Error{Class: channel.Temporary, Op: "mutant: send"}
	})
}

// logged is an error whose text in a log is another.
type logged struct{ phone string }

func (l logged) Error() string        { return "refused" }
func (l logged) LogValue() slog.Value { return slog.StringValue("refused for " + l.phone) }

func refuseKnown(r *rig) channel.Channel {
	var known sync.Map
	return channel.Func(func(ctx context.Context, m *channel.Message) (channel.Submission, error) {
		if _, again := known.LoadOrStore(m.ID, true); again {
			return channel.Submission{}, &channel.Error{Class: channel.Temporary, Op: "mutant: send"}
		}
		return r.fake.Send(ctx, m)
	})
}
