package pgstore

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/otpcourier/otpcourier/store"
)

// together makes a call with others that come at one time. If something speaks against it, it runs the
// function that takes any call. Config.Timeout bounds both.
func together[Q any](ctx context.Context, s *Store, b *batcher[Q, *store.Record], query Q, sql, id string, args ...any,
) (*store.Record, error) {
	end := time.Now().Add(s.timeout)
	r, err := b.ask(ctx, query)
	if r != nil || err != nil {
		return r, err
	}
	within, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	return s.onChallenge(within, sql, id, args...)
}

// A finishing is a call of Finish as Verified.
type finishing struct {
	id    string
	token store.Token
	now   time.Time
}

// finish closes the challenges of a batch against which nothing speaks, and returns them. For the
// others, which it leaves as they are, it returns nil.
func (s *Store) finish(ctx context.Context, batch []finishing) ([]*store.Record, error) {
	records := make([]*store.Record, len(batch))
	var err error
	if len(batch) == 1 {
		f := batch[0]
		records[0], err = s.onOpen(ctx, s.sql.finishOne, f.id, int64(f.token), nanos(f.now))
	} else {
		ids, tokens, nows := make([]pgtype.UUID, len(batch)), make([]int64, len(batch)), make([]int64, len(batch))
		for i, f := range batch {
			ids[i], tokens[i], nows[i] = digest(f.id), int64(f.token), nanos(f.now)
		}
		err = s.onSeveral(ctx, func(i int, a *answer) { records[i], _ = a.record(batch[i].id) },
			s.sql.finishAll, ids, tokens, nows)
	}
	for _, r := range records {
		if r != nil {
			r.Outcome = store.Verified
		}
	}
	return records, err
}

// An updating is a call of Update.
type updating struct {
	id       string
	revision int64
	delivery []byte // not nil
	now      time.Time
}

// update is finish for calls of Update.
func (s *Store) update(ctx context.Context, batch []updating) ([]*store.Record, error) {
	records := make([]*store.Record, len(batch))
	if len(batch) == 1 {
		u := batch[0]
		var err error
		records[0], err = s.onOpen(ctx, s.sql.updateOne, u.id, u.revision, u.delivery, nanos(u.now))
		return records, err
	}
	ids, revisions, nows := make([]pgtype.UUID, len(batch)), make([]int64, len(batch)), make([]int64, len(batch))
	deliveries := make([][]byte, len(batch))
	for i, u := range batch {
		ids[i], revisions[i], deliveries[i], nows[i] = digest(u.id), u.revision, u.delivery, nanos(u.now)
	}
	return records, s.onSeveral(ctx, func(i int, a *answer) { records[i], _ = a.record(batch[i].id) },
		s.sql.updateAll, ids, revisions, deliveries, nows)
}

// onOpen runs a statement that returns a challenge, which was open and its subject not locked. If
// something speaks against the call, the statement changes nothing, and onOpen returns nil. ctx must
// end in time.
func (s *Store) onOpen(ctx context.Context, sql, id string, args ...any) (*store.Record, error) {
	var a answer
	err := s.scan(ctx, a.fields(), sql, append([]any{digest(id)}, args...)...)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return a.record(id)
}

// onSeveral is onOpen for several calls. It gives what the statement returns to put, with the place
// from 0. A record of a later release, which put cannot read, must not fail the other calls: its own
// call is repeated by the function that takes any.
func (s *Store) onSeveral(ctx context.Context, put func(place int, a *answer), sql string, args ...any) error {
	return s.on(ctx, func(ctx context.Context, db DB) error {
		rows, err := db.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var place int
			var a answer
			if err := rows.Scan(append([]any{&place}, a.fields()...)...); err != nil {
				return err
			}
			put(place-1, &a)
		}
		return rows.Err()
	})
}
