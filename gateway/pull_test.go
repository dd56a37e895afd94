package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/channeltest"
	"github.com/otpcourier/otpcourier/gateway"
	"github.com/otpcourier/otpcourier/gateway/gatewaytest"
)

const (
	pullSecret = "correct horse battery"
	// printf 'sesame#salt@pixel' | md5sum | cut -c1-6
	pullHash = "ae5aaf"
)

// receiptLog is a handler of receipts that can be told to fail.
type receiptLog struct {
	mu   sync.Mutex
	got  []string
	last channel.Receipt
	err  error
}

func (l *receiptLog) handle(_ context.Context, r channel.Receipt) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return l.err
	}
	l.got, l.last = append(l.got, r.MessageID+" "+r.State.String()), r
	return nil
}

// pullConfig has two phones, "pixel" and "nokia".
func pullConfig() (gateway.PullConfig, *receiptLog) {
	receipts := &receiptLog{}
	return gateway.PullConfig{
		Phones:  []gateway.PullPhone{{ID: "pixel", Password: pullSecret, WeakHashSecret: "sesame"}, {ID: "nokia", Password: pullSecret}},
		Receipt: receipts.handle,
	}, receipts
}

func newPull(t testing.TB, c gateway.PullConfig) *gateway.Pull {
	t.Helper()
	p, err := gateway.NewPull(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// handed is a message as a phone gets it.
type handed struct{ ID, To, Content string }

// poller is a phone.
type poller struct {
	testing.TB
	handler http.Handler
	id      string
}

func (p poller) request(method, body string) (status int, header http.Header, answer string) {
	p.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, "https://otp.example/sms", strings.NewReader(body))
	if err != nil {
		p.Fatal(err)
	}
	r.SetBasicAuth(p.id, pullSecret)
	res, err := gatewaytest.HandlerClient(p.handler).Do(r)
	if err != nil {
		p.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		p.Fatal(err)
	}
	return res.StatusCode, res.Header, string(b)
}

// poll reports updates, "id STATUS reason", and returns what it is handed.
func (p poller) poll(updates ...string) []handed {
	p.Helper()
	status, got := p.tryPoll(updates...)
	if status != http.StatusOK {
		p.Fatalf("poll: status %d", status)
	}
	return got
}

func (p poller) tryPoll(updates ...string) (int, []handed) {
	p.Helper()
	type update struct {
		ID     string `json:"id"`
		Status string `json:"status"`
		Reason string `json:"reason,omitempty"`
	}
	body := map[string]any{"messages": []any{}}
	var list []update
	for _, u := range updates {
		words := append(strings.SplitN(u, " ", 3), "", "")
		list = append(list, update{words[0], words[1], words[2]})
	}
	body["updates"] = list
	b, err := json.Marshal(body)
	if err != nil {
		p.Fatal(err)
	}
	status, _, answer := p.request(http.MethodPost, string(b))
	var out struct{ Messages []handed }
	if err := json.Unmarshal([]byte(answer), &out); err != nil {
		p.Fatal(err)
	}
	return status, out.Messages
}

func pullMessage(id string) *channel.Message { return channeltest.Message(channel.Phone, id) }

// sent is what Send answered, and after how long.
type sent struct {
	channel.Submission
	err  error
	took time.Duration
}

// send calls Send on a goroutine and returns once it waits.
func send(ctx context.Context, p *gateway.Pull, m *channel.Message) <-chan sent {
	done := make(chan sent, 1)
	go func() {
		started := time.Now()
		s, err := p.Send(ctx, m)
		done <- sent{s, err, time.Since(started)}
	}()
	synctest.Wait()
	return done
}

// none fails if Send has returned.
func none(t *testing.T, done <-chan sent) {
	t.Helper()
	synctest.Wait()
	select {
	case s := <-done:
		t.Fatalf("Send has returned: %v %v", s.State, s.err)
	default:
	}
}

func wantErr(t *testing.T, s sent, class channel.Class, took time.Duration) {
	t.Helper()
	if s.err == nil || channel.ClassOf(s.err) != class || s.took != took || s.State != channel.Failed {
		t.Fatalf("%v %v after %v, want class %v after %v", s.State, s.err, s.took, class, took)
	}
}

func ids(list []handed) (all []string) {
	for _, m := range list {
		all = append(all, m.ID)
	}
	return all
}

func wantIDs(t *testing.T, got []handed, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, ids(got)); diff != "" {
		t.Fatalf("handed out: %s", diff)
	}
}

