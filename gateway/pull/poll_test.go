package pull_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/channeltest"
	"github.com/otpcourier/otpcourier/gateway/gatewaytest"
	"github.com/otpcourier/otpcourier/gateway/pull"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	secret = "correct horse battery"
	// printf 'sesame#salt@pixel' | md5sum | cut -c1-6
	weakHash = "ae5aaf"
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
func twoPhones() (pull.Config, *receiptLog) {
	receipts := &receiptLog{}
	return pull.Config{
		Phones: []pull.Phone{
			{ID: "pixel", Password: secret, WeakHashSecret: "sesame"}, {ID: "nokia", Password: secret},
		},
		Receipt: receipts.handle,
	}, receipts
}

func newChannel(t testing.TB, c pull.Config) *pull.Channel {
	t.Helper()
	p, err := pull.New(c)
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
	const url = "https://otp.example/sms"
	r, err := http.NewRequestWithContext(context.Background(), method, url, strings.NewReader(body))
	if err != nil {
		p.Fatal(err)
	}
	r.SetBasicAuth(p.id, secret)
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

func message(id string) *channel.Message { return channeltest.Message(channel.Phone, id) }

// sent is what Send answered, and after how long.
type sent struct {
	channel.Submission
	err  error
	took time.Duration
}

// send calls Send on a goroutine and returns once it waits.
func send(ctx context.Context, p *pull.Channel, m *channel.Message) <-chan sent {
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

func idsOf(prefix string, from, to int, status string) (all []string) {
	for i := from; i < to; i++ {
		all = append(all, fmt.Sprintf("%s.%d %s", prefix, i, status))
	}
	return all
}
