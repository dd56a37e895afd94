package main

import (
	"net/http"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

// receiptRate bounds what one address may report to a route in a minute, so that nobody
// has this server check signatures all day.
const receiptRate = 3000

// A webhookTaker is a channel whose provider reports to it over HTTP, as those of
// gateway/provider do. Its handler bounds the body, and refuses reports without the right signature.
type webhookTaker interface{ WebhookHandler() http.Handler }

// receipts is /hooks/{application}/{route}: what became of messages, told by the provider
// of a route. The application is in it since two may have routes of one name.
func (s *server) receipts(w http.ResponseWriter, r *http.Request) {
	app, route := r.PathValue("application"), r.PathValue("route")
	var hook http.Handler
	if a := s.apps[app]; a != nil {
		hook = a.hooks[route]
	}
	if hook == nil {
		s.refuse(w, refusal(http.StatusNotFound, "not_found", "There is nothing here.", ""))
		return
	}
	from := network(s.gate.proxies.ClientAddr(r))
	limit := store.Limit{Key: "hook/" + app + "/" + route + "/" + from, Most: receiptRate, Per: time.Minute}
	if _, p := s.gate.take(r.Context(), time.Now(), limit); p != nil {
		p.Title = "Too many reports from this address."
		s.refuse(w, p)
		return
	}
	hook.ServeHTTP(w, r)
}
