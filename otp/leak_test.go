package otp_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
)

// syncBuffer collects log lines from several goroutines.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// Whatever happens, no code and no address is in a log line, an event or an
// error. The codes are letters, so that no time or id can look like one.
func TestNothingSecretIsLogged(t *testing.T) {
	t.Parallel()
	for name, handler := range map[string]func(*syncBuffer, *slog.HandlerOptions) slog.Handler{
		"text": func(b *syncBuffer, o *slog.HandlerOptions) slog.Handler { return slog.NewTextHandler(b, o) },
		"json": func(b *syncBuffer, o *slog.HandlerOptions) slog.Handler { return slog.NewJSONHandler(b, o) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var out syncBuffer
				logger := slog.New(handler(&out, &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true}))
				r := newRig(t, func(c *otp.Config) {
					c.Generator = otp.Random{Length: 10, Alphabet: "GHJKLMNPQRSTUVWXYZ"}
					c.Logger = logger
					c.Events = func(_ context.Context, e otp.Event) {
						fmt.Fprintf(&out, "%v\n%+v\n%#v\n", e, e, e)
						logger.Info("event", "event", e)
					}
				})
				r.cfg.Channel = r.failover(t, await)
				r.a.errs = []error{refusal(channel.Misconfigured, "0x0E")}
				careless := r.cfg.Channel
				r.cfg.Channel = channelOf{channel.Func(func(ctx context.Context,
					m *channel.Message) (channel.Submission, error) {
					sub, err := careless.Send(ctx, m)
					for i := range sub.Hops {
						if a := &sub.Hops[i]; a.Err != nil {
							a.Err = fmt.Errorf("550 <%s> %s: %s: %w", m.To.Email, m.To.Phone, m.Text, a.Err)
						}
					}
					if err != nil {
						err = fmt.Errorf("550 <%s> %s: %s: %w", m.To.Email, m.To.Phone, m.Text, err)
					}
					return sub, err
				}), careless}
				r.Service = r.another(t)
				work(t, r.Service)
				tell := func(err error) {
					if err != nil {
						logger.Error("refused", "error", err)
						fmt.Fprintf(&out, "%v %+v\n", err, err)
					}
				}
				c := r.send(t, otp.Request{Purpose: "login", Subject: "+447912345678"})
				logger.Info("challenge", "challenge", c)
				fmt.Fprintf(&out, "%v %+v %#v\n", c, c, c)
				code := r.b.messages()[0].Code
				m := r.b.messages()[0]
				logger.Info("message", "message", m)
				fmt.Fprintf(&out, "%v %+v %#v\n", m, m, m)
				handle(t, r.Service, channel.Receipt{Route: "B", ProviderID: "b-1", State: channel.Failed})
				synctest.Wait()
				verify := func(code string) error {
					return verify(t.Context(), r, otp.Verification{ID: c.ID, Subject: "+447912345678", Purpose: "login",
						Code: code})
				}
				for _, input := range []any{r.cfg.Keys, otp.Seed{Key: []byte(code)},
					otp.Request{Subject: "+447912345678", To: both},
					otp.Verification{ID: c.ID, Subject: "+447912345678", Code: code}, otp.FixedCode{Address: both.Phone,
						Code: code}} {
					logger.Info("input", "input", input)
					fmt.Fprintf(&out, "%v %+v %#v %s\n", input, input, input, input)
				}
				tell(verify("GGGGGGGGGG"))
				tell(verify(strings.ToLower(code[:9]) + "!"))
				_, err := r.Resend(t.Context(), otp.ResendRequest{ID: c.ID, Subject: "u1"})
				tell(err)
				time.Sleep(time.Minute)
				_, err = r.Resend(t.Context(), otp.ResendRequest{ID: c.ID, Subject: "u1"})
				tell(err)
				tell(verify(code))
				tell(verify(code))
				_, err = r.Send(t.Context(), otp.Request{Subject: "u", To: channel.Recipient{Phone: "+447912345678",
					Email: "ann@example.com>"}})
				tell(err)
				_, err = r.Send(t.Context(), otp.Request{Subject: "u",
					To: channel.Recipient{Phone: "+447912345678000"}})
				tell(err)
				tell(r.Cancel(t.Context(), ref(c.ID)))

				logged := out.String()
				key := r.cfg.Keys.Keys["k1"]
				for what, secret := range map[string]string{"code": code,
					"key": base64.StdEncoding.EncodeToString(key)[:20], "printed key": strings.Trim(fmt.Sprintf("%d",
						key[:8]), "[]"), "phone number": "7912345678", "mailbox": "ann@", "subject": "+447912345678"} {
					if i := strings.Index(strings.ToUpper(logged), strings.ToUpper(secret)); i >= 0 {
						t.Errorf("a %s is in the log: …%s…", what, logged[max(i-200, 0):min(i+60, len(logged))])
					}
				}
				for _, kind := range []otp.EventKind{otp.EventGenerated, otp.EventSent, otp.EventReceipt,
					otp.EventRejected, otp.EventVerified, otp.EventRefused} {
					if !strings.Contains(logged, string(kind)) {
						t.Errorf("no event %q in the log", kind)
					}
				}
				if !strings.Contains(logged, "5678") {
					t.Error("no masked address in the log: the capture does not work")
				}
			})
		})
	}
}

// channelOf is a wrapper, as an embedder may have around a failover.
type channelOf struct {
	channel.Channel
	wrapped channel.Channel
}

func (c channelOf) Unwrap() channel.Channel { return c.wrapped }

func TestErrorText(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  *otp.Error
		want string
	}{
		{&otp.Error{Reason: otp.ReasonWrong, AttemptsLeft: 3}, "otp: invalid or expired code"},
		{&otp.Error{Reason: otp.ReasonTooSoon, RetryAfter: 30 * time.Second},
			"otp: too many requests: it is too soon for another message (retry after 30s)"},
		{&otp.Error{Reason: otp.ReasonInvalid, Field: "To.Phone", Err: errors.New("not a number")},
			"otp: invalid request: To.Phone: not a number"},
		{&otp.Error{Reason: otp.ReasonUndelivered, Err: refusal(channel.Temporary, "0x08")},
			"otp: not delivered: test: send: temporary (0x08)"},
		{&otp.Error{Reason: otp.ReasonUnavailable, Err: errDown}, "otp: temporarily unavailable: connection refused"},
	} {
		if got := c.err.Error(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// What a channel says too much of stays out of errors and events.
func TestCarelessChannel(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *otp.Config) { c.Receipts = nil })
	r.cfg.Channel = channel.Func(func(_ context.Context, m *channel.Message) (channel.Submission, error) {
		return channel.Submission{}, &channel.Error{Class: channel.InvalidRecipient, Op: "test: send", Code: "550",
			Err: fmt.Errorf("<%s> or %s unknown, cannot send %q", strings.ToUpper(m.To.Email), m.To.Phone[1:], m.Text)}
	})
	_, err := r.another(t).Send(t.Context(), otp.Request{Subject: "u1", To: both})
	if channel.ClassOf(err) != channel.InvalidRecipient || !errors.Is(err, otp.ErrUndelivered) {
		t.Fatal(err)
	}
	want := `otp: not delivered: test: send: invalid recipient (550): <***> or *** unknown, ` +
		`cannot send "*** is your MyBank code. It expires in 5 minutes. Do not share it."`
	if err.Error() != want || !strings.Contains(r.last().Err.Error(), "<***> or ***") {
		t.Errorf("error %q, event %q", err, r.last().Err)
	}
}
