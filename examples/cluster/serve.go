package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/failover"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/wording"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/pgstore"
	"github.com/otpcourier/otpcourier/store/redisstore"
)

// options are the flags of serve.
type options struct {
	listen, redis, postgres, name string
	smscs                         []string
	await                         time.Duration
}

func parse(args []string, out io.Writer) (*options, error) {
	o := &options{}
	f := flag.NewFlagSet("cluster serve", flag.ContinueOnError)
	f.SetOutput(out)
	f.StringVar(&o.listen, "listen", "127.0.0.1:0", "`address` for HTTP")
	f.StringVar(&o.redis, "redis", "127.0.0.1:6379", "`address` of Redis")
	f.StringVar(&o.postgres, "postgres", "", "`URL` of a PostgreSQL database, in place of Redis")
	f.StringVar(&o.name, "name", "otp", "`name` of this process, in its log and as its system_id")
	f.DurationVar(&o.await, "await", 2*time.Second, "how `long` a receipt is awaited before the next carrier is tried")
	f.Func("smsc", "`address` of a carrier's SMSC; more than one are tried in order", func(s string) error {
		o.smscs = append(o.smscs, s)
		return nil
	})
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if len(o.smscs) == 0 || f.NArg() > 0 {
		return nil, errors.New("serve needs -smsc, and flags only")
	}
	return o, nil
}

// serve is one process of the cluster. It runs until ctx ends, or until it is
// killed: then the others continue its work.
func serve(ctx context.Context, args []string, env func(string) string, out io.Writer) error {
	o, err := parse(args, out)
	if err != nil {
		return err
	}
	keys, err := otp.ParseKeyring(env("OTP_KEYS"))
	if err != nil {
		return fmt.Errorf("OTP_KEYS: %w", err)
	}
	shared, closeStore, err := o.openStore(ctx)
	if err != nil {
		return err
	}
	defer closeStore() // the last to end
	receipts := &channel.Receipts{}
	routes, carriers, err := o.routes(receipts)
	defer shutdown(carriers)
	if err != nil {
		return err
	}
	svc, err := o.newService(shared, keys, routes, receipts)
	if err != nil {
		return err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.listen)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s, process %d, listens on http://%s\n", o.name, os.Getpid(), l.Addr())
	return runUntilEnd(ctx, svc, l)
}

// patience is the longest time for a part of the process to stop.
const patience = 5 * time.Second

// runUntilEnd starts Work and the HTTP server. When ctx ends, it stops them in
// the opposite order, so that no request comes after Work.
func runUntilEnd(ctx context.Context, svc *otp.Service, l net.Listener) error {
	work, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	var working sync.WaitGroup
	working.Go(func() { _ = svc.Work(work) }) // until stopWork
	defer working.Wait()                      // for the deliveries under way
	defer stopWork()

	server := &http.Server{Handler: handler(svc), ReadHeaderTimeout: 5 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	return server.Shutdown(stopping) // lets requests end
}

// shutdown lets the carriers deliver their last receipts, and ends them.
func shutdown(carriers []*smpp.Client) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, c := range carriers {
		_ = c.Shutdown(ctx) // if the time is over, the rest is aborted
	}
}

// openStore connects to what all processes share: Redis, or a database of PostgreSQL, in which
// the first process makes the tables.
func (o *options) openStore(ctx context.Context) (shared store.Store, closeStore func(), err error) {
	if o.postgres == "" {
		client := redis.NewClient(&redis.Options{Addr: o.redis})
		shared, err := redisstore.New(redisstore.Config{Client: client, Prefix: "mybank"})
		return shared, func() { _ = client.Close() }, err
	}
	pool, err := pgxpool.New(ctx, o.postgres)
	if err != nil {
		return nil, nil, err
	}
	tables, err := pgstore.New(pgstore.Config{DB: pool, Schema: "mybank_otp"})
	if err == nil {
		err = tables.Migrate(ctx)
	}
	if err == nil {
		_, err = tables.Check(ctx)
	}
	if err != nil {
		pool.Close()
		return nil, nil, err
	}
	return tables, pool.Close, nil
}