func TestPullSend(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, receipts := pullConfig()
		p := newPull(t, c)
		phone, other := poller{t, p, "pixel"}, poller{t, p, "nokia"}
		done := send(t.Context(), p, pullMessage("c4n7.1"))
		none(t, done)
		if status, _, _ := phone.request(http.MethodGet, ""); status != 200 {
			t.Errorf("GET: %d", status)
		}
		none(t, done) // looking whether the server is there takes nothing
		m := pullMessage("c4n7.1")
		if diff := cmp.Diff([]handed{{"c4n7.1", m.To.Phone, m.Text}}, phone.poll()); diff != "" {
			t.Error(diff)
		}
		if s := <-done; s.err != nil || s.State != channel.Sent || len(s.ProviderIDs) != 1 || s.ProviderIDs[0] != "c4n7.1" {
			t.Errorf("%+v", s)
		}
		wantIDs(t, other.poll())
		wantIDs(t, phone.poll("c4n7.1 PENDING"))
		// The other phone knows nothing of it; whatever comes again or goes
		// backwards is not told.
		other.poll("c4n7.1 DELIVERED")
		phone.poll("c4n7.1 SENT", "c4n7.1 SENT")
		phone.poll("c4n7.1 FAILED generic; errorCode=38", "c4n7.1 SENT")
		if r := receipts.last; r.Class != channel.Unreachable || r.Code != "generic; errorCode=38" || r.ProviderID != "c4n7.1" || r.At.IsZero() {
			t.Errorf("failed: %+v", r)
		}
		phone.poll("c4n7.1 DELIVERED", "c4n7.1 FAILED late", "c4n7.1 DELIVERED")
		// From before a restart; nonsense; and reasons that say too much.
		phone.poll("before.1 DELIVERED", "before.2 PENDING", "x\ny DELIVERED", " SENT", "before.3 LOST", strings.Repeat("x", 37)+" SENT")
		phone.poll("before.4 FAILED no route to +447700900123")
		if receipts.last.Code != "FAILED" {
			t.Errorf("code %q", receipts.last.Code)
		}
		want := []string{"c4n7.1 sent", "c4n7.1 failed", "c4n7.1 delivered", "before.1 delivered", "before.4 failed"}
		if diff := cmp.Diff(want, receipts.got); diff != "" {
			t.Error(diff)
		}
		if s := <-send(t.Context(), p, pullMessage("c4n7.1")); s.err != nil || s.took != 0 {
			t.Errorf("again: %+v", s)
		}
		wantIDs(t, phone.poll())
	})
}

