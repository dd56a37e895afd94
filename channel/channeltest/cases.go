package channeltest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/otpcourier/otpcourier/channel"
)

var cases = []testCase{
	{
		"Accepted",
		"a message that the provider accepts gives no error, a state other than Failed, " +
			"and the provider's ids if it has any",
		testAccepted,
	}, {
		"NoExpiry",
		"a zero Message.Expires means that the code does not expire, not that it has",
		testNoExpiry,
	}, {
		"Expired",
		"nothing is submitted after Message.Expires; the error's class is Expired",
		testExpired,
	}, {
		"Cancelled",
		"a Send whose context has ended submits nothing and returns at once, with class Temporary or Unknown",
		testCancelled,
	}, {
		"CancelledWhileStalled",
		"Send returns soon after its context ends, whatever the provider does, " +
			"with class Unknown (the message may have gone out) or Temporary (it has not)",
		testCancelledWhileStalled,
	}, {
		"UsableAfterStall",
		"a Send that was cut short takes nothing from those after it",
		testUsableAfterStall,
	}, {
		"DeadlineWhileStalled",
		"Send returns soon after its context's deadline, " +
			"with class Unknown (the message may have gone out) or Temporary (it has not)",
		testDeadlineWhileStalled,
	}, {
		"ExpiresWhileStalled",
		"Send returns soon after Message.Expires, whatever the provider does, with class Unknown (the message may " +
			"have gone out), or Expired or Temporary (it has not)",
		testExpiresWhileStalled,
	}, {
		"ExpiresBeforeDeadline",
		"Send returns soon after Message.Expires, if its context's deadline is later, too",
		testExpiresBeforeDeadline,
	}, {
		"CancelledBehindOthers",
		"Send returns soon after its context ends, if others are before it that wait for the provider, too; none of " +
			"them keeps its turn",
		testCancelledBehindOthers,
	}, {
		"Prompt",
		"a Prompter that says so returns within a quarter of a second after its context ends, and answers for itself " +
			"only",
		testPrompt,
	}, {
		"OddMessage",
		"a message with odd texts is accepted or refused: Send does not panic, and the class is true",
		testOddMessage,
	}, {
		"Closed",
		"Close and Shutdown may be called again, and a Send after them: all return soon, and nothing is sent",
		testClosed,
	}, {
		"ClosedMeanwhile",
		"Close and Shutdown end the Sends that are under way: all return soon",
		testClosedMeanwhile,
	}, {
		"RetryAfter",
		"the time that a provider asks to wait is in Error.RetryAfter: a failover waits so long, and not less",
		testRetryAfter,
	}, {
		"InvalidRecipient",
		"an address that is missing or malformed is refused with class InvalidRecipient before anything is " +
			"submitted; " +
			"the provider's own check is no excuse, line breaks in an address inject headers and commands",
		testInvalidRecipient,
	}, {
		"MessageUntouched",
		"Send neither changes its Message nor keeps it after returning: the same one goes to the next route " +
			"(run with -race)",
		testMessageUntouched,
	}, {
		"Twice",
		"a repeated Send of the same Message.ID is safe, and the same message if the provider knows idempotency " +
			"keys",
		testTwice,
	}, {
		"Concurrent",
		"Send is safe for concurrent use: each call has its own answer, none is lost and none doubled (run with -race)",
		testConcurrent,
	},
	refusal(channel.Temporary,
		"the provider is not able to take the message now: not sent, the same route may work soon"),
	refusal(channel.Throttled, "the provider says it is too fast: not sent"),
	refusal(channel.Unreachable, "this route cannot reach this person: not sent, another route may"),
	refusal(channel.InvalidRecipient,
		"the provider says that the address itself is wrong: no route of this kind of address can help"),
	refusal(channel.Misconfigured,
		"the provider refuses credentials, sender or format: not sent, somebody has to repair it"),
	refusal(channel.Unknown, "the connection was lost after the message was written: "+
		"it may have gone out, and no other class may claim otherwise"),
}

