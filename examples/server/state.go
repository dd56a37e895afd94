package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/memstore"
	"github.com/otpcourier/otpcourier/store/pgstore"
	"github.com/otpcourier/otpcourier/store/redisstore"
)

// A backend is a store with limits, receipts, a queue that says how long it is, and credentials.
type backend interface {
	store.Store
	store.Limiter
	store.Tracker
	store.Queue
	store.Inspector
	store.Credentials
}

// A state is where the server keeps all that outlives a request: a Redis, a database of
// PostgreSQL, or, if there is neither, the memory of this process.
type state struct {
	redis *redis.Client
	pool  *pgxpool.Pool
}

// The prefixes of the server's stores. Stores of different prefixes share nothing.
const (
	gatePrefix    = "otp:"
	cabinetPrefix = "otp:state:"
)

func appPrefix(app string) string   { return "otp:" + app + ":" }
func hookPrefix(name string) string { return "otp:hooks:" + name + ":" }

// prefixes are those of all stores that a configuration needs.
func (c *config) prefixes() []string {
	all := []string{gatePrefix}
	for _, a := range c.Applications {
		all = append(all, appPrefix(a.Name))
		for _, h := range a.Webhooks {
			all = append(all, hookPrefix(a.Name+"/"+h.Name))
		}
	}
	return all
}

// openState connects to the store of the file. In PostgreSQL it makes missing tables, and
// returns an error if the server cannot be relied on, see pgstore's Check.
func openState(ctx context.Context, c *config, log *slog.Logger) (*state, error) {
	u, err := url.Parse(c.Store)
	switch {
	case c.Store == "":
		return &state{}, nil
	case err != nil:
	case u.Scheme == "redis", u.Scheme == "rediss":
		options, err := redis.ParseURL(c.Store)
		if err == nil {
			options.ContextTimeoutEnabled = true
			return &state{redis: redis.NewClient(options)}, nil
		}
	case u.Scheme == "postgres", u.Scheme == "postgresql":
		options, err := pgxpool.ParseConfig(c.Store)
		if err == nil {
			if !u.Query().Has("pool_max_conns") { // each queue takes up to three, see pgstore
				options.MaxConns = 4 + 3*int32(len(c.prefixes())) //nolint:gosec // as many as the file has
			}
			return openPostgres(ctx, c, options, log)
		}
	}
	return nil, errors.New("store: it is no URL, as redis://user:password@host:6379/0 or " +
		"postgres://user:password@host/database")
}

func openPostgres(ctx context.Context, c *config, options *pgxpool.Config, log *slog.Logger) (*state, error) {
	pool, err := pgxpool.NewWithConfig(ctx, options)
	if err != nil {
		return nil, errors.New("store: no pool can be made of the URL")
	}
	s := &state{pool: pool}
	for _, prefix := range c.prefixes() {
		if err := s.migrate(ctx, prefix, log); err != nil {
			s.close()
			return nil, err
		}
	}
	if err := s.migrateCabinet(ctx); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// migrate brings the schema of a store to this release, and checks the server once. The
// log has the warnings.
func (s *state) migrate(ctx context.Context, prefix string, log *slog.Logger) error {
	st, err := pgstore.New(pgstore.Config{DB: s.pool, Schema: schemaOf(prefix), Logger: log})
	if err != nil {
		return err
	}
	if err = st.Migrate(ctx); err == nil && prefix == gatePrefix {
		_, err = st.Check(ctx)
	}
	return migrationError(schemaOf(prefix), err)
}

// migrationError says what an operator can do.
func migrationError(schema string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("store: schema %s is not ready: if the user may not make it, let its owner run the argument "+
		"migrate: %w", schema, err)
}

// schemaOf returns the schema that stands for a prefix: its words, for people, and a hash,
// since a schema has fewer characters to choose from.
func schemaOf(prefix string) string {
	words := strings.Trim(regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(prefix, "_"), "_")
	sum := sha256.Sum256([]byte(prefix))
	return fmt.Sprintf("%.33s_%x", words, sum[:8])
}

// open returns the store of a prefix.
func (s *state) open(prefix string, log *slog.Logger) (backend, error) {
	switch {
	case s.redis != nil:
		return redisstore.New(redisstore.Config{Client: s.redis, Prefix: prefix, Logger: log})
	case s.pool != nil:
		return pgstore.New(pgstore.Config{DB: s.pool, Schema: schemaOf(prefix), Logger: log})
	}
	return memstore.New(memstore.Config{Logger: log}), nil
}

// cabinet returns the cabinet beside the stores.
func (s *state) cabinet() cabinet {
	switch {
	case s.redis != nil:
		return &redisCabinet{s.redis, cabinetPrefix}
	case s.pool != nil:
		return newPostgresCabinet(s.pool)
	}
	return &memoryCabinet{values: map[string]kept{}}
}

// close ends the connections, once all that uses them has ended.
func (s *state) close() {
	if s.redis != nil {
		_ = s.redis.Close()
	}
	if s.pool != nil {
		s.pool.Close()
	}
}
