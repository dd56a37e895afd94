package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/pgstore"
)

const (
	dayLength = 24 * time.Hour
	dayPart   = 2 * time.Hour
)

// measureDay passes a day of traffic through the Store.
func measureDay(b *bench) error {
	s, pool, schema, err := b.open("off")
	if err != nil {
		return err
	}
	defer pool.Close()
	began := time.Now()
	d := &day{bench: b, store: s, begin: began.Add(-dayLength)}
	parts := int(dayLength / dayPart)
	each := b.challenges / parts
	for part := range parts {
		d.took = d.took[:0]
		err := inParallel(16, each, func(i int) error { return d.challenge(part*each + i) })
		if err != nil {
			return err
		}
		slices.Sort(d.took)
		var size, rows int64
		if err := pool.QueryRow(b.ctx, `SELECT sum(pg_total_relation_size(relid))::bigint,
			(SELECT count(*) FROM `+schema+`.challenges) FROM pg_stat_user_tables WHERE schemaname = $1`,
			schema).Scan(&size, &rows); err != nil {
			return err
		}
		fmt.Printf("DAY postgres hour=%d challenges=%d rows=%d size=%.1fMB verify-p50=%dus verify-p99=%dus\n",
			(part+1)*int(dayPart.Hours()), (part+1)*each, rows, float64(size)/1e6,
			d.took[len(d.took)/2].Microseconds(), d.took[len(d.took)*99/100].Microseconds())
	}
	fmt.Printf("a day in %v\n", time.Since(began).Round(time.Second))
	return nil
}

// day is traffic in times of its own.
type day struct {
	*bench
	store *pgstore.Store
	begin time.Time

	mu   sync.Mutex
	took []time.Duration // verifications of a part
}

// challenge is one of the day: limits, a challenge, receipts, a wrong code or two and mostly
// a right one.
func (d *day) challenge(i int) error {
	now := d.begin.Add(dayLength / time.Duration(d.challenges) * time.Duration(i))
	r := record(i, now)
	r.RunLife = 6 * time.Hour // so that the rows of subjects go within the day
	decision, err := d.store.Take(d.ctx, now,
		store.Limit{Key: "ip/" + strconv.Itoa(i%5000), Most: 1000, Per: time.Hour},
		store.Limit{Key: "to/" + strconv.Itoa(i), Most: 5, Per: 10 * time.Minute},
		store.Limit{Key: "day/" + strconv.Itoa(i), Most: 20, Per: 3 * time.Hour})
	if err != nil || !decision.Allowed {
		return errors.Join(fmt.Errorf("limits: %+v", decision), err)
	}
	if err := d.store.Create(d.ctx, r, now); err != nil {
		return err
	}
	if _, err := d.store.Update(d.ctx, r.ID, 0, random(200), now); err != nil {
		return err
	}
	if _, err := d.store.Track(d.ctx, "route/"+r.ID, r.ID, r.Expires, now); err != nil {
		return err
	}
	tries := 1 + i%3
	for n := range tries {
		began := time.Now()
		if _, err := d.store.Attempt(d.ctx, r.ID, token(), now.Add(time.Duration(n+1)*5*time.Second)); err != nil {
			return err
		}
		if n == tries-1 && i%5 > 0 { // one in five gives up
			if _, err := d.store.Finish(d.ctx, r.ID, store.Verified, token(), now.Add(time.Minute)); err != nil {
				return err
			}
		}
		d.mu.Lock()
		d.took = append(d.took, time.Since(began))
		d.mu.Unlock()
	}
	return nil
}
