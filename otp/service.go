package otp

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp/internal/delivery"
	"github.com/otpcourier/otpcourier/store"
)

// A Service makes codes, has them delivered, and verifies them. Its methods are safe for
// concurrent use. Several Services, in one process or many, may share a store.
type Service struct {
	c     Config
	log   *slog.Logger
	keys  keys
	bits  float64           // of a code
	fixed map[string]string // code by address

	opener store.Opener // the Store, if it is the Limiter, too; else nil

	own       *tenant // the Config's
	tenants   atomic.Pointer[map[string]*tenant]
	tenantsMu sync.Mutex // held while the map is replaced

	working atomic.Int32 // Runs of Work in this process
	told    told
	silence watch        // warns of jobs that no Work takes
	foreign atomic.Int64 // when a record of another application was logged last
	dummy   store.Record // derives as long as a real one, and no code matches
}

// New returns a Service. If a field of c is wrong, the error names it. A Service starts
// no goroutine of its own: see [Service.Work].
func New(c Config) (*Service, error) {
	heard := c.heard()
	var opener store.Opener
	if c.Limiter == nil {
		opener, _ = c.Store.(store.Opener)
	}
	c = c.withDefaults()
	if err := c.validate(); err != nil {
		return nil, err
	}
	keys, err := c.Keys.application(c.Application)
	if err != nil {
		return nil, err
	}
	s := &Service{c: c, log: c.Logger, keys: keys, bits: bitsOf(c.Generator), opener: opener}
	if s.fixed, err = s.fixedCodes(); err != nil {
		return nil, err
	}
	if err := s.makeDummy(); err != nil {
		return nil, err
	}
	if err := errors.Join(s.auditConfig(heard), s.prepareTenants()); err != nil {
		return nil, err
	}
	if len(s.fixed) > 0 {
		s.log.Warn("otp: fixed codes are accepted", "recipients", len(s.fixed))
	}
	return s, nil
}

func (s *Service) makeDummy() error {
	q := sealedRequest{to: channel.Recipient{Phone: "+447912345678"}, region: "GB", purpose: "login", language: "en",
		requestID: randomID(),
		binding:   noBinding}
	now := instant()
	r := store.Record{ID: s.keys.newID("", subjectTag{}, "", "").store(), Key: s.keys.keyID, Salt: newSalt(),
		Created: now, Expires: now.Add(time.Hour)}
	var err error
	if r.Sealed, err = s.keys.seal(&r, q.encode()); err != nil {
		return fmt.Errorf("otp: %w", err)
	}
	d := delivery.New(now, now.Add(s.lease()), mathrand.Uint64(), delivery.Charge{At: now, Kinds: channel.Phone})
	if r.Delivery, err = s.keys.sign(&r, d.Encode()); err != nil {
		return fmt.Errorf("otp: %w", err)
	}
	s.dummy = r
	return nil
}

// String names the application and no secret.
func (s *Service) String() string { return "otp.Service(" + s.c.Application + ")" }

// GoString is String.
func (s *Service) GoString() string { return s.String() }

// LogValue is String.
func (s *Service) LogValue() slog.Value { return slog.StringValue(s.String()) }

// instant is the time of a call, as exact as every store keeps it.
func instant() time.Time { return time.Now().Truncate(time.Microsecond) }

const saltLen = 16

func newSalt() []byte {
	salt := make([]byte, saltLen)
	_, _ = rand.Read(salt) // never fails, see crypto/rand
	return salt
}

func randomID() string {
	b := make([]byte, 8)
	_, _ = rand.Read(b) // never fails, see crypto/rand
	return hex.EncodeToString(b)
}

// afterwards bounds the bookkeeping that goes on after a message was sent, or
// a limit taken, even if the caller has gone.
const afterwards = 5 * time.Second

// bounded returns a context for bookkeeping: it outlives the caller's, by afterwards.
func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return withTerm(context.WithoutCancel(ctx), time.Now().Add(afterwards))
}
