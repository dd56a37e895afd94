package follow

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/otpcourier/otpcourier/channel"
)

// Config describes a follower.
type Config struct {
	Package string // log messages begin with it
	Closed  error  // Report returns it after Close or Shutdown; required

	// Receipt is called with the states of messages. Nil: no message is
	// followed.
	Receipt channel.ReceiptFunc

	// Poll asks the provider for the state of a message by its provider id.
	// Nil: no message is polled.
	Poll func(ctx context.Context, providerID string) (Update, error)

	Interval    time.Duration // before a message's first poll; half as much again before each further one; default 2 s
	MaxInterval time.Duration // the longest wait between two polls of a message; default 30 s
	Timeout     time.Duration // of one poll, and of one call of Receipt after it; default 10 s
	Workers     int           // how many polls run at once; default 4
	Rate        float64       // how many polls begin in a second, at most; default 10
	Life        time.Duration // how long a message without expiry is followed; default 1 h
	Keep        time.Duration // how long a message is known after its expiry or a mere report; default 1 h

	// Max is how many messages are known at once. At the bound, the message
	// that is nearest to its end is forgotten: it is not polled any more, and its
	// reports become receipts, perhaps twice. Default 100,000.
	Max int

	Logger *slog.Logger // default: none
}

func (c Config) withDefaults() Config {
	for _, d := range []struct {
		value *time.Duration
		dflt  time.Duration
	}{
		{&c.Interval, 2 * time.Second}, {&c.MaxInterval, 30 * time.Second}, {&c.Timeout, 10 * time.Second},
		{&c.Life, time.Hour}, {&c.Keep, time.Hour},
	} {
		if *d.value <= 0 {
			*d.value = d.dflt
		}
	}
	if c.Workers <= 0 {
		c.Workers = 4
	}
	if c.Rate <= 0 {
		c.Rate = 10
	}
	if c.Max <= 0 {
		c.Max = 100_000
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// A Message is a message to follow.
type Message struct {
	ProviderID string    // as Poll and Update name it
	MessageID  string    // channel.Message.ID
	Expires    time.Time // zero: after Config.Life
}

// An Update is a provider's report on a message.
type Update struct {
	ProviderID string
	MessageID  string // channel.Message.ID where the provider echoes it, else empty

	// State is Sent, Failed or Delivered. Zero: the message is on its way, which
	// becomes a receipt at its expiry only.
	State channel.State

	Class channel.Class // why it failed
	Code  string        // the provider's own word
	At    time.Time     // zero: now

	// Final: the provider will have nothing further to say. Polling ends, as
	// it does after Failed and Delivered.
	Final bool
}

// A Follower follows messages. It is safe for concurrent use. Its goroutines
// end with Close or Shutdown.
type Follower struct {
	config Config

	ctx  context.Context // ends polls and callbacks under way
	stop context.CancelFunc
	wake chan struct{} // the schedule has changed
	quit chan struct{} // no more polls
	done sync.WaitGroup

	mu     sync.Mutex
	closed bool
	known  map[string]*entry
	due    schedule // by entry.due
	late   schedule // by entry.late; it holds nothing that due does not
	ends   schedule // by entry.forget
	polls  int      // under way
	free   time.Time
}

// New returns a follower and starts it.
func New(c Config) *Follower {
	f := &Follower{
		config: c.withDefaults(), known: map[string]*entry{},
		wake: make(chan struct{}, 1), quit: make(chan struct{}),
		due:  schedule{at: func(e *entry) *place { return &e.due }},
		late: schedule{at: func(e *entry) *place { return &e.late }},
		ends: schedule{at: func(e *entry) *place { return &e.forget }},
	}
	f.ctx, f.stop = context.WithCancel(context.Background())
	if c.Receipt != nil {
		f.done.Go(f.run)
	}
	return f
}

// Follow begins to follow a message that the provider has accepted. Earlier
// reports on the message are kept.
func (f *Follower) Follow(m Message) {
	if f.config.Receipt == nil {
		return
	}
	now := time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return
	}
	e := f.entry(m.ProviderID, now)
	if e.messageID == "" {
		e.messageID = m.MessageID
	}
	e.expires = m.Expires
	if e.expires.IsZero() {
		e.expires = now.Add(f.config.Life)
	}
	e.followed = true
	f.ends.set(e, later(e.expires, now).Add(f.config.Keep))
	if !e.final {
		e.interval = f.config.Interval
		f.schedule(e, now)
	}
}

// Forget ends the polling of a message that was withdrawn. Reports on it still
// become receipts.
func (f *Follower) Forget(providerID string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if e := f.known[providerID]; e != nil {
		e.final = true
		f.unschedule(e)
	}
}

// Report passes a webhook's report to Receipt, if it is news, and returns
// Receipt's error. The webhook must then be refused, so that it is repeated. A
// report on a message that is not followed, because another process has sent it,
// becomes a receipt as well.
func (f *Follower) Report(ctx context.Context, u Update) error {
	if f.config.Receipt == nil {
		return nil
	}
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		return f.config.Closed
	}
	f.done.Add(1)
	defer f.done.Done()
	e := f.entry(u.ProviderID, time.Now())
	f.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(f.ctx, cancel)()
	return f.tell(ctx, e, u)
}

// entry returns the entry of a message, which may be new.
func (f *Follower) entry(id string, now time.Time) *entry {
	e := f.known[id]
	if e != nil {
		return e
	}
	if len(f.known) >= f.config.Max {
		oldest := f.ends.first()
		if oldest.followed && !oldest.final {
			text := f.config.Package + ": too many messages, one is not followed any more"
			f.config.Logger.Warn(text, "message", oldest.id)
		}
		f.drop(oldest)
	}
	e = &entry{id: id, due: place{index: -1}, late: place{index: -1}, forget: place{index: -1}}
	f.known[id] = e
	f.ends.set(e, now.Add(f.config.Keep))
	return e
}

func (f *Follower) drop(e *entry) {
	delete(f.known, e.id)
	f.unschedule(e)
	f.ends.remove(e)
}

// Shutdown begins no more polls, refuses reports, and waits for those under
// way. When ctx ends first, they are cut off, and Shutdown returns the
// context's error. It may be called again.
func (f *Follower) Shutdown(ctx context.Context) error {
	f.mu.Lock()
	if !f.closed {
		f.closed = true
		close(f.quit)
	}
	f.mu.Unlock()
	idle := make(chan struct{})
	go func() {
		defer close(idle)
		f.done.Wait()
	}()
	defer f.stop()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		f.stop()
		<-idle
		return context.Cause(ctx)
	}
}

// Close is Shutdown that does not wait for the other side.
func (f *Follower) Close() error {
	f.stop()
	return f.Shutdown(context.Background())
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
