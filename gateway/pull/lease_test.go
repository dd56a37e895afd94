package pull_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/pull"
)

func TestLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := twoPhones()
		p := newChannel(t, c)
		phone, other := poller{t, p, "pixel"}, poller{t, p, "nokia"}
		done := send(t.Context(), p, message("one.1"))
		wantIDs(t, phone.poll(), "one.1")
		<-done
		time.Sleep(30*time.Second - 1)
		wantIDs(t, phone.poll())
		time.Sleep(time.Nanosecond)
		wantIDs(t, other.poll()) // a second SMS
		wantIDs(t, phone.poll(), "one.1")
		wantIDs(t, phone.poll())
		time.Sleep(30 * time.Second)
		wantIDs(t, phone.poll("one.1 PENDING"))
		time.Sleep(time.Minute)
		wantIDs(t, phone.poll())
	})
}

// A phone that has stored a message, and has not tried it yet or tries it again, has
// it: the message is not handed out again, and no state is told.
func TestUnsentEndsTheLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, receipts := twoPhones()
		p := newChannel(t, c)
		phone := poller{t, p, "pixel"}
		done := send(t.Context(), p, message("one.1"))
		wantIDs(t, phone.poll(), "one.1")
		<-done
		wantIDs(t, phone.poll("one.1 UNSENT"))
		for range 3 {
			time.Sleep(time.Minute)
			wantIDs(t, phone.poll("one.1 PENDING", "one.1 UNSENT"))
		}
		phone.poll("one.1 SENT")
		phone.poll("one.1 UNSENT") // late
		if diff := cmp.Diff([]string{"one.1 sent"}, receipts.got); diff != "" {
			t.Error(diff)
		}
	})
}

// A line between a phone and the server that can break or hang while the phone
// reads the answer.
type line struct {
	http.Handler
	seen func(body []byte) // what the phone may have read

	mu     sync.Mutex
	broken bool
	hang   <-chan struct{}
}

func (l *line) set(broken bool, hang <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.broken, l.hang = broken, hang
}

func (l *line) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.Handler.ServeHTTP(&lineWriter{w, l}, r)
}

type lineWriter struct {
	http.ResponseWriter
	line *line
}

func (w *lineWriter) Write(b []byte) (int, error) {
	w.line.mu.Lock()
	broken, hang := w.line.broken, w.line.hang
	w.line.mu.Unlock()
	if w.line.seen != nil {
		w.line.seen(b)
	}
	if hang != nil {
		<-hang
	}
	n, err := w.ResponseWriter.Write(b)
	if err == nil && broken {
		err = errors.New("connection reset by peer")
	}
	return n, err
}

func TestLostAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, receipts := twoPhones()
		p := newChannel(t, c)
		l := &line{Handler: p}
		l.set(true, nil)
		phone := poller{t, l, "pixel"}
		one := send(t.Context(), p, message("one.1"))
		phone.poll()
		none(t, one)
		wantIDs(t, poller{t, p, "nokia"}.poll()) // the other phone may have it
		l.set(false, nil)
		wantIDs(t, phone.poll(), "one.1")
		if s := <-one; s.err != nil {
			t.Error(s.err)
		}
		// A report proves that it arrived.
		l.set(true, nil)
		two := send(t.Context(), p, message("two.1"))
		phone.poll("one.1 PENDING")
		l.set(false, nil)
		wantIDs(t, phone.poll("two.1 SENT"))
		if s := <-two; s.err != nil || len(receipts.got) != 1 {
			t.Error(s.err, receipts.got)
		}
		// Where nothing does, nobody knows; and it is not handed out after
		// another route has taken over.
		l.set(true, nil)
		three := send(t.Context(), p, message("three.1"))
		phone.poll()
		wantErr(t, <-three, channel.Unknown, 65*time.Second)
		l.set(false, nil)
		wantIDs(t, phone.poll())

		// While the answer is being written.
		release := make(chan struct{})
		l.set(false, release)
		ctx, cancel := context.WithCancel(t.Context())
		four := send(ctx, p, message("four.1"))
		polled := make(chan []handed, 1)
		go func() { polled <- phone.poll() }()
		synctest.Wait()
		if err := p.Cancel(t.Context(), message("four.1"), channel.Submission{}); err == nil {
			t.Error("cancelled, and yet on its way")
		}
		cancel()
		wantErr(t, <-four, channel.Unknown, 0)
		close(release)
		wantIDs(t, <-polled, "four.1")
	})
}

// An answer is lost after its message was given up: nobody is handed that again.
func TestGivenUpWhileWriting(t *testing.T) {
	t.Parallel()
	for name, giveUp := range map[string]func(*pull.Channel, context.CancelFunc){
		"the Send ends": func(_ *pull.Channel, end context.CancelFunc) { end() },
		"cancelled": func(p *pull.Channel, _ context.CancelFunc) {
			_ = p.Cancel(context.Background(), message("one.1"), channel.Submission{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _ := twoPhones()
				p := newChannel(t, c)
				release := make(chan struct{})
				l := &line{Handler: p}
				l.set(true, release)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				done := send(ctx, p, message("one.1"))
				phone := poller{t, l, "pixel"}
				go func() { phone.poll() }()
				synctest.Wait()
				giveUp(p, cancel)
				synctest.Wait()
				close(release)
				synctest.Wait()
				l.set(false, nil)
				wantIDs(t, phone.poll())
				if s := <-done; channel.ClassOf(s.err) != channel.Unknown {
					t.Errorf("%v, want class %v", s.err, channel.Unknown)
				}
			})
		})
	}
}

// TestClosedWhileWriting ends a Send whose message is in an answer that is
// lost after the end.
func TestClosedWhileWriting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := twoPhones()
		p := newChannel(t, c)
		release := make(chan struct{})
		l := &line{Handler: p}
		l.set(true, release)
		done := send(t.Context(), p, message("one.1"))
		go func() { poller{t, l, "pixel"}.poll() }()
		synctest.Wait()
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		none(t, done)
		close(release)
		wantErr(t, <-done, channel.Unknown, 0)
	})
}
