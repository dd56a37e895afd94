package channeltest

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/otpcourier/otpcourier/channel"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// credential is what the correct channel was given for its provider.
const credential = "key/of the provider"

// A rig is a provider that can refuse and stall, with a correct channel
// before it, which a mutant may wrap.
type rig struct {
	fake *Fake
	mode atomic.Pointer[channel.Func]
	late atomic.Int32 // messages the provider has read and not answered
	log  atomic.Value // a string

	stalled atomic.Pointer[chan struct{}]
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
		Codes: map[channel.Class]string{channel.Unreachable: "0x01", channel.Misconfigured: "0x01"},
		RetryAfter: func(wait time.Duration) {
			refuse := Fail(&channel.Error{Class: channel.Throttled, Op: "fake: send", RetryAfter: wait})
			r.mode.Store(&refuse)
		},
		Secrets: []string{credential},
		Logged: func() string {
			text, _ := r.log.Load().(string)
			return text
		},
		Stall: func() func() {
			released := make(chan struct{})
			r.stalled.Store(&released)
			stall := r.reading(Hold(released, Accept()))
			r.mode.Store(&stall)
			return func() { r.mode.Store(nil); close(released) }
		},
	}
}

// reading counts messages as soon as they are read, not when answer accepts
// them.
func (r *rig) reading(answer channel.Func) channel.Func {
	return func(ctx context.Context, m *channel.Message) (channel.Submission, error) {
		r.late.Add(1)
		s, err := answer(ctx, m)
		if err == nil {
			r.late.Add(-1) // the fake counts it now
		}
		return s, err
	}
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
				c.conduct(newTrial(tb, phoneHarness(wrap), c))
			})
			<-time.After(time.Hour) // for a channel that goes on
			rules := []string{c.rule, noSecrets, typedErrors, noPanic}
			stated := func(rule string) bool { return strings.Contains(rec.log, "Rule: "+rule) }
			if rec.failed && !slices.ContainsFunc(rules, stated) {
				t.Errorf("case %s fails without stating a rule: %s", c.name, rec.log)
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
	for _, kind := range []channel.Address{channel.Phone, channel.Email, channel.Push, channel.Chat} {
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

// TestIdempotent shows that a provider which knows idempotency keys has to be
// told them.
func TestIdempotent(t *testing.T) {
	t.Parallel()
	i := slices.IndexFunc(cases, func(c testCase) bool { return c.name == "Twice" })
	for _, keyed := range []bool{true, false} {
		rec := record(t, func(tb testing.TB) {
			f := &Fake{Address: channel.Phone}
			known := map[string]channel.Submission{}
			c := channel.Func(func(ctx context.Context, m *channel.Message) (channel.Submission, error) {
				if s, again := known[m.ID]; again && keyed {
					return s, nil
				}
				s, err := f.Send(ctx, m)
				known[m.ID] = s
				return s, err
			})
			h := Harness{Address: channel.Phone, Idempotent: true, New: func(testing.TB) Subject {
				return Subject{Channel: c, Accepted: func() int { return len(f.Accepted()) }}
			}}
			cases[i].run(newTrial(tb, h, cases[i]))
		})
		if rec.failed == keyed {
			t.Errorf("with key: %v, failed: %v %s", keyed, rec.failed, rec.log)
		}
	}
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
	if len(skipped) != 13 {
		t.Errorf("skipped: %q", skipped)
	}
}
