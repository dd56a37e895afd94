package otp

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp/wording"
	"github.com/otpcourier/otpcourier/store"
)

// A Service makes codes, has them delivered, and verifies them. Its methods
// are safe for concurrent use, by several Services on one store too.
type Service struct {
	c     Config
	log   *slog.Logger
	keys  keys
	words *wording.Set
	fixed map[string]string // code by address

	queueGiven  bool             // Config.Queue was set, not taken from the Store
	canceler    channel.Canceler // nil: no route's channel is one
	working     atomic.Int32     // Runs of Work in this process
	warnNoWork  sync.Once
	dummyRecord store.Record // derives as long as a real one
}

// New returns a Service, or an error that names the field at fault. It keeps
// no goroutine: see [Service.Work].
func New(c Config) (*Service, error) {
	given := c.Queue != nil
	c = c.withDefaults()
	if err := c.validate(); err != nil {
		return nil, err
	}
	fixed, err := c.fixedCodes()
	if err != nil {
		return nil, err
	}
	words, err := wording.New(c.Wording)
	if err != nil {
		return nil, fmt.Errorf("otp: Config.Wording: %w", err)
	}
	s := &Service{c: c, log: c.Logger, keys: c.Keys.ready(), words: words, fixed: fixed, queueGiven: given, canceler: cancelerOf(c.Channel)}
	if s.dummyRecord, err = s.dummy(); err != nil {
		return nil, err
	}
	for _, w := range words.Lint() {
		level := slog.LevelDebug
		if w.Segments > 1 { // it costs two messages
			level = slog.LevelInfo
		}
		s.log.Log(context.Background(), level, "otp: wording", "warning", w.String())
	}
	if len(fixed) > 0 {
		s.log.Warn("otp: fixed codes are accepted", "recipients", len(fixed))
	}
	if c.Receipts != nil {
		c.Receipts.Attach(s.HandleReceipt)
	}
	return s, nil
}

// dummy returns a record that is like a real one and that no code matches.
func (s *Service) dummy() (store.Record, error) {
	r := store.Record{ID: s.keys.newID("", "", ""), Key: s.c.Keys.Current, Salt: make([]byte, saltLen), Sends: 1}
	l := letter{to: channel.Recipient{Phone: "+447912345678"}, purpose: "login", language: "en", requestID: randomID(), binding: noBinding}
	var err error
	r.Sealed, err = s.keys.seal(r.Key, r.Salt, r.ID, l.encode())
	return r, err
}

// A Request asks for a code to be sent.
type Request struct {
	// Subject is who is to be verified: a user's id, or an address where there
	// is no user yet. Required, at most 256 octets. Failures in a row are
	// counted by it, and a code is valid for its subject only.
	Subject string

	// To is where the person can be reached. A phone number is taken as people
	// write it, see Config.Region. Required.
	To channel.Recipient

	// Purpose is what the code is for, "login" say, at most 64 octets. A code
	// for one purpose does not pass for another.
	Purpose string

	// Binding ties the code to something else, such as a payment's amount and
	// payee (PSD2 RTS 2018/389 Art. 5) or a browser session: Verify must be
	// given the same octets. At most 64 KiB.
	Binding []byte

	// Details are shown in the message: the amount and the payee of a payment.
	// At most 200 characters on one line. Default: none.
	Details string

	// Language is a BCP 47 tag or an Accept-Language value. Default: that of
	// the phone number's country, else Config.Wording.Default.
	Language string

	// Route forces one route by name: a user's preference. Default: any.
	Route string

	// Priority decides which messages of a Queue go first: a payment's before
	// a newsletter sign-up's. Default: store.Normal.
	Priority store.Priority

	// IP is who asks, for Policy.PerIP. The zero Addr: not limited.
	IP netip.Addr

	// IdempotencyKey makes a repeated Request return the challenge of the
	// first, as long as that lives, without sending again; only where no route
	// took the first message, or its sender died, is it tried once more. A
	// challenge that was verified or cancelled meanwhile has that Outcome. At
	// most 256 octets.
	// Default: every Request is another.
	IdempotencyKey string

	// RequestID marks the events of this request, at most 64 printable ASCII
	// characters. Default: a random one.
	RequestID string
}

