package channeltest

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"regexp"
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
		t.Run(c.name, func(t *testing.T) { c.conduct(newTrial(t, h, c)) })
	}
}

// conduct runs the case, and looks at the log.
func (c testCase) conduct(t *trial) {
	t.Helper()
	c.run(t)
	if t.Logged != nil {
		if leak := t.findSecret(t.Logged(), t.message("log.1")); leak != "" {
			t.breaks(noSecrets, "the channel's log holds %s", leak)
		}
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

// The rules that hold in every case.
const (
	noSecrets = "no error, no hop and no line of the log holds a code, a text, an address or a credential: " +
		"Message.Redact cleans the words of a provider, and a *url.Error holds the URL, so wrap its Err"
	typedErrors = "each error has a *channel.Error in its tree, with Op and Class, and the Submission with it is " +
		"Failed or has no State"
	noPanic = "Send returns an error, and does not panic"
)

// broken fails the case with its rule.
func (t *trial) broken(format string, args ...any) {
	t.Helper()
	t.breaks(t.rule, format, args...)
}

// breaks fails the case with a rule.
func (t *trial) breaks(rule, format string, args ...any) {
	t.Helper()
	t.Fatalf("%s\nRule: %s", fmt.Sprintf(format, args...), rule)
}

// An outcome is the result of a Send.
type outcome struct {
	channel.Submission
	err      error
	panicked any
}

// start calls Send on a goroutine of its own, so that a Send that hangs fails
// its case but does not stop the suite.
func (t *trial) start(ctx context.Context, m *channel.Message) <-chan outcome {
	answered := make(chan outcome, 1)
	go func() { answered <- t.call(ctx, m) }()
	return answered
}

// call calls Send, and survives its panic.
func (t *trial) call(ctx context.Context, m *channel.Message) (o outcome) {
	defer func() {
		if v := recover(); v != nil {
			o = outcome{panicked: v}
		}
	}()
	s, err := t.Channel.Send(ctx, m)
	return outcome{s, err, nil}
}

// await returns the outcome of a Send that must return at once.
func (t *trial) await(answered <-chan outcome) outcome {
	t.Helper()
	return t.awaitCall("Send", answered)
}

// awaitCall returns the outcome of a call that must return at once.
func (t *trial) awaitCall(name string, answered <-chan outcome) outcome {
	t.Helper()
	timeout := time.NewTimer(t.patience())
	defer timeout.Stop()
	select {
	case o := <-answered:
		if o.panicked != nil {
			t.breaks(noPanic, "Send panicked with a %T: %v", o.panicked, o.panicked)
		}
		return o
	case <-timeout.C:
		t.broken("%s has not returned after %v", name, t.patience())
		panic("unreachable")
	}
}

// soon is how long after the end of its context Send may return. channel.Try waits for half
// a second, and a slow machine has its leave.
const soon = 2 * time.Second

// sendUntil sends a message to a stalled provider until end, which is soon.
func (t *trial) sendUntil(ctx context.Context, end time.Time, m *channel.Message) outcome {
	t.Helper()
	o := t.send(ctx, m)
	if late := time.Since(end); late > soon {
		t.broken("Send returned %v after its time had ended", late)
	}
	return o
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
	t.checkSubmission(o.Submission, t.message(id))
	return o.Submission
}

// checkSubmission checks that the state is true, and that the hops show no secret.
func (t *trial) checkSubmission(s channel.Submission, m *channel.Message) {
	t.Helper()
	if s.State == channel.Delivered && !t.Delivers {
		t.broken("state %q, and only a receipt can know it; see Harness.Delivers", s.State)
	}
	for _, h := range s.Hops {
		if h.Err == nil {
			continue
		}
		if leak := t.findSecret(textOf(h.Err)+"\n"+h.Code, m); leak != "" {
			t.breaks(noSecrets, "the error of a Hop holds %s", leak)
		}
	}
}

// refused checks that a Send failed with one of the classes, that its error is
// typed, and that it shows no secret.
func (t *trial) refused(o outcome, m *channel.Message, classes ...channel.Class) {
	t.Helper()
	if o.err == nil {
		t.broken("Send returned no error, want class %s", names(classes))
	}
	var e *channel.Error
	if !errors.As(o.err, &e) || e == nil {
		t.breaks(typedErrors, "the error is a %T, want a *channel.Error in its tree, not a nil one: %v", o.err, o.err)
	}
	if e.Op == "" {
		t.breaks(typedErrors, "channel.Error.Op is empty, it should name the package and the step: %v", e)
	}
	if !slices.Contains(classes, e.Class) {
		t.broken("class %q, want %s: %v", e.Class, names(classes), o.err)
	}
	if o.State != channel.Failed && o.State != 0 {
		t.breaks(typedErrors, "state %q with an error, want %q or none", o.State, channel.Failed)
	}
	if leak := t.findSecret(textOf(o.err), m); leak != "" {
		t.breaks(noSecrets, "the error's text holds %s", leak)
	}
	t.checkSubmission(o.Submission, m)
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

// findSecret names the first secret in a text.
func (t *trial) findSecret(text string, m *channel.Message) string {
	text += decoded(text)
	for _, secret := range t.Secrets {
		for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret), strconv.Quote(secret)} {
			if len(secret) >= 4 && strings.Contains(text, strings.Trim(form, `"`)) {
				return "one of Subject.Secrets"
			}
		}
	}
	mailbox, _, _ := strings.Cut(m.To.Email, "@")
	for _, secret := range []struct{ what, value string }{
		{"code", m.Code}, {"text", m.Text}, {"subject", m.Subject}, {"body", m.Body}, {"HTML", m.HTML},
		{"phone number", strings.TrimPrefix(m.To.Phone, "+")},
		{"e-mail address", m.To.Email}, {"mailbox name", mailbox}, {"push token", m.To.Push},
		{"chat id", m.To.Chat},
	} {
		// Shorter values would be found by chance.
		if len(secret.value) >= 4 && strings.Contains(text, secret.value) {
			return "the message's " + secret.what
		}
	}
	for line := range strings.Lines(text) { // Redact finds other forms of the code and the addresses
		for ; line != ""; line = line[min(len(line), 500):] {
			if part := line[:min(len(line), 1000)]; m.Redact(part) != strings.ToValidUTF8(part, "\ufffd") {
				return "the message's code or address in another form"
			}
		}
	}
	return ""
}

var encoded = regexp.MustCompile(`[A-Za-z0-9+/_-]{8,}`)

// decoded returns what a text holds in base64, as the header Authorization does.
func decoded(text string) string {
	var b strings.Builder
	for _, word := range encoded.FindAllString(text, -1) {
		for _, e := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			if plain, err := e.DecodeString(word); err == nil {
				b.WriteString("\n" + strings.ToValidUTF8(string(plain), "\n"))
			}
		}
	}
	return b.String()
}

// textOf returns all texts that a log handler may write for err and its causes.
func textOf(err error) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v\n%+v\n%#v\n", err, err, err)
	text := slog.New(slog.NewTextHandler(&b, nil))
	object := slog.New(slog.NewJSONHandler(&b, nil))
	for _, e := range tree(err) {
		b.WriteString(e.Error() + "\n")
		text.Info("", "err", e)
		object.Info("", "err", e)
	}
	return b.String()
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
