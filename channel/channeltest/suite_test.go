package channeltest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"github.com/otpcourier/otpcourier/channel"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A rig is a provider that can refuse and stall, with a correct channel
// before it, which a mutant may wrap.
type rig struct {
	fake *Fake
	mode atomic.Pointer[channel.Func]
	late atomic.Int32 // messages the provider has read, their senders gone
}

func newRig(kind channel.Address) *rig {
	r := &rig{fake: &Fake{Address: kind}}
	r.fake.Then = func(ctx context.Context, m *channel.Message) (channel.Submission, error) {
		s, err := r.fake.accept(ctx, m)
		if mode := r.mode.Load(); err == nil && mode != nil {
			return (*mode)(ctx, m)
		}
		return s, err
	}
	return r
}

func (r *rig) subject(c channel.Channel) Subject {
	return Subject{
		Channel:  c,
		Accepted: func() int { return len(r.fake.Accepted()) + int(r.late.Load()) },
		Refuse: func(class channel.Class) bool {
			refuse := Refuse(class, "0x01")
			r.mode.Store(&refuse)
			return true
		},
		Stall: func() func() {
			released := make(chan struct{})
			stall := Hold(released, Accept())
			r.mode.Store(&stall)
			return func() { r.mode.Store(nil); close(released) }
		},
	}
}

// A mutant breaks one rule, which the case of that name has to notice.
type mutant struct {
	name   string
	caught string
	wrap   func(r *rig) channel.Channel
}

// do makes a mutant's Channel from what it does around the correct one.
func do(f func(ctx context.Context, m *channel.Message, r *rig) (channel.Submission, error)) func(*rig) channel.Channel {
	return func(r *rig) channel.Channel {
		return channel.Func(func(ctx context.Context, m *channel.Message) (channel.Submission, error) { return f(ctx, m, r) })
	}
}