// TestPullNobodyPolls shows how long a route without a phone takes, and that
// what was given up is never handed out.
func TestPullNobodyPolls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := pullConfig()
		p := newPull(t, c)
		phone := poller{t, p, "pixel"}
		phone.poll()
		time.Sleep(20 * time.Second)
		// The phone was here 20 s ago, so it is away in 45.
		wantErr(t, <-send(t.Context(), p, pullMessage("one.1")), channel.Temporary, 45*time.Second)
		wantErr(t, <-send(t.Context(), p, pullMessage("two.1")), channel.Temporary, 0)
		wantIDs(t, phone.poll())

		// A phone that polls, but gets only what others had waited for longer,
		// does not make anyone wait for more than Wait.
		time.Sleep(10 * time.Second)
		ctx, cancel := context.WithCancel(t.Context())
		var crowd []<-chan sent
		for i := range 60 {
			crowd = append(crowd, send(ctx, p, pullMessage(fmt.Sprintf("crowd.%d", i))))
		}
		last := send(t.Context(), p, pullMessage("last.1"))
		time.Sleep(30 * time.Second)
		if n := len(phone.poll()); n != 20 {
			t.Errorf("%d messages in one answer", n)
		}
		time.Sleep(30 * time.Second)
		phone.poll(idsOf("crowd", 0, 20, "PENDING")...)
		wantErr(t, <-last, channel.Temporary, 65*time.Second)
		cancel()
		for i, done := range crowd {
			if s := <-done; (s.err == nil) != (i < 40) {
				t.Errorf("crowd %d: %v", i, s.err)
			}
		}
		wantIDs(t, poller{t, p, "nokia"}.poll())

		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		s := <-send(ctx, p, pullMessage("three.1"))
		wantErr(t, s, channel.Temporary, time.Second)
		if !errors.Is(s.err, context.DeadlineExceeded) {
			t.Errorf("%v", s.err)
		}
	})
}

func idsOf(prefix string, from, to int, status string) (all []string) {
	for i := from; i < to; i++ {
		all = append(all, fmt.Sprintf("%s.%d %s", prefix, i, status))
	}
	return all
}

func TestPullExpiry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := pullConfig()
		p := newPull(t, c)
		phone := poller{t, p, "pixel"}
		lasts := func(id string, life time.Duration) *channel.Message {
			m := pullMessage(id)
			m.Expires = time.Now().Add(life)
			return m
		}
		wantErr(t, <-send(t.Context(), p, lasts("short.1", 5*time.Second-1)), channel.Expired, 0)
		wantErr(t, <-send(t.Context(), p, lasts("one.1", 30*time.Second)), channel.Expired, 25*time.Second)

		done := send(t.Context(), p, lasts("two.1", 30*time.Second))
		time.Sleep(25*time.Second - time.Nanosecond)
		wantIDs(t, phone.poll(), "two.1") // just in time
		<-done

		// An answer that was lost is repeated, but not for ever.
		phone.poll("two.1 PENDING")
		done = send(t.Context(), p, lasts("three.1", 2*time.Minute))
		wantIDs(t, phone.poll(), "three.1")
		<-done
		time.Sleep(115 * time.Second)
		wantIDs(t, phone.poll())

		m := pullMessage("eternal.1")
		m.Expires = time.Time{}
		done = send(t.Context(), p, m)
		wantIDs(t, phone.poll(), "eternal.1")
		<-done
		time.Sleep(299 * time.Second)
		wantIDs(t, phone.poll(), "eternal.1")
		time.Sleep(time.Hour)
		wantIDs(t, phone.poll())
	})
}

func TestPullReceiptNotStored(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, receipts := pullConfig()
		p := newPull(t, c)
		phone := poller{t, p, "pixel"}
		done := send(t.Context(), p, pullMessage("one.1"))
		receipts.err = errors.New("no store")
		for range 2 {
			if status, got := phone.tryPoll("before.1 SENT", "before.2 SENT"); status != 503 || len(got) != 0 {
				t.Errorf("%d %v", status, got)
			}
			none(t, done) // a phone takes nothing from such an answer
		}
		receipts.err = nil
		wantIDs(t, phone.poll("before.1 SENT", "before.2 SENT"), "one.1")
		receipts.err = errors.New("no store")
		if status, _ := phone.tryPoll("one.1 SENT"); status != 503 {
			t.Errorf("status %d", status)
		}
		receipts.err = nil
		phone.poll("one.1 SENT")
		phone.poll("one.1 SENT")
		if diff := cmp.Diff([]string{"before.1 sent", "before.2 sent", "one.1 sent"}, receipts.got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestPullSameMessage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := pullConfig()
		p := newPull(t, c)
		phone := poller{t, p, "pixel"}
		ctx, cancel := context.WithCancel(t.Context())
		one, again := send(ctx, p, pullMessage("one.1")), send(t.Context(), p, pullMessage("one.1"))
		cancel()
		wantErr(t, <-one, channel.Unknown, 0) // the other Send still waits for it
		none(t, again)
		wantIDs(t, phone.poll(), "one.1")
		if s := <-again; s.err != nil {
			t.Error(s.err)
		}
	})
}