func testAccepted(t *trial) {
	s := t.accept("accepted.1")
	if s.State == channel.Failed {
		t.broken("state %q without an error", s.State)
	}
	if n := t.Accepted(); n != 1 {
		t.broken("the provider accepted %d messages after one Send", n)
	}
	t.checkIDs(s)
}

func (t *trial) checkIDs(s channel.Submission) {
	t.Helper()
	if t.ProviderIDs && len(s.ProviderIDs) == 0 {
		t.broken("no ProviderIDs: a receipt would find no message")
	}
	if slices.Contains(s.ProviderIDs, "") {
		t.broken("an empty string in ProviderIDs %q", s.ProviderIDs)
	}
}

func testNoExpiry(t *trial) {
	m := t.message("noexpiry.1")
	m.Expires = time.Time{}
	if o := t.send(t.Context(), m); o.err != nil {
		t.broken("refused: %v", o.err)
	}
}

func testExpired(t *trial) {
	m := t.message("expired.1")
	m.Created, m.Expires = m.Created.Add(-time.Hour), time.Now().Add(-time.Second)
	t.refused(t.send(t.Context(), m), m, channel.Expired)
	t.nothingSent()
}

func testCancelled(t *trial) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m := t.message("cancelled.1")
	t.refused(t.send(ctx, m), m, channel.Temporary, channel.Unknown)
	t.nothingSent()
}

// cutShort sends a message to a stalled provider with a context that ends
// after a while, and returns what lets the provider go on.
func (t *trial) cutShort(id string, end func(context.Context) (context.Context, context.CancelFunc)) (release func()) {
	t.Helper()
	proceed := t.stall()
	ctx, cancel := end(t.Context())
	defer cancel()
	m := t.message(id)
	o := t.sendUntil(ctx, time.Now().Add(aWhile), m)
	t.unanswered(o, m, channel.Unknown, channel.Temporary)
	return func() {
		proceed()
		if class := channel.ClassOf(o.err); class != channel.Unknown {
			t.accept("released.1")
			<-time.After(aWhile) // the provider may read the message meanwhile
			if n := t.Accepted(); n != 1 {
				t.broken("class %q, yet the provider has read the message later", class)
			}
		}
	}
}

// stall stalls the provider until the case ends or release is called.
func (t *trial) stall() (release func()) {
	t.Helper()
	if t.Stall == nil {
		t.Skip("the harness has no Stall")
	}
	release = sync.OnceFunc(t.Stall())
	t.Cleanup(release)
	return release
}

// unanswered checks the outcome of a message to a stalled provider.
func (t *trial) unanswered(o outcome, m *channel.Message, classes ...channel.Class) {
	t.Helper()
	t.refused(o, m, classes...)
	if class := channel.ClassOf(o.err); class != channel.Unknown && t.Accepted() > 0 {
		t.broken("class %q: the provider has read the message, yet it is called not sent: %v", class, o.err)
	}
}

// aWhile is enough for a message to reach the provider, in general. Otherwise
// the case proves less but does not fail.
const aWhile = 100 * time.Millisecond

// cancelAfterAWhile returns a context without a deadline: a channel must watch
// for the cancellation, and cannot set a deadline on its connection instead.
func cancelAfterAWhile(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	timer := time.AfterFunc(aWhile, cancel)
	return ctx, func() { timer.Stop(); cancel() }
}

func testCancelledWhileStalled(t *trial) { t.cutShort("stalled.1", cancelAfterAWhile)() }

func testDeadlineWhileStalled(t *trial) {
	t.cutShort("stalled.1", func(ctx context.Context) (context.Context, context.CancelFunc) {
		return context.WithTimeout(ctx, aWhile)
	})()
}

// testExpiresWhileStalled gives a context without a deadline: only
// Message.Expires ends the call.
func testExpiresWhileStalled(t *trial) { t.expire(t.Context()) }

func testExpiresBeforeDeadline(t *trial) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	t.expire(ctx)
}

