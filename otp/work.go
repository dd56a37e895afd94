package otp

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/otpcourier/otpcourier/otp/internal/delivery"
	"github.com/otpcourier/otpcourier/store"
)

// Work delivers the messages of later steps. It delivers with Config.Async, takes over
// from dead processes, and sends by the next route if a receipt reports failure or
// stays away. It runs until ctx ends, waits for the deliveries under way, and returns
// ctx.Err().
//
// With Config.Async, Config.Takeover, or a route with an Await, Work must run in at
// least one process. It may run in any number of processes.
func (s *Service) Work(ctx context.Context) error {
	if s.c.Queue == nil {
		return errors.New("otp: Work needs Config.Queue")
	}
	s.working.Add(1)
	defer s.working.Add(-1)
	return s.c.Queue.Run(ctx, s.c.Workers, s.look)
}

// Pauses before a look at a record that another process may open, and this one cannot.
const (
	foreignPause = time.Second
	unknownPause = 5 * time.Second
)

// look handles a wake-up: it reads the record, and makes the due move. It returns
// when to come again, so that a worker never enqueues.
func (s *Service) look(ctx context.Context, j store.Job) (time.Time, error) {
	now := instant()
	r, err := s.c.Store.Get(ctx, j.Challenge, now)
	switch {
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrExpired):
		return time.Time{}, nil
	case err != nil:
		s.log.ErrorContext(ctx, "otp: a job waits for the store", "record", j.Challenge, "error", err)
		return time.Time{}, err
	}
	o, err := s.open(r)
	switch {
	case errors.Is(err, errForeign): // its own workers see it too
		s.reportForeign(ctx, r)
		return now.Add(foreignPause), nil
	case err != nil:
		s.log.ErrorContext(ctx, "otp: a challenge is left to other processes", "record", r.ID, "error", err)
		return now.Add(unknownPause), nil
	}
	switch o.next(now).Do {
	case delivery.Withdraw:
		s.withdraw(ctx, o)
	case delivery.Send:
		if o, _, err = s.carry(ctx, o, nil, false, true); err != nil {
			return time.Time{}, err
		}
	}
	switch m := o.next(instant()); m.Do {
	case delivery.Wait: // woken too early, or there is more to come
		return m.At, nil
	case delivery.Send: // its time has come since the record was read
		return instant(), nil
	}
	if o.Outcome == store.Open && o.delivery.Stranded(now) {
		s.log.WarnContext(ctx, "otp: two senders of a message have died, so a Resend must follow", "challenge", o.id)
	}
	return time.Time{}, nil
}

// A watch warns if jobs wait and no Work runs.
type watch struct {
	armed  atomic.Bool
	until  atomic.Int64 // when the last of the jobs expires
	warned atomic.Int64
}

// silenceAfter is the time that a job may wait before a warning, and silenceEvery the
// least time between warnings.
const (
	silenceAfter = 10 * time.Second
	silenceEvery = time.Minute
)

// watchWork warns if no worker takes due jobs: it looks from time to time until the latest
// enqueued job has expired. It does nothing if Work runs in this process. It keeps no
// goroutine.
func (s *Service) watchWork(expires time.Time) {
	if s.working.Load() > 0 {
		return
	}
	for at := expires.UnixNano(); ; {
		until := s.silence.until.Load()
		if at <= until || s.silence.until.CompareAndSwap(until, at) {
			break
		}
	}
	s.lookLater()
}

// lookLater looks once, and goes on if there is more to come.
func (s *Service) lookLater() {
	if !s.silence.armed.CompareAndSwap(false, true) {
		return
	}
	time.AfterFunc(silenceAfter+time.Second, func() {
		s.silence.armed.Store(false)
		if s.working.Load() > 0 {
			return
		}
		s.warnSilence()
		if time.Now().UnixNano() < s.silence.until.Load() {
			s.lookLater()
		}
	})
}

func (s *Service) warnSilence() {
	ctx, cancel := context.WithTimeout(context.Background(), afterwards)
	defer cancel()
	oldest := "unknown"
	if q, ok := s.c.Queue.(store.Inspector); ok {
		st, err := q.Stats(ctx)
		if err != nil || st.Oldest < silenceAfter {
			return
		}
		oldest = st.Oldest.Round(time.Second).String()
	}
	now := time.Now().UnixNano()
	last := s.silence.warned.Load()
	if last != 0 && now-last < int64(silenceEvery) || !s.silence.warned.CompareAndSwap(last, now) {
		return
	}
	s.log.ErrorContext(ctx, "otp: jobs wait and no worker takes them: run Service.Work in this process or another",
		"oldest", oldest)
}