// newService differs from the newService of a single process in three things:
// the store, keys that all processes share, and Takeover.
func (o *options) newService(
	shared store.Store, keys otp.Keyring, routes []channel.Route, receipts *channel.Receipts,
) (*otp.Service, error) {
	courier, err := failover.New(failover.Config{Router: failover.List(routes...)})
	if err != nil {
		return nil, err
	}
	return otp.New(otp.Config{
		Channel: courier,
		Store:   shared,
		Keys:    keys,
		Wording: wording.Config{Brand: "MyBank"},
		// If a process dies while it sends a message, another sends the message
		// after this time.
		Takeover: 10 * time.Second,
		Receipts: receipts,
		Logger:   slog.New(slog.NewTextHandler(os.Stderr, nil)).With("process", o.name),
	})
}

func (o *options) routes(receipts *channel.Receipts) (routes []channel.Route, carriers []*smpp.Client, err error) {
	for i, addr := range o.smscs {
		name := fmt.Sprintf("carrier-%d", i+1)
		client, err := smpp.New(smpp.Config{Addr: addr, SystemID: o.name, Sender: "MyBank", Receipt: receipts.For(name),
			DangerouslyPlaintext: true}) // within one machine
		if err != nil {
			return nil, carriers, err
		}
		carriers = append(carriers, client)
		routes = append(routes, channel.Route{Name: name, Channel: client, Address: channel.Phone, Await: o.await})
	}
	return routes, carriers, nil
}

// handler is an API for your own front end, not for the public.
//
//	POST /codes  subject, phone, click             → the challenge
//	GET  /codes/{id}?subject=                      → the challenge
//	POST /codes/{id}/verify  subject, code, click  → the challenge, or 422
//
// If a front end gets no answer, it repeats its request with the same click, at
// any process.
func handler(svc *otp.Service) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /codes", func(w http.ResponseWriter, r *http.Request) {
		c, err := svc.Send(r.Context(), otp.Request{Subject: r.FormValue("subject"), Purpose: "login",
			To: channel.Recipient{Phone: r.FormValue("phone")}, IdempotencyKey: r.FormValue("click")})
		answer(w, c, err)
	})
	mux.HandleFunc("GET /codes/{id}", func(w http.ResponseWriter, r *http.Request) {
		c, err := svc.Status(r.Context(), otp.Ref{ID: r.PathValue("id"), Subject: r.FormValue("subject")})
		answer(w, c, err)
	})
	mux.HandleFunc("POST /codes/{id}/verify", func(w http.ResponseWriter, r *http.Request) {
		c, err := svc.Verify(r.Context(), otp.Verification{ID: r.PathValue("id"), Subject: r.FormValue("subject"),
			Purpose: "login", Code: r.FormValue("code"), IdempotencyKey: r.FormValue("click")})
		answer(w, c, err)
	})
	return mux
}

// A challenge is the part of an otp.Challenge that a front end needs.
type challenge struct {
	ID      string        `json:"id"`
	State   channel.State `json:"state"`
	Route   string        `json:"route"`
	Outcome store.Outcome `json:"outcome"`
}

// answer writes a challenge, or an error with the status from otp.Reason's
// table.
func answer(w http.ResponseWriter, c *otp.Challenge, err error) {
	switch {
	case err == nil:
		w.Header().Set("Content-Type", "application/json")
		// An error means that the front end has gone.
		_ = json.NewEncoder(w).Encode(challenge{c.ID, c.State, c.Route, c.Outcome})
	case otp.ReasonOf(err) == otp.ReasonConflict:
		http.Error(w, err.Error(), http.StatusConflict)
	case errors.Is(err, otp.ErrInvalidRequest):
		http.Error(w, err.Error(), http.StatusBadRequest)
	case errors.Is(err, otp.ErrInvalidCode):
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
	case errors.Is(err, otp.ErrWait):
		http.Error(w, err.Error(), http.StatusTooManyRequests)
	case errors.Is(err, otp.ErrUndelivered):
		http.Error(w, err.Error(), http.StatusBadGateway)
	default:
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	}
}