// expire sends a message to a stalled provider that expires after a while.
func (t *trial) expire(ctx context.Context) {
	t.Helper()
	t.stall()
	m := t.message("stalled.1")
	m.Expires = time.Now().Add(aWhile)
	t.unanswered(t.sendUntil(ctx, m.Expires, m), m, channel.Unknown, channel.Expired, channel.Temporary)
}

// others is how many messages wait for a stalled provider before another. Few channels
// have as many connections.
const others = 40

// testCancelledBehindOthers has a message wait for its turn, whatever a channel's turns are.
func testCancelledBehindOthers(t *trial) {
	release := t.stall()
	ctx, end := context.WithCancel(t.Context())
	defer end()
	var before []<-chan outcome
	for i := range others {
		before = append(before, t.start(ctx, t.message(fmt.Sprintf("other-%d.1", i))))
	}
	<-time.After(aWhile) // until they are with the provider, or wait for their turn
	short, cancel := cancelAfterAWhile(t.Context())
	defer cancel()
	m := t.message("behind.1")
	t.refused(t.send(short, m), m, channel.Unknown, channel.Temporary)
	end()
	for _, answered := range before {
		m := t.message("other.1")
		t.refused(t.await(answered), m, channel.Unknown, channel.Temporary)
	}
	release()
	t.accept("after.1") // none of them has kept its turn
}

func testPrompt(t *trial) {
	p, ok := t.Channel.(channel.Prompter)
	if !ok || !p.Prompt(t.Channel) {
		return // it makes no promise
	}
	if p.Prompt(channel.Func(t.Channel.Send)) {
		t.broken("Prompt answers true for another channel, whose Send it does not know")
	}
	t.stall()
	for what, call := range map[string]func(end time.Time, m *channel.Message) outcome{
		"Send, after its context": func(_ time.Time, m *channel.Message) outcome {
			ctx, cancel := cancelAfterAWhile(t.Context())
			defer cancel()
			return t.send(ctx, m)
		},
		"SendUntil, after until": func(end time.Time, m *channel.Message) outcome {
			answered := make(chan outcome, 1)
			go func() {
				s, err := p.SendUntil(t.Context(), m, end)
				answered <- outcome{s, err, nil}
			}()
			return t.await(answered)
		},
	} {
		m, end := t.message("stalled.1"), time.Now().Add(aWhile)
		t.refused(call(end, m), m, channel.Unknown, channel.Temporary)
		const slow = time.Second // a quarter, with leave for a slow machine
		if late := time.Since(end); late > slow {
			t.broken("%s had ended, returned %v late", what, late)
		}
	}
}

func testOddMessage(t *trial) {
	for i, edit := range []func(m *channel.Message){
		func(m *channel.Message) { *m = channel.Message{ID: m.ID, To: m.To} },
		func(m *channel.Message) { m.Text, m.Body, m.HTML = "", "", "" },
		func(m *channel.Message) { m.Text = strings.Repeat("A long text. ", 150) },
		func(m *channel.Message) {
			m.Text, m.Subject = "58203719 – Ваш код 🔑 你好", "58203719 – Ваш код 🔑"
		},
		func(m *channel.Message) { m.Text, m.Subject, m.Body = "\xff\xfe 58203719", "\xff", "\xff\xfe 58203719" },
		func(m *channel.Message) { m.Text, m.Subject, m.Sender = "\x00\x1b 58203719", "a\r\nBcc: b", "a\r\nb" },
		func(m *channel.Message) {
			m.Language, m.Purpose, m.Sender = "no language", "", strings.Repeat("x", 100)
		},
		func(m *channel.Message) { m.Tried, m.Last = []string{"", "x"}, []string{"x"} },
	} {
		m := t.message(fmt.Sprintf("odd-%d.1", i))
		edit(m)
		before := t.Accepted()
		o := t.send(t.Context(), m)
		taken := t.Accepted() - before
		switch {
		case o.err == nil && taken == 0:
			t.broken("odd message %d: no error, yet the provider has accepted nothing", i)
		case o.err != nil:
			t.refused(o, m, channel.Unknown, channel.Temporary, channel.Unreachable, channel.InvalidRecipient,
				channel.Misconfigured, channel.Expired)
			if taken > 0 && channel.ClassOf(o.err) != channel.Unknown {
				t.broken("odd message %d: the provider has accepted it, and the error is %v", i, o.err)
			}
		}
	}
}

