package channeltest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/channel"
)

// Run runs every case of the suite as a subtest of t, one after another. A
// failure states the rule that was broken.
func Run(t *testing.T, h Harness) {
	t.Helper()
	if h.New == nil {
		t.Fatal("channeltest: Harness.New is required")
	}
	if h.Address == 0 {
		t.Fatal("channeltest: Harness.Address is required")
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { c.run(newTrial(t, h, c)) })
	}
}

// A testCase proves one rule, and prints the rule if it is broken.
type testCase struct {
	name string
	rule string
	run  func(*trial)
}

// A trial is one case running against one subject.
type trial struct {
	testing.TB
	Harness
	Subject
	rule string
}

func newTrial(t testing.TB, h Harness, c testCase) *trial {
	t.Helper()
	s := h.New(t)
	if s.Channel == nil || s.Accepted == nil {
		t.Fatal("channeltest: Subject.Channel and Subject.Accepted are required")
	}
	return &trial{TB: t, Harness: h, Subject: s, rule: c.rule}
}

// broken fails the case with the rule.
func (t *trial) broken(format string, args ...any) {
	t.Helper()
	t.Fatalf("%s\nRule: %s", fmt.Sprintf(format, args...), t.rule)
}

// An outcome is the result of a Send.
type outcome struct {
	channel.Submission
	err error
}

// start calls Send on a goroutine of its own, so that a Send that hangs fails
// its case but does not stop the suite.
func (t *trial) start(ctx context.Context, m *channel.Message) <-chan outcome {
	answered := make(chan outcome, 1)
	go func() {
		s, err := t.Channel.Send(ctx, m)
		answered <- outcome{s, err}
	}()
	return answered
}

// await returns the outcome of a Send that must return at once.
func (t *trial) await(answered <-chan outcome) outcome {
	t.Helper()
	timeout := time.NewTimer(t.patience())
	defer timeout.Stop()
	select {
	case o := <-answered:
		return o
	case <-timeout.C:
		t.broken("Send has not returned after %v", t.patience())
		panic("unreachable")
	}
}

func (t *trial) send(ctx context.Context, m *channel.Message) outcome {
	t.Helper()
	return t.await(t.start(ctx, m))
}

// accept sends a message that the channel must accept.
func (t *trial) accept(id string) channel.Submission {
	t.Helper()
	o := t.send(t.Context(), t.message(id))
	if o.err != nil {
		t.broken("a good message was refused: %v", o.err)
	}
	return o.Submission
}

// refused checks that a Send failed with one of the classes, that its error is
// typed, and that it shows no secret.
func (t *trial) refused(o outcome, m *channel.Message, classes ...channel.Class) {
	t.Helper()
	if o.err == nil {
		t.broken("Send returned no error, want class %s", names(classes))
	}
	var e *channel.Error
	if !errors.As(o.err, &e) {
		t.broken("the error is a %T, want a *channel.Error in its tree: %v", o.err, o.err)
	}
	if e.Op == "" {
		t.broken("channel.Error.Op is empty, it should name the package and the step: %v", e)
	}
	if !slices.Contains(classes, e.Class) {
		t.broken("class %q, want %s: %v", e.Class, names(classes), o.err)
	}
	if o.State != channel.Failed && o.State != 0 {
		t.broken("state %q beside an error, want %q or none", o.State, channel.Failed)
	}
	if leak := findSecret(o.err, m); leak != "" {
		t.broken("the error's text holds the message's %s", leak)
	}
	text := textOf(o.err)
	for _, s := range t.Secrets {
		if len(s) >= 4 && (strings.Contains(text, s) || strings.Contains(text, url.QueryEscape(s))) {
			t.broken("the error's text holds one of Subject.Secrets")
		}
	}
}

func names(classes []channel.Class) string {
	var all []string
	for _, c := range classes {
		all = append(all, strconv.Quote(c.String()))
	}
	return strings.Join(all, " or ")
}

// nothingSent checks that the provider has accepted no message yet. It sends a
// good message next, because a message sent by mistake may still be on its way.
func (t *trial) nothingSent() {
	t.Helper()
	if n := t.Accepted(); n != 0 {
		t.broken("the provider accepted %d messages, want none", n)
	}
	t.accept("after.1")
	if n := t.Accepted(); n != 1 {
		t.broken("the provider accepted %d messages after one good one", n)
	}
}

// findSecret names the first secret in the text of err.
func findSecret(err error, m *channel.Message) string {
	text := textOf(err)
	mailbox, _, _ := strings.Cut(m.To.Email, "@")
	for _, secret := range []struct{ what, value string }{
		{"code", m.Code}, {"text", m.Text}, {"subject", m.Subject}, {"body", m.Body}, {"HTML", m.HTML},
		{"phone number", strings.TrimPrefix(m.To.Phone, "+")},
		{"e-mail address", m.To.Email}, {"mailbox name", mailbox}, {"push token", m.To.Push},
		{"chat id", m.To.Chat},
	} {
		// Shorter values would be found by chance.
		if len(secret.value) >= 4 && strings.Contains(text, secret.value) {
			return secret.what
		}
	}
	return ""
}

// textOf returns all texts that a log handler may write for err and its causes.
func textOf(err error) string {
	text := fmt.Sprintf("%v\n%+v\n%#v\n", err, err, err)
	for _, e := range tree(err) {
		text += e.Error() + "\n"
	}
	return text
}

// tree returns err and its causes.
func tree(err error) []error {
	all := []error{err}
	switch e := err.(type) { //nolint:errorlint // the switch is on the tree's form
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil {
			all = append(all, tree(inner)...)
		}
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			all = append(all, tree(inner)...)
		}
	}
	return all
}