func TestPullCancelAndClose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := pullConfig()
		c.MaxQueue = 2
		p := newPull(t, c)
		l := &line{Handler: p}
		phone := poller{t, l, "pixel"}
		one, two := send(t.Context(), p, pullMessage("one.1")), send(t.Context(), p, pullMessage("two.1"))
		wantErr(t, <-send(t.Context(), p, pullMessage("three.1")), channel.Throttled, 0)
		canceler, ok := channel.As[channel.Canceler](p)
		if !ok {
			t.Fatal("no Canceler")
		}
		if err := canceler.Cancel(t.Context(), pullMessage("one.1"), channel.Submission{}); err != nil {
			t.Error(err)
		}
		wantErr(t, <-one, channel.Temporary, 0)
		wantIDs(t, phone.poll(), "two.1")
		if s := <-two; s.err != nil {
			t.Error(s.err)
		}
		for _, id := range []string{"one.1", "two.1", "never.1"} {
			if err := canceler.Cancel(t.Context(), pullMessage(id), channel.Submission{}); err == nil {
				t.Errorf("%s: cancelled", id)
			}
		}
		time.Sleep(31 * time.Second)
		wantIDs(t, phone.poll()) // not handed out again either

		l.set(true, nil)
		doubted := send(t.Context(), p, pullMessage("doubted.1"))
		phone.poll()
		l.set(false, nil)
		waits := send(t.Context(), p, pullMessage("waits.1"))
		for range 2 {
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		}
		wantErr(t, <-waits, channel.Temporary, 0)
		wantErr(t, <-doubted, channel.Unknown, 0)
		wantErr(t, <-send(t.Context(), p, pullMessage("late.1")), channel.Temporary, 0)
		if status, _ := phone.tryPoll(); status != 503 {
			t.Errorf("status %d", status)
		}
	})
}

// TestPullManyPhones has every message handed out once, to one phone.
func TestPullManyPhones(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const phones, messages = 8, 500
		c := gateway.PullConfig{MaxQueue: messages}
		for i := range phones {
			c.Phones = append(c.Phones, gateway.PullPhone{ID: fmt.Sprint("phone-", i), Password: pullSecret})
		}
		p := newPull(t, c)
		var sends []<-chan sent
		for i := range messages {
			done := make(chan sent, 1)
			sends = append(sends, done)
			go func() {
				s, err := p.Send(t.Context(), pullMessage(fmt.Sprint("m.", i)))
				done <- sent{s, err, 0}
			}()
		}
		synctest.Wait()
		var mu sync.Mutex
		times := make(map[string]int)
		var wg sync.WaitGroup
		for i := range phones {
			wg.Go(func() {
				phone := poller{t, p, fmt.Sprint("phone-", i)}
				var updates []string
				for range messages/phones/20 + 2 {
					got := phone.poll(updates...)
					updates = nil
					mu.Lock()
					for _, m := range got {
						times[m.ID]++
						updates = append(updates, m.ID+" SENT")
					}
					mu.Unlock()
					time.Sleep(time.Second)
				}
			})
		}
		wg.Wait()
		for i, done := range sends {
			if s := <-done; s.err != nil {
				t.Errorf("%d: %v", i, s.err)
			}
			if n := times[fmt.Sprint("m.", i)]; n != 1 {
				t.Errorf("m.%d was handed out %d times", i, n)
			}
		}
	})
}

