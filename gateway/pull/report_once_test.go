package pull_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/channel"
)

// reported is a Channel whose message "one.1" the phone has, and whose Receipt
// takes a second, or does what next says.
type reported struct {
	poller
	mu   sync.Mutex
	got  []string
	next func() error
	all  sync.WaitGroup
}

func newReported(t *testing.T) *reported {
	t.Helper()
	r := &reported{}
	c, _ := twoPhones()
	c.Receipt = r.receipt
	p := newChannel(t, c)
	r.poller = poller{t, p, "pixel"}
	done := send(t.Context(), p, message("one.1"))
	synctest.Wait()
	wantIDs(t, r.poll(), "one.1")
	<-done
	return r
}

func (r *reported) receipt(_ context.Context, receipt channel.Receipt) error {
	r.mu.Lock()
	next := r.next
	r.next = nil
	r.mu.Unlock()
	time.Sleep(time.Second)
	if next != nil {
		return next()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, receipt.MessageID+" "+receipt.State.String())
	return nil
}

// begin polls without waiting for the answer, but until the poll stands still.
func (r *reported) begin(status int, updates ...string) {
	r.all.Go(func() {
		if got, _ := r.tryPoll(updates...); got != status {
			r.Errorf("%q: status %d, want %d", updates, got, status)
		}
	})
	synctest.Wait()
}

func (r *reported) want(want ...string) {
	r.Helper()
	r.all.Wait()
	if d := cmp.Diff(want, r.got); d != "" {
		r.Errorf("receipts (-want +got):\n%s", d)
	}
}

// Polls that overlap, because a phone has given up one that took long, tell a
// state once and none that is behind another.
func TestReportsOverlap(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		updates []string
		want    []string
	}{
		"the same":  {[]string{"one.1 SENT", "one.1 SENT", "one.1 SENT"}, []string{"one.1 sent"}},
		"backwards": {[]string{"one.1 DELIVERED", "one.1 SENT", "one.1 PENDING"}, []string{"one.1 delivered"}},
		"forwards":  {[]string{"one.1 SENT", "one.1 DELIVERED"}, []string{"one.1 sent", "one.1 delivered"}},
		"of each part": {
			[]string{"one.1 SENT", "one.1 DELIVERED", "one.1 SENT", "one.1 DELIVERED"},
			[]string{"one.1 sent", "one.1 delivered"},
		},
		"late": {[]string{"one.1 DELIVERED", "one.1 FAILED"}, []string{"one.1 delivered"}},
		"of an unknown one, again": {
			[]string{"before.1 DELIVERED", "before.1 SENT", "before.1 DELIVERED"}, []string{"before.1 delivered"},
		},
		"of two unknown": {
			[]string{"before.1 SENT", "before.1 DELIVERED"}, []string{"before.1 sent", "before.1 delivered"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newReported(t)
				for _, u := range row.updates {
					r.begin(http.StatusOK, u)
				}
				r.want(row.want...)
			})
		})
	}
}

// A message does not wait for another one's callback, and what a callback did
// not accept is still news for the poll that waits.
func TestReportsWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newReported(t)
		began := time.Now()
		r.next = func() error { return errors.New("no store") }
		r.begin(http.StatusServiceUnavailable, "one.1 DELIVERED")
		r.begin(http.StatusOK, "before.1 SENT")
		r.begin(http.StatusOK, "one.1 SENT")
		r.want("before.1 sent", "one.1 sent")
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// A callback that panics ends its turn, and a phone that has gone waits for none.
func TestReportsGoOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newReported(t)
		r.next = func() error { panic(http.ErrAbortHandler) }
		r.all.Go(func() {
			defer func() { _ = recover() }()
			r.handler.ServeHTTP(httptest.NewRecorder(), report(t.Context(), "one.1"))
		})
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		began, w := time.Now(), httptest.NewRecorder()
		r.handler.ServeHTTP(w, report(ctx, "one.1"))
		if took := time.Since(began); w.Code != http.StatusServiceUnavailable || took != 100*time.Millisecond {
			t.Errorf("a phone that has gone: status %d after %v", w.Code, took)
		}
		r.begin(http.StatusOK, "one.1 SENT")
		r.want("one.1 sent")
	})
}

// report is a poll that says that a message was sent.
func report(ctx context.Context, id string) *http.Request {
	body := strings.NewReader(`{"updates":[{"id":"` + id + `","status":"SENT"}]}`)
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "https://otp.example/sms", body)
	r.SetBasicAuth("pixel", secret)
	return r
}

func TestReceiptNotStored(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, receipts := twoPhones()
		p := newChannel(t, c)
		phone := poller{t, p, "pixel"}
		done := send(t.Context(), p, message("one.1"))
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
