package pgstore_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/pgstore"
)

// nowhere returns a DB without a server.
func nowhere(t *testing.T) *pgxpool.Pool {
	t.Helper()
	return dial(t, "postgres://postgres@127.0.0.1:1/postgres?")
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	db := nowhere(t)
	const schema = " is not up to 50 of a-z, 0-9 and _, a letter first"
	for want, cfg := range map[string]pgstore.Config{
		"pgstore: Config.DB: is required":                {},
		"pgstore: Config.Schema: \"Otp\"" + schema:       {DB: db, Schema: "Otp"},
		"pgstore: Config.Schema: \"otp; DROP\"" + schema: {DB: db, Schema: "otp; DROP"},
		"pgstore: Config.Schema: \"pg_otp\": the server keeps names that begin with pg_ for itself": {
			DB: db, Schema: "pg_otp"},
		"pgstore: Config.Timeout: -1s is negative":    {DB: db, Timeout: -time.Second},
		"pgstore: Config.MaxParked: -1 is negative":   {DB: db, MaxParked: -1},
		"pgstore: Config.JobAttempts: -3 is negative": {DB: db, JobAttempts: -3},
	} {
		if _, err := pgstore.New(cfg); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestCreateRefuses(t *testing.T) {
	t.Parallel()
	s, err := pgstore.New(pgstore.Config{DB: nowhere(t)})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for word, edit := range map[string]func(*store.Record){
		"without ID":  func(r *store.Record) { r.ID = "" },
		"MaxAttempts": func(r *store.Record) { r.MaxAttempts = math.MaxInt32 + 1 },
		"MaxFailures": func(r *store.Record) { r.MaxFailures = -1 },
		"RunLife":     func(r *store.Record) { r.RunLife = -1 },
		"Lock":        func(r *store.Record) { r.Lock = 51 * 365 * 24 * time.Hour },
		"Group":       func(r *store.Record) { r.Group = strings.Repeat("g", 17) },
		"Subject":     func(r *store.Record) { r.Subject = strings.Repeat("s", 1025) },
		"Expires":     func(r *store.Record) { r.Expires = time.Time{} },
		"Created":     func(r *store.Record) { r.Created = time.Date(3000, 1, 1, 0, 0, 0, 0, time.UTC) },
	} {
		r := challenge("aaa-1", now)
		edit(r)
		if err := s.Create(t.Context(), r, now); err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%s: %v", word, err)
		}
	}
	if _, err := s.Attempt(t.Context(), "aaa-1", 0, now); err == nil || !strings.Contains(err.Error(), "token") {
		t.Errorf("Attempt without a token: %v", err)
	}
	_, err = s.Finish(t.Context(), "aaa-1", store.Open, 1, now)
	if err == nil || !strings.Contains(err.Error(), "open") {
		t.Errorf("Finish as open: %v", err)
	}
	if err := s.CancelAll(t.Context(), "a-b", "s", "", now.Add(1), now); err == nil {
		t.Error("CancelAll of a bucket with a dash: no error")
	}
	if err := s.Run(t.Context(), 0, nil); err == nil {
		t.Error("Run without workers: no error")
	}
}

// TestRealPostgresTimes: what a record has comes back, to the nanosecond.
func TestRealPostgresTimes(t *testing.T) {
	t.Parallel()
	s := open(t, pgstore.Config{})
	now := time.Unix(1_900_000_000, 123_456_789)
	for i, created := range []time.Time{now, {}, time.Unix(-1, 5), time.Date(1700, 1, 1, 0, 0, 0, 1, time.UTC)} {
		r := challenge("abc-"+string(rune('a'+i)), now)
		r.Created, r.Expires = created, now.Add(time.Minute+1)
		r.Lock, r.RunLife, r.MaxRun = 49*365*24*time.Hour+1, 49*365*24*time.Hour+3, 7
		if err := s.Create(t.Context(), r, now); err != nil {
			t.Fatal(err)
		}
		got, err := s.Attempt(t.Context(), r.ID, token(), now)
		if err != nil || !got.Created.Equal(r.Created) || !got.Expires.Equal(r.Expires) || got.Lock != r.Lock ||
			got.RunLife != r.RunLife || got.MaxRun != 7 {
			t.Errorf("got %+v, error %v; want %+v", got, err, r)
		}
		if _, err := s.Get(t.Context(), r.ID, r.Expires.Add(-1)); err != nil {
			t.Errorf("Get 1 ns before Expires: %v", err)
		}
	}
}
