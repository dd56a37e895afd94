package pgstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/otpcourier/otpcourier/store/internal/worker"
)

// defaultSchema is also what stands for the schema in statements and migrations.
const defaultSchema = "otpcourier"

// Config configures a Store.
type Config struct {
	// DB is required. The caller closes it.
	DB DB

	// Schema holds all tables and functions. Stores with different schemas share no
	// data. It must be up to 50 lower-case letters, digits and "_", and begin with a
	// letter, but not with "pg_". Default "otpcourier".
	Schema string

	// Timeout bounds each call. Default 3 s.
	Timeout time.Duration

	// MaxParked bounds the parked receipts, which came before their submission. Each
	// has up to 4096 octets. They should take at most half of the server's disk, since
	// an attacker who forges receipts can park them. The receipts are spread over 256
	// shards with equal parts of MaxParked, rounded up. The minimum is 4096, 16 for each
	// shard. Default 1 << 16.
	MaxParked int

	// JobAttempts is the number of times that a failing job is handed out. Default 64,
	// which takes over 30 min: longer than the life of a short code. With fewer, a
	// message that no carrier took may become a dead letter before its last try, and
	// stay counted against the limits.
	JobAttempts int

	// Listen opens the connection on which new jobs are announced to a Run; Run closes it.
	// Behind a pooler that gives a connection to a client for one transaction only,
	// it must go around the pooler. Default: if DB is a *pgxpool.Pool, Run takes a
	// connection out of it; otherwise Run looks for jobs each second only.
	Listen func(ctx context.Context) (*pgx.Conn, error)

	// Logger gets the warnings of Check, failed jobs, and failures of Run to reach the
	// server. Default: slog.DiscardHandler.
	Logger *slog.Logger
}

// validate refuses a Config that cannot work, and fills in the defaults.
func (c *Config) validate() error {
	if c.DB == nil {
		return errors.New("pgstore: Config.DB: is required")
	}
	c.Schema = cmp.Or(c.Schema, defaultSchema)
	if err := checkSchema(c.Schema); err != nil {
		return err
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return cmp.Or(
		notNegative("Timeout", &c.Timeout, 3*time.Second),
		notNegative("MaxParked", &c.MaxParked, 1<<16),
		notNegative("JobAttempts", &c.JobAttempts, worker.Attempts),
	)
}

// plainName is a name without quotes and capitals.
var plainName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,49}$`)

func checkSchema(schema string) error {
	switch {
	case strings.HasPrefix(schema, "pg_"):
		return fmt.Errorf("pgstore: Config.Schema: %q: the server keeps names that begin with pg_ for itself", schema)
	case !plainName.MatchString(schema):
		return fmt.Errorf("pgstore: Config.Schema: %q is not up to 50 of a-z, 0-9 and _, a letter first", schema)
	}
	return nil
}

// notNegative refuses a negative value, and replaces zero by the default.
func notNegative[N int | time.Duration](field string, v *N, byDefault N) error {
	if *v < 0 {
		return fmt.Errorf("pgstore: Config.%s: %v is negative", field, *v)
	}
	if *v == 0 {
		*v = byDefault
	}
	return nil
}
