package failover_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/channeltest"
	"github.com/otpcourier/otpcourier/channel/failover"
)

// TestClasses has a row for each line of the class table: three routes, two
// by SMS and one by e-mail, the first of which may be tried twice.
func TestClasses(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		stop   bool
		first  []channel.Func
		second []channel.Func
		want   []hop
		failed channel.Class // of Send, where the last hop is not accepted
	}{
		{
			name: "accepted",
			want: []hop{sms("a")},
		}, {
			name:  "Unknown goes on, never by the same route",
			first: []channel.Func{refuse(channel.Unknown, "timeout")},
			want:  []hop{sms("a").as(channel.Unknown, "timeout"), sms("b")},
		}, {
			name:   "Unknown stops if told",
			stop:   true,
			first:  []channel.Func{refuse(channel.Unknown, "timeout")},
			want:   []hop{sms("a").as(channel.Unknown, "timeout")},
			failed: channel.Unknown,
		}, {
			name:  "an error without a class is Unknown",
			first: []channel.Func{channeltest.Fail(errors.New("broken pipe"))},
			want:  []hop{sms("a").as(channel.Unknown, ""), sms("b")},
		}, {
			name:  "Temporary is tried again",
			first: []channel.Func{refuse(channel.Temporary, "0x08")},
			want:  []hop{sms("a").as(channel.Temporary, "0x08"), sms("a")},
		}, {
			name:  "Temporary goes on after Retry.Attempts",
			first: []channel.Func{refuse(channel.Temporary, "0x08"), refuse(channel.Temporary, "0x08")},
			want:  []hop{sms("a").as(channel.Temporary, "0x08"), sms("a").as(channel.Temporary, "0x08"), sms("b")},
		}, {
			name:  "Throttled is tried again",
			first: []channel.Func{throttle(time.Second)},
			want:  []hop{sms("a").as(channel.Throttled, "0x58"), sms("a")},
		}, {
			name:  "Throttled goes on after Retry.Attempts",
			first: []channel.Func{throttle(0), throttle(time.Second)},
			want:  []hop{sms("a").as(channel.Throttled, "0x58"), sms("a").as(channel.Throttled, "0x58"), sms("b")},
		}, {
			name:  "Throttled after Temporary is one try more, not two",
			first: []channel.Func{refuse(channel.Temporary, "0x08"), throttle(0)},
			want:  []hop{sms("a").as(channel.Temporary, "0x08"), sms("a").as(channel.Throttled, "0x58"), sms("b")},
		}, {
			name:  "Unknown after Temporary is not tried again",
			first: []channel.Func{refuse(channel.Temporary, "0x08"), refuse(channel.Unknown, "")},
			want:  []hop{sms("a").as(channel.Temporary, "0x08"), sms("a").as(channel.Unknown, ""), sms("b")},
		}, {
			name:  "Unreachable goes on at once",
			first: []channel.Func{refuse(channel.Unreachable, "0x45")},
			want:  []hop{sms("a").as(channel.Unreachable, "0x45"), sms("b")},
		}, {
			name:  "InvalidRecipient goes on by another kind of address only",
			first: []channel.Func{refuse(channel.InvalidRecipient, "0x0B")},
			want:  []hop{sms("a").as(channel.InvalidRecipient, "0x0B"), mail("email")},
		}, {
			name:   "InvalidRecipient of a later route",
			first:  []channel.Func{refuse(channel.Unreachable, "0x45")},
			second: []channel.Func{refuse(channel.InvalidRecipient, "0x0B")},
			want: []hop{sms("a").as(channel.Unreachable, "0x45"), sms("b").as(channel.InvalidRecipient, "0x0B"),
				mail("email")},
		}, {
			name:  "Misconfigured goes on at once",
			first: []channel.Func{refuse(channel.Misconfigured, "0x0E")},
			want:  []hop{sms("a").as(channel.Misconfigured, "0x0E"), sms("b")},
		}, {
			name:   "Expired stops",
			first:  []channel.Func{refuse(channel.Expired, "")},
			want:   []hop{sms("a").as(channel.Expired, "")},
			failed: channel.Expired,
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := &fakes{config: failover.Config{StopOnUnknown: row.stop}}
				f.route("a", row.first...).Retry.Attempts = 2
				f.route("b", row.second...)
				f.route("email")
				f.build(t)

				s, err := f.Send(t.Context(), message())
				wantHops(t, s, row.want...)
				last := row.want[len(row.want)-1]
				if last.Class != accepted {
					wantError(t, s, err, row.failed)
					return
				}
				want := channel.Submission{Route: last.Route, ProviderIDs: []string{last.Route + "-1"},
					State: channel.Sent, Hops: s.Hops}
				sameRoute := cmp.Comparer(func(a, b channel.Hop) bool { return a.Route == b.Route })
				if diff := cmp.Diff(want, s, sameRoute); err != nil || diff != "" {
					t.Errorf("error %v, submission (-want +got):\n%s", err, diff)
				}
			})
		})
	}
}