// spoil makes a mutant's Channel that changes the answers of the correct one.
func spoil(f func(m *channel.Message, s channel.Submission, err error) (channel.Submission, error)) func(*rig) channel.Channel {
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
	all := []mutant{
		{"sends after expiry", "Expired", do(sendExpired)},
		{"takes no expiry for expired", "NoExpiry", do(refuseEternal)},
		{"sends though cancelled", "Cancelled", do(sendCancelled)},
		{"ignores cancellation", "CancelledWhileStalled", do(ignoreContext)},
		{"ignores deadline", "DeadlineWhileStalled", do(ignoreContext)},
		{"watches the deadline only", "CancelledWhileStalled", do(ignoreCancellation)},
		{"gives up after a stall", "UsableAfterStall", breakAfterStall},
		{"class expired when cancelled", "CancelledWhileStalled", reclass(channel.Unknown, channel.Expired)},
		{"accepts any address", "InvalidRecipient", rewrite(func(m *channel.Message) { m.To = Message(channel.Phone, "").To })},
		{"trims addresses", "InvalidRecipient", rewrite(func(m *channel.Message) { m.To.Phone, _, _ = strings.Cut(m.To.Phone, "\r") })},
		{"changes the message", "MessageUntouched", do(changeMessage)},
		{"changes what the message points to", "MessageUntouched", do(changeTried)},
		{"leaks the code", "Expired", leak(func(m *channel.Message) string { return m.Code })},
		{"leaks the text", "Refused/temporary", leak(func(m *channel.Message) string { return m.Text })},
		{"leaks the number", "Cancelled", leak(func(m *channel.Message) string { return m.To.Phone })},
		{"leaks a bad number", "InvalidRecipient", leak(func(m *channel.Message) string { return m.To.Phone })},
		{"leaks deep in the tree", "Refused/unknown", spoil(leakDeep)},
		{"untyped errors", "Expired", spoil(func(_ *channel.Message, s channel.Submission, err error) (channel.Submission, error) {
			if err != nil {
				err = errors.New("something happened")
			}
			return s, err
		})},
		{"no Op", "Refused/throttled", spoil(func(_ *channel.Message, s channel.Submission, err error) (channel.Submission, error) {
			if err != nil {
				err = &channel.Error{Class: channel.ClassOf(err)}
			}
			return s, err
		})},
		{"swallows errors", "Refused/misconfigured", spoil(func(_ *channel.Message, s channel.Submission, _ error) (channel.Submission, error) {
			return s, nil
		})},
		{"state sent beside an error", "Refused/temporary", spoil(func(_ *channel.Message, s channel.Submission, err error) (channel.Submission, error) {
			s.State = channel.Sent
			return s, err
		})},
		{"state failed without an error", "Accepted", spoil(func(_ *channel.Message, s channel.Submission, err error) (channel.Submission, error) {
			s.State = channel.Failed
			return s, err
		})},
		{"drops the provider's ids", "Accepted", spoil(func(_ *channel.Message, s channel.Submission, err error) (channel.Submission, error) {
			s.ProviderIDs = nil
			return s, err
		})},
		{"empty provider id", "Twice", spoil(func(_ *channel.Message, s channel.Submission, err error) (channel.Submission, error) {
			return channel.Submission{ProviderIDs: []string{""}}, err
		})},
		{"one provider id for all", "Concurrent", spoil(func(_ *channel.Message, s channel.Submission, err error) (channel.Submission, error) {
			return channel.Submission{ProviderIDs: []string{"1"}}, err
		})},
		{"sends twice", "Accepted", do(func(ctx context.Context, m *channel.Message, r *rig) (channel.Submission, error) {
			_, _ = r.fake.Send(ctx, m)
			return r.fake.Send(ctx, m)
		})},
		{"answers before sending", "Accepted", do(func(context.Context, *channel.Message, *rig) (channel.Submission, error) {
			return channel.Submission{ProviderIDs: []string{"1"}}, nil
		})},
		{"mixes up concurrent sends", "Concurrent", mixUp},
		{"refuses a known id", "Twice", refuseKnown},
		{"accepts, then says refused", "Refused/temporary", do(func(ctx context.Context, m *channel.Message, r *rig) (channel.Submission, error) {
			s, err := r.fake.Send(ctx, m)
			if err != nil {
				r.late.Add(1)
			}
			return s, err
		})},
	}
	for _, class := range []channel.Class{channel.Unknown, channel.Temporary, channel.Throttled, channel.Unreachable, channel.InvalidRecipient, channel.Misconfigured} {
		to := channel.Temporary
		if class == to {
			to = channel.Unknown
		}
		all = append(all, mutant{class.String() + " as " + to.String(), "Refused/" + class.String(), reclass(class, to)})
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
		err = &quiet{channel.Error{Class: channel.ClassOf(err), Op: "mutant: send", Err: errors.New("550 " + m.To.Phone)}}
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

func refuseKnown(r *rig) channel.Channel {
	var known sync.Map
	return channel.Func(func(ctx context.Context, m *channel.Message) (channel.Submission, error) {
		if _, again := known.LoadOrStore(m.ID, true); again {
			return channel.Submission{}, &channel.Error{Class: channel.Temporary, Op: "mutant: send"}
		}
		return r.fake.Send(ctx, m)
	})
}

// TestMutants shows that the suite fails for broken channels, and that every
// case does for one of them.
func TestMutants(t *testing.T) {
	t.Parallel()
	noticed := map[string]bool{}
	for _, m := range mutants() {
		noticed[m.caught] = true
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			failed := runAll(t, m.wrap)
			if !slices.Contains(failed, m.caught) {
				t.Errorf("case %s did not notice; noticed by %q", m.caught, failed)
			}
		})
	}
	for _, c := range cases {
		if !noticed[c.name] {
			t.Errorf("no mutant shows that case %s can fail", c.name)
		}
	}
}