func TestPullConfig(t *testing.T) {
	t.Parallel()
	phones := []gateway.PullPhone{{ID: "pixel", Password: "p"}}
	for want, c := range map[string]gateway.PullConfig{
		"PullConfig.Phones is required":            {},
		"Phones[0].ID is required":                 {Phones: []gateway.PullPhone{{Password: "p"}}},
		"Phones[1].ID is that of another phone":    {Phones: append(phones, phones[0])},
		"Phones[0].Password is required":           {Phones: []gateway.PullPhone{{ID: "pixel"}}},
		"PullConfig.Wait is negative":              {Phones: phones, Wait: -1},
		"PullConfig.Lease is negative":             {Phones: phones, Lease: -1},
		"gateway: PullConfig.MaxQueue is negative": {Phones: phones, MaxQueue: -1},
	} {
		if p, err := gateway.NewPull(c); p != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	var log bytes.Buffer
	phone := gateway.PullPhone{ID: "pixel", Password: "hunter2", WeakHashSecret: "hunter2"}
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "phone", phone)
	fmt.Fprintf(&log, "%v %+v %#v %+v", phone, phone, phone, gateway.PullConfig{Phones: []gateway.PullPhone{phone}})
	if strings.Contains(log.String(), "hunter2") {
		t.Error(log.String())
	}
	p := newPull(t, gateway.PullConfig{Phones: phones})
	for what, change := range map[string]func(*channel.Message){
		"id":   func(m *channel.Message) { m.ID = "" },
		"form": func(m *channel.Message) { m.ID = "c4n7_1" },
		"text": func(m *channel.Message) { m.Text = "" },
	} {
		m := pullMessage("one.1")
		change(m)
		if _, err := p.Send(t.Context(), m); err == nil || channel.ClassOf(err) != channel.Misconfigured {
			t.Errorf("no %s: %v", what, err)
		}
	}
}

func BenchmarkPull(b *testing.B) {
	c, _ := pullConfig()
	p := newPull(b, c)
	phone := poller{b, p, "pixel"}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		done := make(chan error, 1)
		go func() {
			_, err := p.Send(b.Context(), pullMessage(fmt.Sprint("m.", i)))
			done <- err
		}()
		for len(phone.poll(fmt.Sprint("m.", i-1)+" SENT")) == 0 {
			runtime.Gosched()
		}
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
}

// TestPullForgets shows that what is kept of messages is bounded.
func TestPullForgets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := pullConfig()
		p := newPull(t, c)
		phone := poller{t, p, "pixel"}
		for i := range 10_001 {
			done := make(chan error, 1)
			go func() {
				_, err := p.Send(t.Context(), pullMessage(fmt.Sprint("m.", i)))
				done <- err
			}()
			synctest.Wait()
			phone.poll(fmt.Sprint("m.", i-1) + " PENDING")
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
		if s := <-send(t.Context(), p, pullMessage("m.1")); s.err != nil || s.took != 0 {
			t.Errorf("m.1: %v", s.err)
		}
		forgotten := send(t.Context(), p, pullMessage("m.0"))
		none(t, forgotten)
		wantIDs(t, phone.poll(), "m.0")
		<-forgotten
	})
}

// TestPullPrints prints a Pull in the ways that a program does without thinking.
func TestPullPrints(t *testing.T) {
	t.Parallel()
	c := gateway.PullConfig{Phones: []gateway.PullPhone{{ID: "pixel", Password: "hunter2", WeakHashSecret: "tr0ub4dor"}}}
	p, err := gateway.NewPull(c)
	if err != nil {
		t.Fatal(err)
	}
	shown := fmt.Sprintf("%v %+v %#v %s %v", p, p, p, p, p.LogValue()) + fmt.Sprintf("%v %+v %#v", c, c, c.Phones)
	if strings.Contains(shown, "hunter2") || strings.Contains(shown, "tr0ub4dor") {
		t.Error(shown)
	}
}
