package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/otphttp"
	"github.com/otpcourier/otpcourier/store"
)

const (
	maxPending = 4096 // events that wait to be written to the outbox
	writers    = 8    // that write them
)

// A sender tells applications what becomes of their verifications: each event is
// written to the outbox and sent from there, at least once, by whichever process.
// The order is not promised; a receiver orders by timestamp.
type sender struct {
	apps    atomic.Pointer[map[string][]webhook]
	vault   *vault
	queues  map[string]store.Queue // of each endpoint; a job is a name in the vault
	clients map[bool]*http.Client  // true: to private networks, too
	log     *slog.Logger
	waits   []time.Duration
	mu      sync.RWMutex // held to write while pending is closed
	ended   bool
	pending chan pending
	dropped atomic.Int64

	running sync.WaitGroup
	stop    context.CancelFunc
	giveUp  context.CancelFunc // drops what is pending
}

type pending struct {
	app  string
	e    otp.Event
	done chan struct{} // closed once it is written or dropped
}

// newSender starts the queues that open makes. Each endpoint has its own, so that one
// that hangs delays no other.
func newSender(c *config, v *vault, open func(prefix string) (backend, error), log *slog.Logger) (*sender, error) {
	s := &sender{vault: v, queues: map[string]store.Queue{}, log: log, waits: waits,
		pending: make(chan pending, maxPending),
		clients: map[bool]*http.Client{false: newHookClient(false), true: newHookClient(true)}}
	apps := map[string][]webhook{}
	for _, a := range c.Applications {
		for _, h := range a.Webhooks {
			name := a.Name + "/" + h.Name
			q, err := open(hookPrefix(name))
			if err != nil {
				return nil, err
			}
			s.queues[name] = q
			apps[a.Name] = a.Webhooks
		}
	}
	s.apps.Store(&apps)
	if c.hookWaits != nil {
		s.waits = c.hookWaits
	}
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	writing, giveUp := context.WithCancel(context.Background())
	s.giveUp = giveUp
	for range writers {
		s.running.Go(func() { s.write(writing) })
	}
	for _, q := range s.queues {
		s.running.Go(func() { _ = q.Run(ctx, 4, s.send) }) // until close
	}
	return s, nil
}

// events is an application's otp.Config.Events; nil if it has no webhooks. It waits
// for nothing, but the answer of a request does, see written. If the outbox cannot be
// written as fast as events come, some are dropped, and counted.
func (s *sender) events(app string) func(context.Context, otp.Event) {
	if len(s.of(app)) == 0 {
		return nil
	}
	return func(ctx context.Context, e otp.Event) {
		p := pending{app, e, make(chan struct{})}
		if s.accept(p) {
			await(ctx, p.done)
		} else {
			s.log.ErrorContext(ctx, "webhooks: an event was dropped", "dropped", s.dropped.Add(1))
		}
	}
}

// accept reports whether there is room for an event, and the end has not come.
func (s *sender) accept(p pending) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.ended {
		return false
	}
	select {
	case s.pending <- p:
		return true
	default:
		return false
	}
}

// close writes what is pending, until ctx ends, and lets the tries under way end.
func (s *sender) close(ctx context.Context) {
	defer s.giveUp()
	defer context.AfterFunc(ctx, s.giveUp)()
	s.mu.Lock()
	s.ended = true
	close(s.pending)
	s.mu.Unlock()
	s.stop()
	s.running.Wait()
	for _, c := range s.clients {
		c.CloseIdleConnections()
	}
}

// write puts the events into the outbox. Once ctx has ended it drops them.
func (s *sender) write(ctx context.Context) {
	for p := range s.pending {
		s.writeOne(ctx, p)
		close(p.done)
	}
}

// writeOne puts an event into the outbox of each endpoint that wants it.
func (s *sender) writeOne(ctx context.Context, p pending) {
	id, n, ok := noticeOf(p.app, p.e)
	if !ok {
		return
	}
	body := encode(n)
	for _, h := range s.of(p.app) {
		if !h.wants(n.Type) {
			continue
		}
		m := &message{ID: id, App: p.app, Endpoint: h.Name, Type: n.Type, Body: body, At: time.Now()}
		if err := s.enqueue(ctx, m); err != nil {
			s.log.Error("webhooks: an event was dropped", "id", id, "dropped", s.dropped.Add(1), "error", err)
		}
	}
}

