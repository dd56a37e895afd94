package pgstore

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/otpcourier/otpcourier/store"
)

// A charge is a call of Attempt.
type charge struct {
	id    string
	token store.Token
	now   time.Time
}

// Parts of a charge, in octets: see the table subjects.
const (
	chargeHead = 24 // id and token
	chargeSize = chargeHead + 8
)

// head returns the charge without the time when the challenge expires.
func (c charge) head() []byte {
	id := digest(c.id).Bytes
	b := append(make([]byte, 0, chargeHead), id[:]...)
	return binary.BigEndian.AppendUint64(b, uint64(c.token))
}

// attempts is the function of that name in the migrations.
func attempts(charges []byte, id string, expires int64) (n int) {
	if len(charges) == 0 {
		return 0
	}
	of := digest(id).Bytes
	for ; len(charges) >= chargeSize; charges = charges[chargeSize:] {
		if bytes.HasPrefix(charges, of[:]) && binary.BigEndian.Uint64(charges[chargeHead:]) == uint64(expires) {
			n++
		}
	}
	return n
}

// Attempt implements store.Store. Calls that come at one time share statements. A call that is
// refused, that is repeated, or that locks the subject takes a second statement.
func (s *Store) Attempt(ctx context.Context, id string, t store.Token, now time.Time) (*store.Record, error) {
	if t == 0 {
		return nil, errNoToken
	}
	r, err := together(ctx, s, s.charges, charge{id, t, now}, s.sql.attempt, id, int64(t), nanos(now))
	s.tidyAfter(ctx, err, now)
	return r, err
}

// charge charges the attempts of a batch against which nothing speaks, and returns their
// records. For the others, which it leaves as they are, it returns nil.
func (s *Store) charge(ctx context.Context, batch []charge) ([]*store.Record, error) {
	records := make([]*store.Record, len(batch))
	if len(batch) > 1 {
		return records, s.chargeAll(ctx, batch, records)
	}
	c := batch[0]
	var err error
	records[0], err = s.onOpen(ctx, s.sql.charge, c.id, c.head(), nanos(c.now))
	return records, err
}

// chargeAll is charge of several attempts. Those of one challenge are next to each other in the
// statement, in the order of their times.
func (s *Store) chargeAll(ctx context.Context, batch []charge, records []*store.Record) error {
	order := make([]int, len(batch))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		return cmp.Or(cmp.Compare(batch[i].id, batch[j].id), batch[i].now.Compare(batch[j].now))
	})
	var (
		ids         []pgtype.UUID
		first, last []int64
		froms, tos  []int32 // from 1
		heads       [][]byte
		calls       []int // of the batch, one for each token
	)
	for _, i := range order {
		c, n := batch[i], len(ids)-1
		if n < 0 || batch[calls[len(calls)-1]].id != c.id {
			ids, first, last = append(ids, digest(c.id)), append(first, nanos(c.now)), append(last, 0)
			froms, tos = append(froms, int32(len(calls)+1)), append(tos, 0)
			n++
		} else if slices.ContainsFunc(calls[froms[n]-1:], func(i int) bool { return batch[i].token == c.token }) {
			continue // a repeat
		}
		heads, calls = append(heads, c.head()), append(calls, i)
		last[n], tos[n] = nanos(c.now), int32(len(calls))
	}
	return s.onSeveral(ctx, func(place int, a *answer) {
		charged := calls[froms[place]-1 : tos[place]]
		for k, i := range charged {
			if r, err := a.record(batch[i].id); err == nil {
				r.Attempts -= len(charged) - 1 - k
				records[i] = r
			}
		}
	}, s.sql.chargeAll, ids, first, last, froms, tos, heads)
}
