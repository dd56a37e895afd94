package otp

import (
	"bytes"
	"context"
	"crypto/subtle"
	"errors"
	"time"

	"github.com/otpcourier/otpcourier/otp/internal/delivery"
	"github.com/otpcourier/otpcourier/store"
)

// An opened record is unsealed and decoded. It does not change: an event makes
// another.
type opened struct {
	*store.Record
	id       string // public
	req      *sealedRequest
	tenant   *tenant
	policy   *Policy
	delivery *delivery.Delivery
	encoded  []byte // the delivery, as the record has it, without its signature
	lost     bool   // a write of this call, whose answer was lost, may have led to the record
}

// errTenant means that a challenge belongs to a tenant that this process does
// not know.
var errTenant = errors.New("the challenge's tenant is not configured in this process")

// open unseals a record and decodes its delivery.
func (s *Service) open(r *store.Record) (*opened, error) {
	plain, err := s.keys.open(r)
	if err != nil {
		return nil, err
	}
	req, err := decodeSealed(plain)
	if err != nil {
		return nil, err
	}
	o := &opened{Record: r, id: s.keys.publicOf(r.ID), req: req, tenant: s.tenant(req.tenant)}
	if o.tenant == nil {
		return nil, errTenant
	}
	o.policy = o.tenant.of(req.purpose)
	return o, s.decode(o)
}

// decode reads the delivery of o's record.
func (s *Service) decode(o *opened) (err error) {
	if o.encoded, err = s.keys.signed(o.Record); err != nil {
		return err
	}
	if o.delivery, err = delivery.Decode(o.encoded); err != nil {
		return errVersion
	}
	return nil
}

// with returns o with a newer record of the same challenge.
func (s *Service) with(o *opened, r *store.Record) (*opened, error) {
	newer := *o
	newer.Record = r
	if bytes.Equal(r.Delivery, o.Record.Delivery) {
		return &newer, nil
	}
	return &newer, s.decode(&newer)
}

// state is the part of the record that the delivery's moves depend on.
func (o *opened) state() delivery.Challenge {
	return delivery.Challenge{Open: o.Outcome == store.Open, Proven: o.Outcome == store.Verified, Expires: o.Expires}
}

// next returns the due move.
func (o *opened) next(now time.Time) delivery.Move { return o.delivery.Next(o.state(), now) }

// read gets and opens a live challenge of the tenant's subject.
func (s *Service) read(ctx context.Context, q Ref, now time.Time) (*opened, error) {
	i, tag, err := s.locate(q)
	if err != nil {
		return nil, err
	}
	var r *store.Record
	err = again(ctx, func() (err error) {
		r, err = s.c.Store.Get(ctx, i.store(), now)
		return err
	})
	if err != nil {
		return nil, s.storeError(r, err, now)
	}
	o, err := s.open(r)
	if err != nil {
		return nil, s.openError(ctx, r, err)
	}
	if !tag.runs(o.Subject) || o.req.tenant != q.Tenant {
		return nil, notFound()
	}
	return o, nil
}

// locate reads the ID of a challenge. An ID of another subject is not found.
func (s *Service) locate(q Ref) (id, subjectTag, error) {
	t := s.tenant(q.Tenant)
	switch {
	case t == nil:
		return id{}, subjectTag{}, invalid("Tenant", "there is none of that name")
	case q.Subject == "" || len(q.Subject) > maxSubject:
		return id{}, subjectTag{}, invalid("Subject", "it must have 1 to 256 octets")
	}
	tag := s.keys.subject(q.Tenant, subjectForm(q.Subject))
	i, ok := s.keys.parseID(q.ID)
	if !ok || !i.belongs(tag) {
		return i, tag, notFound()
	}
	return i, tag, nil
}

func notFound() *Error { return &Error{Reason: ReasonNotFound, Err: store.ErrNotFound} }

// openError is the error of a record that could not be opened. A record of another
// application is not found.
func (s *Service) openError(ctx context.Context, r *store.Record, err error) *Error {
	if errors.Is(err, errForeign) {
		s.reportForeign(ctx, r)
		return notFound()
	}
	return &Error{Reason: ReasonUnavailable, Err: err}
}

// reportForeign logs, once in a minute at most, that another application uses
// the same store.
func (s *Service) reportForeign(ctx context.Context, r *store.Record) {
	now := time.Now().UnixNano()
	last := s.foreign.Load()
	if now-last >= int64(time.Minute) && s.foreign.CompareAndSwap(last, now) {
		s.log.ErrorContext(ctx, "otp: another application has challenges in the same store; they are left alone: "+
			"give each application a prefix, or a database, of its own", "application", s.c.Application, "record", r.ID)
	}
}

// code derives the n-th code of a challenge, from 0.
func (s *Service) code(r *store.Record, purpose string, binding [32]byte, n int) (string, error) {
	key, err := s.keys.codeKey(r, purpose, binding, n)
	if err != nil {
		return "", err
	}
	return generate(s.c.Generator, Seed{Key: key[:], Counter: uint64(n), Time: r.Created})
}

// matches compares typed with each valid code, in constant time.
func (s *Service) matches(r *store.Record, typed, purpose string, binding [32]byte) (bool, error) {
	valid := 1
	if r.NewCode {
		encoded, err := s.keys.signed(r)
		if err != nil {
			return false, err
		}
		d, err := delivery.Decode(encoded)
		if err != nil {
			return false, errVersion
		}
		valid = max(d.Send, 1) // sends begun, not requests
	}
	ok := 0
	for n := range valid {
		code, err := s.code(r, purpose, binding, n)
		if err != nil {
			return false, err
		}
		ok |= subtle.ConstantTimeCompare([]byte(code), []byte(typed))
	}
	return ok == 1, nil
}

// sameRequest reports whether a repeated request asks for the same as the first.
func (q *sealedRequest) sameRequest(first *sealedRequest) bool {
	return wireForm(q.to) == wireForm(first.to) && q.binding == first.binding && q.details == first.details &&
		q.route == first.route && q.reference == first.reference
}
