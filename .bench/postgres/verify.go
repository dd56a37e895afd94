package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/wording"
	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/pgstore"
)

// perChallenge are the wrong codes of a challenge, of the five that are compared. Each comes after a
// code of every other challenge.
const perChallenge = 4

// A test prepares n calls.
type test struct {
	name    string
	prepare func(n int) (call, error)
}

// measureVerify compares wrong codes with the barest UPDATE.
func measureVerify(b *bench) error {
	for _, sync := range []string{"on", "off"} {
		s, pool, schema, err := b.open(sync)
		if err != nil {
			return err
		}
		tests, err := verifyTests(b.ctx, s, pool, schema)
		for _, g := range []int{1, 16, 64} {
			if err == nil {
				err = b.compare(tests, g, sync)
			}
		}
		pool.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// compare runs tests in turns, in g goroutines, and prints how they do.
func (b *bench) compare(tests []test, g int, sync string) error {
	rates, guess := map[string][]float64{}, map[string]float64{}
	for round := range b.rounds + 1 { // the first finds out how many calls a run needs
		for i := range tests {
			t := tests[(i+round)%len(tests)]
			n := max(int(guess[t.name]*b.each.Seconds()), 8*g, 200)
			do, err := t.prepare(n)
			if err != nil {
				return fmt.Errorf("%s: %w", t.name, err)
			}
			began := time.Now()
			if err := inParallel(g, n, do); err != nil {
				return fmt.Errorf("%s, %d goroutines: %w", t.name, g, err)
			}
			guess[t.name] = float64(n) / time.Since(began).Seconds()
			if round > 0 {
				rates[t.name] = append(rates[t.name], guess[t.name])
			}
		}
	}
	for _, t := range tests {
		fmt.Printf("%-18s sync=%-3s goroutines=%-2d %6.0f calls/s\n", t.name, sync, g, median(rates[t.name]))
	}
	for _, t := range tests[1:] {
		fmt.Printf("RATIO postgres %s sync=%s goroutines=%d vs=%s %.2f\n", t.name, sync, g, tests[0].name,
			median(rates[t.name])/median(rates[tests[0].name]))
	}
	return nil
}

func verifyTests(ctx context.Context, s *pgstore.Store, pool *pgxpool.Pool, schema string) ([]test, error) {
	if _, err := pool.Exec(ctx, `CREATE TABLE `+schema+`.bare (id uuid PRIMARY KEY, expires bigint NOT NULL,
		attempts integer NOT NULL, sealed bytea NOT NULL) WITH (fillfactor = 70)`); err != nil {
		return nil, err
	}
	barest := `UPDATE ` + schema + `.bare SET attempts = attempts + 1 WHERE id = $1 AND attempts < 5 AND expires > $2
		RETURNING attempts, sealed`
	v := &service{ctx: ctx}
	var err error
	if v.Service, err = otp.New(otp.Config{
		Channel: channel.Func(v.deliver), Store: s, Keys: otp.NewKeyring(), Wording: wording.Config{Brand: "Bench"},
	}); err != nil {
		return nil, err
	}
	r := &raw{ctx: ctx, store: s}
	return []test{
		{"update", func(n int) (call, error) {
			ids := make([]pgtype.UUID, n/perChallenge+1)
			err := inParallel(16, len(ids), func(i int) error {
				ids[i] = pgtype.UUID{Bytes: [16]byte(random(16)), Valid: true}
				_, err := pool.Exec(ctx, `INSERT INTO `+schema+`.bare VALUES ($1, $2, 0, $3)`, ids[i],
					time.Now().Add(5*time.Minute).UnixNano(), random(120))
				return err
			})
			return func(i int) error {
				var attempts int
				var sealed []byte
				return pool.QueryRow(ctx, barest, ids[i%len(ids)], time.Now().UnixNano()).Scan(&attempts, &sealed)
			}, err
		}},
		{"store-verify-wrong", r.wrong},
		{"verify-wrong", v.wrong},
	}, nil
}

// raw calls the Store as the Service does.
type raw struct {
	ctx   context.Context
	store store.Store
	made  int
}

func id(i int) string { return "b" + strconv.FormatInt(int64(i)%16384, 32) + "-" + strconv.Itoa(i) }

func token() store.Token { return store.Token(mathrand.Uint64() | 1) }

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

func record(i int, now time.Time) *store.Record {
	return &store.Record{
		ID: id(i), Subject: "subject-of-" + strconv.Itoa(i), Key: "2026-11", Salt: random(16), Sealed: random(120),
		Created: now, Expires: now.Add(5 * time.Minute), MaxAttempts: 5, MaxFailures: 10, Lock: 30 * time.Minute,
		MaxRun: 100, RunLife: 30 * 24 * time.Hour, Group: "group of 16 byte",
	}
}

func (r *raw) wrong(n int) (call, error) {
	first, made := r.made, n/perChallenge+1
	r.made += made
	return func(i int) error {
			_, err := r.store.Attempt(r.ctx, id(first+i%made), token(), time.Now())
			return err
		}, inParallel(16, made, func(i int) error {
			now := time.Now()
			return r.store.Create(r.ctx, record(first+i, now), now)
		})
}

// A service is one whose channel sends nothing and knows every code.
type service struct {
	*otp.Service
	ctx   context.Context
	made  int
	codes sync.Map // by challenge
}

func (s *service) deliver(_ context.Context, m *channel.Message) (channel.Submission, error) {
	challenge, _, _ := strings.Cut(m.ID, ".")
	s.codes.Store(challenge, m.Code)
	return channel.Submission{State: channel.Sent}, nil
}

func (s *service) wrong(n int) (call, error) {
	first := s.made
	all := make([]otp.Verification, n/perChallenge+1)
	s.made += len(all)
	err := inParallel(16, len(all), func(i int) error {
		subject := "user-" + strconv.Itoa(first+i)
		c, err := s.Send(s.ctx, otp.Request{Subject: subject, To: channel.Recipient{Email: subject + "@example.com"}})
		if err != nil {
			return err
		}
		code, _ := s.codes.LoadAndDelete(c.ID)
		right, _ := code.(string)
		wrong := string('0'+(right[0]-'0'+1)%10) + right[1:]
		all[i] = otp.Verification{ID: c.ID, Subject: subject, Code: wrong}
		return nil
	})
	return func(i int) error {
		if _, err := s.Verify(s.ctx, all[i%len(all)]); !errors.Is(err, otp.ErrInvalidCode) {
			return fmt.Errorf("wrong code: %w", err)
		}
		return nil
	}, err
}

// measureFill compares fill factors of the table that wrong codes write.
func measureFill(b *bench) error {
	const n = 40_000
	for _, factor := range []int{100, 90, 80, 70, 50} {
		s, pool, schema, err := b.open("off")
		if err != nil {
			return err
		}
		_, err = pool.Exec(b.ctx, fmt.Sprintf("ALTER TABLE %s.subjects SET (fillfactor = %d)", schema, factor))
		r := &raw{ctx: b.ctx, store: s}
		var do call
		if err == nil {
			do, err = r.wrong(n)
		}
		began := time.Now()
		if err == nil {
			err = inParallel(16, n, do)
		}
		rate := n / time.Since(began).Seconds()
		var hot float64
		var size int64
		if err == nil {
			time.Sleep(2 * time.Second) // until the server has told its statistics
			err = pool.QueryRow(b.ctx, `SELECT n_tup_hot_upd::float / greatest(n_tup_upd, 1),
				pg_total_relation_size(relid)
				FROM pg_stat_user_tables WHERE schemaname = $1 AND relname = 'subjects'`, schema).Scan(&hot, &size)
		}
		pool.Close()
		if err != nil {
			return err
		}
		fmt.Printf("FILL postgres subjects fillfactor=%d %.0f calls/s, %.0f %% HOT, %.1f MB\n", factor, rate, 100*hot,
			float64(size)/1e6)
	}
	return nil
}