// enqueue stores a message before it wakes a worker for it.
func (s *sender) enqueue(ctx context.Context, m *message) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := s.vault.write(ctx, m.name(), m, hookLife); err != nil {
		return err
	}
	q := s.queues[m.App+"/"+m.Endpoint]
	return q.Enqueue(ctx, store.Job{Challenge: m.name(), Expires: time.Now().Add(hookLife)})
}

// of returns the webhooks of an application.
func (s *sender) of(app string) []webhook { return (*s.apps.Load())[app] }

// endpoint finds a webhook of the file.
func (s *sender) endpoint(app, name string) *webhook { return findWebhook(s.of(app), name) }

func findWebhook(all []webhook, name string) *webhook {
	if i := slices.IndexFunc(all, func(h webhook) bool { return h.Name == name }); i >= 0 {
		return &all[i]
	}
	return nil
}

// setSecrets takes the secrets of a file that was read again. All else of a webhook stays.
func (s *sender) setSecrets(c *config) {
	next := map[string][]webhook{}
	for app, hooks := range *s.apps.Load() {
		next[app] = slices.Clone(hooks)
		for _, a := range c.Applications {
			for i := range next[app] {
				if h := findWebhook(a.Webhooks, next[app][i].Name); a.Name == app && h != nil {
					next[app][i].keys = h.keys
				}
			}
		}
	}
	s.apps.Store(&next)
}

// load reads a message. errGone: it was delivered.
func (s *sender) load(ctx context.Context, name string) (*message, error) {
	m := &message{}
	sealed, err := s.vault.get(ctx, name)
	return m, s.vault.read(name, sealed, err, m)
}

// send is the handler of the queue: it tries a message once, and says when it is to
// be tried again.
func (s *sender) send(ctx context.Context, j store.Job) (again time.Time, err error) {
	m, err := s.load(ctx, j.Challenge)
	switch {
	case errors.Is(err, errGone):
		return time.Time{}, nil
	case err != nil:
		return time.Time{}, err
	}
	h := s.endpoint(m.App, m.Endpoint)
	if h == nil || s.isOff(ctx, m) {
		return time.Time{}, s.bury(ctx, m)
	}
	status, asked, failed := s.post(ctx, h, m)
	m.Tries, m.Status = m.Tries+1, status
	if failed == nil {
		_, err := s.vault.take(ctx, m.name())
		return time.Time{}, err
	}
	s.log.WarnContext(ctx, "webhooks: a try failed", "application", m.App, "endpoint", m.Endpoint, "id", m.ID,
		"tries", m.Tries, "status", status, "error", failed)
	if status == http.StatusGone {
		s.log.ErrorContext(ctx, "webhooks: the endpoint is gone, and is called no more until a replay", "application",
			m.App, "endpoint", m.Endpoint)
		if err := s.vault.write(ctx, offName(m.App, m.Endpoint), true, deadLife); err != nil {
			return time.Time{}, err
		}
		return time.Time{}, s.bury(ctx, m)
	}
	again = m.next(s.waits, time.Now(), asked)
	if again.IsZero() || !again.Before(j.Expires) { // the queue would drop it
		return time.Time{}, s.bury(ctx, m)
	}
	return again, s.vault.write(ctx, m.name(), m, hookLife)
}

func offName(app, endpoint string) string { return "off/" + app + "/" + endpoint }

// isOff reports whether an endpoint has answered 410.
func (s *sender) isOff(ctx context.Context, m *message) bool {
	_, err := s.vault.get(ctx, offName(m.App, m.Endpoint))
	return err == nil
}

// bury keeps a message that is tried no more, for a replay.
func (s *sender) bury(ctx context.Context, m *message) error {
	if err := s.vault.write(ctx, m.dead(), m, deadLife); err != nil {
		return err
	}
	_, err := s.vault.take(ctx, m.name())
	return err
}