// closing returns what closes the channel again and again, or nil for one without a Close
// and a Shutdown.
func (t *trial) closing() func() {
	closer, closes := t.Channel.(interface{ Close() error })
	shutter, shuts := t.Channel.(interface{ Shutdown(context.Context) error })
	if !closes && !shuts {
		return nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return func() {
		for range 2 {
			ended := make(chan outcome, 1)
			go func() {
				if closes {
					_ = closer.Close()
				}
				if shuts {
					_ = shutter.Shutdown(ctx)
				}
				ended <- outcome{}
			}()
			t.awaitCall("Close, or a Shutdown whose context has ended,", ended)
		}
	}
}

func testClosed(t *trial) {
	closeAll := t.closing()
	if closeAll == nil {
		return
	}
	closeAll()
	m := t.message("closed.1")
	o := t.send(t.Context(), m)
	t.refused(o, m, channel.Unknown, channel.Temporary, channel.Unreachable, channel.Misconfigured)
	if n := t.Accepted(); n != 0 {
		t.broken("the provider accepted %d messages after Close", n)
	}
}

func testClosedMeanwhile(t *trial) {
	closeAll := t.closing()
	if closeAll == nil {
		return
	}
	t.stall()
	m := t.message("meanwhile.1")
	answered := t.start(t.Context(), m)
	<-time.After(aWhile)
	closeAll()
	t.refused(t.await(answered), m, channel.Unknown, channel.Temporary)
}

func testRetryAfter(t *trial) {
	if t.RetryAfter == nil {
		t.Skip("the harness has no RetryAfter")
	}
	const asked = 7 * time.Second
	t.RetryAfter(asked)
	m := t.message("later.1")
	o := t.send(t.Context(), m)
	t.refused(o, m, channel.Throttled, channel.Temporary)
	if n := t.Accepted(); n != 0 {
		t.broken("the provider accepted %d messages, want none", n)
	}
	var e *channel.Error
	if errors.As(o.err, &e); e.RetryAfter <= asked-2*time.Second || e.RetryAfter > asked {
		t.broken("the provider asked to wait %v, and RetryAfter is %v", asked, e.RetryAfter)
	}
}

func testUsableAfterStall(t *trial) {
	t.cutShort("stalled.1", cancelAfterAWhile)()
	t.checkIDs(t.accept("stalled.2"))
}

func testInvalidRecipient(t *trial) {
	for i, to := range badRecipients(t.Address) {
		m := t.message(fmt.Sprintf("invalid.%d", i))
		m.To = to
		t.refused(t.send(t.Context(), m), m, channel.InvalidRecipient)
	}
	t.nothingSent()
}

// badRecipients returns recipients that a channel for this kind of address
// cannot reach.
func badRecipients(kind channel.Address) []channel.Recipient {
	all := []channel.Recipient{{}}
	if kind&channel.Phone == 0 {
		all = append(all, channel.Recipient{Phone: "+447700900123"})
	} else {
		for _, s := range []string{"447700900123", "+0447700900123", "+44 7700 900123", "+12345", "+12345678901234567",
			"+44770090012a", "+447700900123\r\nRCPT TO"} {
			all = append(all, channel.Recipient{Phone: s})
		}
	}
	if kind&channel.Email == 0 {
		all = append(all, channel.Recipient{Email: "ann.recipient@example.com"})
	} else {
		for _, s := range []string{"ann.recipient", "@example.com", "ann.recipient@", "ann recipient@example.com",
			"<ann.recipient@example.com>", "ann.recipient@example.com\r\nBcc: bob.recipient@example.com"} {
			all = append(all, channel.Recipient{Email: s})
		}
	}
	if kind&channel.Push != 0 {
		all = append(all, channel.Recipient{Push: "token with spaces"}, channel.Recipient{Push: "token\r\nX-Header: 1"})
	}
	if kind&channel.Chat != 0 {
		all = append(all, channel.Recipient{Chat: "id with spaces"}, channel.Recipient{Chat: "id\r\nX-Header: 1"})
	}
	return all
}

func testMessageUntouched(t *trial) {
	m, want := t.message("untouched.1"), t.message("untouched.1")
	m.Tried, want.Tried = []string{"one", "two"}, []string{"one", "two"}
	want.Created, want.Expires = m.Created, m.Expires
	if o := t.send(t.Context(), m); o.err != nil {
		t.broken("a good message was refused: %v", o.err)
	}
	if !reflect.DeepEqual(m, want) {
		t.broken("the Message has changed")
	}
	if _, calls := channel.As[channel.RouteLister](t.Channel); !calls { // a failover must call it
		other := t.message("allow.1")
		var allowed atomic.Bool
		other.Allow = func(context.Context, channel.Route) error {
			allowed.Store(true)
			return nil
		}
		if t.send(t.Context(), other); allowed.Load() {
			t.broken("the channel has called Message.Allow, which counts the message a second time")
		}
	}
	// The race detector catches a channel that still reads the message now.
	m.Tried[0] = ""
	*m = channel.Message{}
	t.accept("untouched.2")
}

func testTwice(t *trial) {
	first := t.accept("twice.1")
	ids := slices.Clone(first.ProviderIDs)
	second := t.accept("twice.1")
	t.checkIDs(first)
	t.checkIDs(second)
	if !slices.Equal(first.ProviderIDs, ids) {
		t.broken("a later Send has changed the ProviderIDs of an earlier: %q, before %q", first.ProviderIDs, ids)
	}
	want := 2
	if t.Idempotent {
		want = 1
	}
	if n := t.Accepted(); n != want {
		t.broken("the provider accepted %d messages after the same one twice, want %d", n, want)
	}
}

func testConcurrent(t *trial) {
	const senders, each = 16, 4
	var answers []<-chan outcome
	for i := range senders {
		all := make(chan outcome, each)
		answers = append(answers, all)
		go func() {
			for j := range each {
				all <- t.call(t.Context(), t.message(fmt.Sprintf("concurrent-%d.%d", i, j)))
			}
		}()
	}
	seen := map[string]bool{}
	for _, all := range answers {
		for range each {
			o := t.await(all)
			if o.err != nil {
				t.broken("a good message was refused: %v", o.err)
			}
			t.checkIDs(o.Submission)
			for _, id := range o.ProviderIDs {
				if seen[id] && t.ProviderIDs {
					t.broken("provider id %q was given to two messages", id)
				}
				seen[id] = true
			}
		}
	}
	if n := t.Accepted(); n != senders*each {
		t.broken("the provider accepted %d messages of %d", n, senders*each)
	}
}

// refusal makes the case of a provider that refuses with a class.
func refusal(class channel.Class, rule string) testCase {
	return testCase{"Refused/" + class.String(), rule, func(t *trial) {
		if t.Refuse == nil {
			t.Skip("the harness has no Refuse")
		}
		if !t.Refuse(class) {
			t.Skipf("the provider has no refusal of class %q", class)
		}
		m := t.message("refused.1")
		o := t.send(t.Context(), m)
		t.refused(o, m, class)
		var e *channel.Error
		if want := t.Codes[class]; want != "" && errors.As(o.err, &e) && e.Code != want {
			t.broken("Error.Code %q, want the provider's %q", e.Code, want)
		}
		n := t.Accepted()
		if n != 0 && class != channel.Unknown {
			t.broken("the provider accepted %d messages, want none", n)
		}
		if n > 1 && !t.Idempotent {
			t.broken("the provider has read the message %d times: it may have gone out, so it must not be repeated", n)
		}
	}}
}