// TestErrorClass shows which class Send answers when all routes have failed.
func TestErrorClass(t *testing.T) {
	t.Parallel()
	temporary := channeltest.Fail(&channel.Error{Class: channel.Temporary, Op: "fake: send", Code: "421",
		RetryAfter: 7 * time.Second})
	for _, row := range []struct {
		name    string
		answers []channel.Func // of a, b, email
		class   channel.Class
		code    string
		after   time.Duration
		text    string
	}{
		{
			"Unknown over all", []channel.Func{temporary, refuse(channel.Unknown, "lost"),
				refuse(channel.Misconfigured, "535")},
			channel.Unknown, "lost", 0,
			"failover: send: unknown (lost): a temporary (421); b unknown (lost); email misconfigured (535)",
		}, {
			"Expired over Temporary", []channel.Func{temporary, refuse(channel.Expired, "")},
			channel.Expired, "", 0, "failover: send: expired: a temporary (421); b expired",
		}, {
			"Temporary over the rest", []channel.Func{refuse(channel.Unreachable, "0x45"), temporary,
				refuse(channel.InvalidRecipient, "5.1.1")},
			channel.Temporary, "421", 7 * time.Second,
			"failover: send: temporary (421): a unreachable (0x45); b temporary (421); email invalid recipient (5.1.1)",
		}, {
			"the shortest RetryAfter", []channel.Func{temporary, throttle(time.Hour), throttle(time.Second)},
			channel.Temporary, "421", time.Second, "",
		}, {
			"InvalidRecipient over the rest", []channel.Func{refuse(channel.Unreachable, "0x45"),
				refuse(channel.InvalidRecipient, "0x0B"), refuse(channel.Misconfigured, "535")},
			channel.InvalidRecipient, "0x0B", 0, "",
		}, {
			"Misconfigured over Unreachable", []channel.Func{refuse(channel.Unreachable, "0x45"),
				refuse(channel.Misconfigured, "0x0E"), refuse(channel.Unreachable, "5.2.2")},
			channel.Misconfigured, "0x0E", 0, "",
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := &fakes{}
				for i, name := range []string{"a", "b", "email"} {
					answer := row.answers[min(i, len(row.answers)-1)]
					f.route(name, answer, answer)
				}
				f.build(t)
				s, err := f.Send(t.Context(), message())
				e := wantError(t, s, err, row.class)
				if e.Code != row.code || e.RetryAfter != row.after {
					t.Errorf("code %q, RetryAfter %v: %v", e.Code, e.RetryAfter, err)
				}
				if row.text != "" && err.Error() != row.text {
					t.Errorf("got  %s\nwant %s", err, row.text)
				}
				if errors.Is(err, channel.ErrNoRoute) {
					t.Errorf("ErrNoRoute though routes were tried: %v", err)
				}
			})
		})
	}
}