// runAll returns the names of the cases that fail for a channel.
func runAll(t *testing.T, wrap func(*rig) channel.Channel) (failed []string) {
	for _, c := range cases {
		synctest.Test(t, func(t *testing.T) {
			rec := record(t, func(tb testing.TB) {
				c.run(newTrial(tb, phoneHarness(wrap), c))
			})
			if rec.failed && !strings.Contains(rec.log, c.rule) {
				t.Errorf("case %s fails without stating its rule: %s", c.name, rec.log)
			}
			if rec.failed {
				failed = append(failed, c.name)
			}
			if rec.skipped {
				t.Errorf("case %s was skipped", c.name)
			}
		})
	}
	return failed
}

func phoneHarness(wrap func(*rig) channel.Channel) Harness {
	return Harness{
		Address:     channel.Phone,
		ProviderIDs: true,
		New: func(testing.TB) Subject {
			r := newRig(channel.Phone)
			return r.subject(wrap(r))
		},
	}
}

// A recorder takes the place of a *testing.T whose failure is expected.
type recorder struct {
	testing.TB
	ctx             context.Context
	failed, skipped bool
	log             string
	cleanups        []func()
}

func record(t *testing.T, f func(testing.TB)) *recorder {
	ctx, cancel := context.WithCancel(t.Context())
	r := &recorder{TB: t, ctx: ctx}
	done := make(chan struct{})
	go func() { // FailNow and SkipNow end the goroutine
		defer close(done)
		f(r)
	}()
	<-done
	cancel()
	for _, c := range slices.Backward(r.cleanups) {
		c()
	}
	return r
}

func (r *recorder) Context() context.Context { return r.ctx }
func (r *recorder) Cleanup(f func())         { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Fatalf(format string, args ...any) {
	r.failed, r.log = true, fmt.Sprintf(format, args...)
	runtime.Goexit()
}
func (r *recorder) Fatal(args ...any) { r.Fatalf("%s", fmt.Sprint(args...)) }
func (r *recorder) Skipf(format string, args ...any) {
	r.skipped, r.log = true, fmt.Sprintf(format, args...)
	runtime.Goexit()
}
func (r *recorder) Skip(args ...any) { r.Skipf("%s", fmt.Sprint(args...)) }

// TestGood shows that a correct channel passes, for each kind of address.
func TestGood(t *testing.T) {
	t.Parallel()
	for _, kind := range []channel.Address{channel.Phone, channel.Email, channel.Push} {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			Run(t, Harness{Address: kind, ProviderIDs: true, New: func(testing.TB) Subject {
				r := newRig(kind)
				return r.subject(r.fake)
			}})
		})
	}
}

// TestZeroFake shows that the zero Fake is a correct channel.
func TestZeroFake(t *testing.T) {
	t.Parallel()
	Run(t, Harness{Address: channel.Phone, ProviderIDs: true, New: func(testing.TB) Subject {
		f := &Fake{Address: channel.Phone}
		return Subject{Channel: f, Accepted: func() int { return len(f.Accepted()) }}
	}})
}

// TestGates shows that a case without its hook is skipped and says so.
func TestGates(t *testing.T) {
	t.Parallel()
	var skipped []string
	for _, c := range cases {
		rec := record(t, func(tb testing.TB) {
			f := &Fake{Address: channel.Phone}
			h := Harness{Address: channel.Phone, New: func(testing.TB) Subject {
				return Subject{Channel: f, Accepted: func() int { return len(f.Accepted()) }}
			}}
			c.run(newTrial(tb, h, c))
		})
		if rec.failed {
			t.Errorf("%s: %s", c.name, rec.log)
		}
		if rec.skipped {
			skipped = append(skipped, c.name)
			if !strings.Contains(rec.log, "the harness has no ") {
				t.Errorf("%s: skipped without a reason: %q", c.name, rec.log)
			}
		}
	}
	if len(skipped) != 9 {
		t.Errorf("skipped: %q", skipped)
	}
}
