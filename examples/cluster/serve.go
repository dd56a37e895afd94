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
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/failover"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/wording"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/store/redisstore"
)

// options are the flags of serve.
type options struct {
	listen, redis, keys, name string
	smscs                     []string
	await                     time.Duration
}

func parse(args []string, out io.Writer) (*options, error) {
	o := &options{}
	f := flag.NewFlagSet("cluster serve", flag.ContinueOnError)
	f.SetOutput(out)
	f.StringVar(&o.listen, "listen", "127.0.0.1:0", "`address` for HTTP")
	f.StringVar(&o.redis, "redis", "127.0.0.1:6379", "`address` of Redis")
	f.StringVar(&o.keys, "keys", "keys.json", "`file` of the keys, the same for all processes")
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
// killed: that is what the others are for.
func serve(ctx context.Context, args []string, out io.Writer) error {
	o, err := parse(args, out)
	if err != nil {
		return err
	}
	client := redis.NewClient(&redis.Options{Addr: o.redis})
	defer func() { _ = client.Close() }()
	receipts := &channel.Receipts{}
	routes, closeRoutes, err := o.routes(receipts)
	defer closeRoutes()
	if err != nil {
		return err
	}
	svc, err := o.newService(client, routes, receipts)
	if err != nil {
		return err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.listen)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s, process %d, listens on http://%s\n", o.name, os.Getpid(), l.Addr())

	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var working sync.WaitGroup
	defer working.Wait()
	working.Go(func() { _ = svc.Work(ctx) }) // until ctx ends
	server := &http.Server{Handler: handler(svc), ReadHeaderTimeout: 5 * time.Second}
	working.Go(func() {
		<-ctx.Done()
		_ = server.Shutdown(context.WithoutCancel(ctx)) // lets requests end
	})
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		stop()
		return err
	}
	return nil
}

// newService is what differs from a program of one process: the store, keys
// that all processes have, and Work running in each.
func (o *options) newService(
	client *redis.Client, routes []channel.Route, receipts *channel.Receipts,
) (*otp.Service, error) {
	store, err := redisstore.New(redisstore.Config{Client: client, Prefix: "mybank"})
	if err != nil {
		return nil, err
	}
	var keys otp.Keyring
	text, err := os.ReadFile(o.keys)
	if err == nil {
		err = json.Unmarshal(text, &keys)
	}
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	courier, err := failover.New(failover.Config{Router: failover.List(routes...)})
	if err != nil {
		return nil, err
	}
	return otp.New(otp.Config{
		Channel:  courier,
		Store:    store,
		Queue:    store, // given here, it also takes over what a dead process was sending
		Takeover: 10 * time.Second,
		Keys:     keys,
		Wording:  wording.Config{Brand: "MyBank"},
		Receipts: receipts,
		Logger:   slog.New(slog.NewTextHandler(os.Stderr, nil)).With("process", o.name),
	})
}

func (o *options) routes(receipts *channel.Receipts) (routes []channel.Route, closeAll func(), err error) {
	var clients []*smpp.Client
	closeAll = func() {
		for _, c := range clients {
			_ = c.Close() // nothing is under way any more
		}
	}
	for i, addr := range o.smscs {
		name := fmt.Sprintf("carrier-%d", i+1)
		client, err := smpp.New(smpp.Config{Addr: addr, SystemID: o.name, Sender: "MyBank", Receipt: receipts.For(name),
			DangerouslyPlaintext: true}) // within one machine
		if err != nil {
			return nil, closeAll, err
		}
		clients = append(clients, client)
		routes = append(routes, channel.Route{Name: name, Channel: client, Address: channel.Phone, Await: o.await})
	}
	return routes, closeAll, nil
}

// handler is an API for the embedder's own front end, not for the public.
//
//	POST /codes  subject, phone, click      → 200 and the challenge
//	GET  /codes/{id}                        → 200 and the challenge
//	POST /codes/{id}/verify  subject, code  → 204, or 401
func handler(svc *otp.Service) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /codes", func(w http.ResponseWriter, r *http.Request) {
		c, err := svc.Send(r.Context(), otp.Request{Subject: r.FormValue("subject"), Purpose: "login",
			To: channel.Recipient{Phone: r.FormValue("phone")}, IdempotencyKey: r.FormValue("click")})
		answer(w, c, err)
	})
	mux.HandleFunc("GET /codes/{id}", func(w http.ResponseWriter, r *http.Request) {
		c, err := svc.Status(r.Context(), r.PathValue("id"))
		answer(w, c, err)
	})
	mux.HandleFunc("POST /codes/{id}/verify", func(w http.ResponseWriter, r *http.Request) {
		err := svc.Verify(r.Context(), otp.Verification{ID: r.PathValue("id"), Subject: r.FormValue("subject"),
			Purpose: "login", Code: r.FormValue("code")})
		if err != nil {
			answer(w, nil, err)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	return mux
}

// A challenge is what a front end needs to know of one.
type challenge struct {
	ID    string `json:"id"`
	State string `json:"state"`
	Route string `json:"route"`
}

func answer(w http.ResponseWriter, c *otp.Challenge, err error) {
	switch {
	case err == nil:
		w.Header().Set("Content-Type", "application/json")
		// An error means that the front end has gone.
		_ = json.NewEncoder(w).Encode(challenge{c.ID, strings.ToLower(c.State.String()), c.Route})
	case errors.Is(err, otp.ErrInvalidRequest):
		http.Error(w, err.Error(), http.StatusBadRequest)
	case errors.Is(err, otp.ErrInvalidCode):
		http.Error(w, err.Error(), http.StatusUnauthorized)
	case errors.Is(err, otp.ErrWait):
		http.Error(w, err.Error(), http.StatusTooManyRequests)
	default:
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	}
}