// failure is a message that was given up.
type failure struct {
	ID     string    `json:"id"`
	Type   string    `json:"type"`
	Tries  int       `json:"tries"`
	Status int       `json:"status,omitempty"` // of the last answer
	At     time.Time `json:"at"`               // of the event
}

// buried lists the messages of an endpoint that were given up, 1000 at most.
func (s *sender) buried(ctx context.Context, app, endpoint string) ([]*message, error) {
	names, err := s.vault.list(ctx, "dead/"+app+"/"+endpoint+"/")
	if err != nil {
		return nil, err
	}
	var all []*message
	for _, name := range names[:min(len(names), 1000)] {
		m, err := s.load(ctx, name)
		if err != nil && !errors.Is(err, errGone) {
			return nil, err
		}
		if err == nil {
			all = append(all, m)
		}
	}
	return all, nil
}

// failures lists the messages of an endpoint that were given up, 1000 at most.
func (s *sender) failures(ctx context.Context, app, endpoint string) ([]failure, error) {
	all, err := s.buried(ctx, app, endpoint)
	out := []failure{}
	for _, m := range all {
		out = append(out, failure{m.ID, m.Type, m.Tries, m.Status, m.At.UTC()})
	}
	return out, err
}

// replay sends the messages of an endpoint that were given up once more, with all tries,
// and calls an endpoint again that was gone.
func (s *sender) replay(ctx context.Context, app, endpoint string) (replayed int, err error) {
	if _, err := s.vault.take(ctx, offName(app, endpoint)); err != nil && !errors.Is(err, errGone) {
		return 0, err
	}
	all, err := s.buried(ctx, app, endpoint)
	if err != nil {
		return 0, err
	}
	for i, m := range all {
		m.Tries, m.Status = 0, 0
		if err := s.enqueue(ctx, m); err != nil {
			return i, err
		}
		if _, err := s.vault.take(ctx, m.dead()); err != nil && !errors.Is(err, errGone) {
			return i, err
		}
	}
	return len(all), nil
}

// hookCalls are the calls of the API for webhooks.
func (s *server) hookCalls(mux *http.ServeMux) {
	call := func(pattern string, do func(http.ResponseWriter, *http.Request, *app, *webhook) error) {
		mux.Handle(pattern, s.admitted(scopeWebhooks,
			func(w http.ResponseWriter, r *http.Request, a *app, _ *apiKey) *otphttp.Problem {
				h := s.sender.endpoint(a.name, r.PathValue("name"))
				if h == nil {
					return refusal(http.StatusNotFound, "not_found", "There is no such webhook.", "")
				}
				if err := do(w, r, a, h); err != nil {
					return s.unavailable(r, err)
				}
				return nil
			}))
	}
	call("POST /v1/webhooks/{name}/test", s.testHook)
	call("GET /v1/webhooks/{name}/failures", s.listFailures)
	call("POST /v1/webhooks/{name}/replay", s.replayHook)
}

// testHook sends a message that means nothing.
func (s *server) testHook(w http.ResponseWriter, r *http.Request, a *app, h *webhook) error {
	n := notice{Type: "webhook.test", Timestamp: time.Now().UTC(), Data: noticeData{App: a.name}}
	m := &message{ID: "msg_" + strings.ToLower(secret()), App: a.name, Endpoint: h.Name, Type: n.Type, Body: encode(n),
		At: n.Timestamp}
	if err := s.sender.enqueue(r.Context(), m); err != nil {
		return err
	}
	writeJSON(w, http.StatusAccepted, map[string]string{"id": m.ID})
	return nil
}

func (s *server) listFailures(w http.ResponseWriter, r *http.Request, a *app, h *webhook) error {
	all, err := s.sender.failures(r.Context(), a.name, h.Name)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string][]failure{"failures": all})
	return nil
}

func (s *server) replayHook(w http.ResponseWriter, r *http.Request, a *app, h *webhook) error {
	n, err := s.sender.replay(r.Context(), a.name, h.Name)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusAccepted, map[string]int{"replayed": n})
	return nil
}
