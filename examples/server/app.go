package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/failover"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/authenticator"
	"github.com/otpcourier/otpcourier/otp/guard"
	"github.com/otpcourier/otpcourier/otp/otphttp"
	"github.com/otpcourier/otpcourier/otp/telemetry"
	"github.com/otpcourier/otpcourier/otp/wording"
	"github.com/otpcourier/otpcourier/store"
)

// An app is an application at work.
type app struct {
	name    string
	config  application
	svc     *telemetry.Service
	api     http.Handler
	courier *failover.Channel
	figures *figures
	metrics *appMetrics

	authenticators *authenticator.Service // nil: none
	words          *wording.Set           // of its messages

	countryHeader string // see config
	mailRoute     string // the first that needs an e-mail address; empty: none
	opened        []channel.Channel
	hooks         map[string]http.Handler // by route: what takes the receipts of its provider
	working       sync.WaitGroup
	stop          context.CancelFunc // ends Work
}

// newApp starts an application. Its Work goes on until close.
func (s *server) newApp(a application, keys otp.Keyring, open opener) (_ *app, err error) {
	out := &app{name: a.Name, config: a, countryHeader: s.c.CountryHeader, hooks: map[string]http.Handler{},
		stop: func() {}}
	defer func() {
		if err != nil {
			out.close(context.Background())
		}
	}()
	receipts := &channel.Receipts{}
	if out.metrics, err = s.metrics.of(a, s.tracer()); err != nil {
		return nil, fmt.Errorf("application %s: %w", a.Name, err)
	}
	var routes []channel.Route
	for _, r := range a.Routes {
		c, kind, err := open(a.Name, r, receipts.For(r.Name))
		if err != nil {
			return nil, fmt.Errorf("application %s, route %s: %w", a.Name, r.Name, err)
		}
		out.opened = append(out.opened, c)
		if provider, ok := channel.As[webhookTaker](c); ok {
			out.hooks[r.Name] = provider.WebhookHandler()
		}
		routes = append(routes, out.metrics.Route(channel.Route{Name: r.Name, Channel: c, Address: kind}))
		if kind == channel.Email && out.mailRoute == "" {
			out.mailRoute = r.Name
		}
	}
	if out.courier, err = failover.New(failover.Config{Router: failover.List(routes...)}); err != nil {
		return nil, fmt.Errorf("application %s: %w", a.Name, err)
	}
	if err = out.serve(s, a, keys, receipts); err != nil {
		return nil, fmt.Errorf("application %s: %w", a.Name, err)
	}
	return out, nil
}

// serve makes the Service and its API.
func (a *app) serve(s *server, c application, keys otp.Keyring, receipts *channel.Receipts) error {
	log := s.log.With("application", c.Name)
	st, err := s.state.open(appPrefix(c.Name), log)
	if err != nil {
		return err
	}
	var watch otp.Guard
	if c.Guard != nil {
		if watch, err = a.guard(st, keys, log); err != nil {
			return err
		}
	}
	words := wording.Config{Brand: c.Brand, Origin: s.origin(c)}
	if a.words, err = wording.New(words); err != nil {
		return err
	}
	a.figures = newFigures(c, st, s.vault, log)
	svc, err := otp.New(otp.Config{
		Channel: a.courier, Receipts: receipts, Store: st, Keys: keys, Application: c.Name,
		Wording: words, Region: c.Region,
		Support: c.Support, Async: c.Async,
		Policy: otp.Policy{Life: time.Duration(c.Life), Waits: c.waits},
		// If a process dies while it sends a message, another sends it after that.
		Takeover: 10 * time.Second,
		Guard:    watch,
		Events:   a.metrics.Events(told(s.sender.events(c.Name), a.figures.event)),
		Logger:   log,
	})
	if err != nil {
		return err
	}
	a.svc = a.metrics.Service(svc)
	if a.authenticators, err = c.newAuthenticators(st, keys, log); err != nil {
		return err
	}
	a.api, err = otphttp.New(otphttp.Config{Service: a.svc, Authenticate: callerOf, Path: apiPath,
		Proxies: s.gate.proxies, TypeBase: s.c.ProblemTypes})
	if err != nil {
		return err
	}
	if err := a.metrics.observe(a, st); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	a.stop = stop
	a.working.Go(func() { _ = a.svc.Work(ctx) }) // until stop
	return nil
}

// guard returns the application's guard, which keeps to the budget by the prices of the
// file. It is asked before a route is chosen, so that a message has the price of the first
// route that could take it.
func (a *app) guard(l store.Limiter, keys otp.Keyring, log *slog.Logger) (*guard.Guard, error) {
	c, t := a.config.Guard, &a.config.tariff
	countries := map[string]guard.Country{}
	for _, code := range c.Countries {
		countries[code] = guard.Country{}
	}
	out := guard.Config{Limiter: l, Index: keys.Index, Countries: countries, Shadow: c.Shadow, Alert: a.metrics.alert,
		Logger: log}
	budget, price := t.guardMoney()
	if out.Budget = budget; t.currency != "" {
		phones, others := a.firstRoute(true), a.firstRoute(false)
		for _, code := range c.Countries {
			if p := t.price(phones, code); 4*p > t.budget { // a guard spends a quarter in an hour
				return nil, &priceError{"budget", fmt.Errorf("%s is less than four messages to %s by %s, of %s each",
					t.budget, code, phones, p)}
			}
		}
		out.Price = func(country string) int {
			if country == "" {
				return price(t.price(others, country))
			}
			return price(t.price(phones, country))
		}
	}
	return guard.New(out)
}

// firstRoute returns the first route to phones, or to anything else; empty: there is none.
func (a *app) firstRoute(phones bool) string {
	for _, r := range a.courier.Routes() {
		if r.Address == channel.Phone == phones {
			return r.Name
		}
	}
	return ""
}

// up reports whether a route is left that messages go by.
func (a *app) up() bool {
	return slices.ContainsFunc(a.courier.Health(), func(r failover.RouteHealth) bool { return !r.Open })
}

// told has each of several functions told of events; nil ones are left out.
func told(all ...func(context.Context, otp.Event)) func(context.Context, otp.Event) {
	return func(ctx context.Context, e otp.Event) {
		for _, f := range all {
			if f != nil {
				f(ctx, e)
			}
		}
	}
}

// close ends Work, then the channels, which deliver their last receipts.
func (a *app) close(ctx context.Context) {
	a.stop()
	a.working.Wait()
	for _, c := range slices.Backward(a.opened) {
		if c, ok := c.(interface{ Shutdown(context.Context) error }); ok {
			_ = c.Shutdown(ctx) // if the time is over, it is cut off
		}
	}
	if a.figures != nil {
		a.figures.close(ctx)
	}
}