// TestSecrets shows that neither a careless channel's error nor its log line
// gives the code or an address away.
func TestSecrets(t *testing.T) {
	t.Parallel()
	m := message()
	leak := errors.New("550 " + m.To.Phone + " " + m.To.Email + ": " + m.Text)
	f := &fakes{}
	f.route("a", channeltest.Fail(leak))
	f.route("b", channeltest.Fail(&channel.Error{Class: channel.Misconfigured, Op: "fake: send", Err: leak}))
	f.build(t)
	_, err := f.Send(t.Context(), m)
	if !errors.Is(err, leak) {
		t.Errorf("the causes are not wrapped: %v", err)
	}
	if !strings.Contains(f.log.String(), "level=ERROR msg=\"failover: route is misconfigured\" route=b") {
		t.Errorf("Misconfigured is not logged as an error:\n%s", f.log.String())
	}
	for _, text := range []string{err.Error(), f.log.String()} {
		for _, secret := range []string{m.Code, m.To.Phone[1:], m.To.Email} {
			if strings.Contains(text, secret) {
				t.Errorf("%q is in: %s", secret, text)
			}
		}
	}
}

// TestOverride shows that Route.Classes comes before everything else: a
// provider that says "invalid destination" of a country it does not serve.
func TestOverride(t *testing.T) {
	t.Parallel()
	synctest.Test(t, testOverride)
}

func testOverride(t *testing.T) {
	f := &fakes{}
	imessage := f.route("imessage", refuse(channel.InvalidRecipient, "0x0B"))
	imessage.Classes = map[string]channel.Class{"0x0B": channel.Unreachable, "": channel.Expired}
	f.route("carrier", refuse(channel.Unknown, "")).Classes = map[string]channel.Class{"": channel.Expired}
	f.route("email")
	f.build(t)
	s, err := f.Send(t.Context(), message())
	if err != nil {
		t.Fatal(err)
	}
	wantHops(t, s, sms("imessage").as(channel.Unreachable, "0x0B"), sms("carrier").as(channel.Unknown, ""),
		mail("email"))
}

// TestOTPBlue walks the picture of OTP Blue's integration guide: iMessage,
// then one carrier, then another, and e-mail after them.
func TestOTPBlue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fakes{}
		f.route("imessage", slow(300*time.Millisecond, refuse(channel.Unreachable, "0x45")))
		f.route("carrier-a", slow(50*time.Millisecond, refuse(channel.Temporary, "0x08")),
			slow(70*time.Millisecond, refuse(channel.Temporary, "0x08"))).Retry.Attempts = 2
		f.route("carrier-b", channeltest.Stall())
		f.route("email", slow(20*time.Millisecond, channeltest.Accept("queued-1")))
		f.config.TryTimeout = 3 * time.Second
		f.build(t)

		s, err := f.Send(t.Context(), message())
		if err != nil || s.Route != "email" || s.State != channel.Sent || !s.Await.IsZero() {
			t.Errorf("%v, %+v", err, s)
		}
		wantHops(t, s,
			sms("imessage").as(channel.Unreachable, "0x45").took(300*time.Millisecond),
			sms("carrier-a").as(channel.Temporary, "0x08").took(50*time.Millisecond),
			sms("carrier-a").as(channel.Temporary, "0x08").took(70*time.Millisecond),
			sms("carrier-b").as(channel.Unknown, "").took(3*time.Second),
			mail("email").took(20*time.Millisecond),
		)
	})
}

// TestEveryClassHasASeverity fails when a class is added that failover has no
// rule for.
func TestEveryClassHasASeverity(t *testing.T) {
	t.Parallel()
	for c := channel.Class(0); c.Valid(); c++ {
		if failover.Severity(c) == 0 {
			t.Errorf("%s has no severity", c)
		}
	}
}