// String keeps the addresses, and a subject that may be one, out of logs.
func (q Request) String() string {
	return "otp.Request(" + loggable(q.RequestID) + " to " + q.To.String() + ")"
}

// GoString is String.
func (q Request) GoString() string { return q.String() }

// LogValue is String.
func (q Request) LogValue() slog.Value { return slog.StringValue(q.String()) }

// Cancel makes a code worthless: it cannot be verified or sent again. A message
// that is on its way is withdrawn where its channel is a [channel.Canceler];
// that it cannot be is no error.
func (s *Service) Cancel(ctx context.Context, id string) error {
	now := time.Now()
	if !validID(id) {
		return &Error{Reason: ReasonNotFound, Err: store.ErrNotFound}
	}
	r, err := s.c.Store.Finish(ctx, id, store.Cancelled, now)
	if err != nil {
		refused := s.storeError(r, err, now)
		s.emit(ctx, Event{Kind: EventRefused, At: now, Challenge: id, Reason: refused.Reason, Err: refused})
		return refused
	}
	if s.observed(ctx) {
		s.emit(ctx, s.openEvent(EventCancelled, r, now))
	}
	s.recall(ctx, r)
	return nil
}

// read gets a challenge that has not expired, and opens it.
func (s *Service) read(ctx context.Context, id string, now time.Time) (*store.Record, *letter, error) {
	if !validID(id) {
		return nil, nil, &Error{Reason: ReasonNotFound, Err: store.ErrNotFound}
	}
	r, err := s.c.Store.Get(ctx, id, now)
	if err != nil {
		return r, nil, s.storeError(r, err, now)
	}
	l, err := s.unseal(r)
	if err != nil {
		return r, nil, s.storeError(r, err, now)
	}
	return r, l, nil
}

func (s *Service) unseal(r *store.Record) (*letter, error) {
	plain, err := s.keys.open(r.Key, r.Salt, r.ID, r.Sealed)
	if err != nil {
		return nil, err
	}
	return decodeLetter(plain)
}

// event fills in what a record and its letter tell.
func event(kind EventKind, r *store.Record, l *letter, now time.Time) Event {
	return Event{Kind: kind, At: now, RequestID: l.requestID, Challenge: r.ID, Subject: r.Subject, Purpose: l.purpose,
		To: l.to.Masked(), Fixed: l.fixed}
}

// openEvent is event for a record that has not been opened yet.
func (s *Service) openEvent(kind EventKind, r *store.Record, now time.Time) Event {
	l, err := s.unseal(r)
	if err != nil {
		return Event{Kind: kind, At: now, Challenge: r.ID, Subject: r.Subject}
	}
	return event(kind, r, l, now)
}

// code derives the n-th code of a challenge, from 0.
func (s *Service) code(r *store.Record, purpose, subject string, binding [32]byte, n int) (string, error) {
	key, err := s.keys.codeKey(r.Key, r.Salt, r.ID, purpose, subject, binding, n)
	if err != nil {
		return "", err
	}
	return s.c.Generator.Generate(Seed{Key: key[:], Counter: uint64(n), Time: r.Created})
}

// latest is the number of the code that the latest send carries.
func latest(r *store.Record) int {
	if r.NewCode {
		return max(r.Sends, 1) - 1
	}
	return 0
}

// matches compares typed with each code that is valid, in a time that does not
// depend on which it is.
func (s *Service) matches(r *store.Record, typed, purpose, subject string, binding [32]byte) (bool, error) {
	ok := 0
	for n := range latest(r) + 1 {
		code, err := s.code(r, purpose, subject, binding, n)
		if err != nil {
			return false, err
		}
		ok |= subtle.ConstantTimeCompare([]byte(code), []byte(typed))
	}
	return ok == 1, nil
}

func randomID() string {
	b := make([]byte, 8)
	_, _ = rand.Read(b) // never fails, see crypto/rand
	return hex.EncodeToString(b)
}
