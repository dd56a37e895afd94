package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
)

// A plan is the fate of a message to a device.
type plan struct {
	refuse         int    // the HTTP status; 0: accepted
	status, reason string // of the webhook; empty: none
}

// A provider is a push provider for the demo, with TLS on a port of the loopback
// interface. It accepts a message, and tells by a webhook what became of it.
type provider struct {
	token string
	key   []byte

	server *httptest.Server
	hooks  *httptest.Server
	wg     sync.WaitGroup

	mu    sync.Mutex
	plans map[string]plan
	texts map[string]string // by device
	ids   map[string]string // by idempotency key
}

func startProvider() *provider {
	p := &provider{token: "provider-token", key: []byte("webhook-key"), plans: map[string]plan{},
		texts: map[string]string{}, ids: map[string]string{}}
	p.server = httptest.NewTLSServer(http.HandlerFunc(p.take))
	return p
}

func (p *provider) url() string          { return p.server.URL }
func (p *provider) client() *http.Client { return p.server.Client() }

// on sets the plan of the messages to a device.
func (p *provider) on(device string, do plan) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.plans[device] = do
}

// hook serves h, and sends the webhooks there.
func (p *provider) hook(h http.Handler) { p.hooks = httptest.NewTLSServer(h) }

func (p *provider) close() {
	p.server.Close()
	p.wg.Wait()
	if p.hooks != nil {
		p.hooks.Close()
	}
}

// latest is the text that the device shows.
func (p *provider) latest(device string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.texts[device]
}

func (p *provider) take(w http.ResponseWriter, q *http.Request) {
	var message struct{ Device, Text string }
	err := json.NewDecoder(q.Body).Decode(&message)
	if err != nil || q.Header.Get("Authorization") != "Bearer "+p.token {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	do, key := p.plans[message.Device], q.Header.Get("Idempotency-Key")
	if do.refuse != 0 {
		w.WriteHeader(do.refuse)
		return
	}
	id, repeated := p.ids[key]
	if !repeated {
		id = fmt.Sprintf("push-%d", len(p.ids)+1)
		p.ids[key], p.texts[message.Device] = id, message.Text
		if do.status != "" {
			p.wg.Go(func() { p.tell(id, do) })
		}
	}
	w.WriteHeader(http.StatusAccepted)
	_ = json.NewEncoder(w).Encode(map[string]string{"id": id})
}

// tell sends the webhook of a message until it is taken.
func (p *provider) tell(id string, do plan) {
	body, err := json.Marshal(map[string]string{"id": id, "status": do.status, "reason": do.reason})
	for try := 0; err == nil && try < 3; try++ {
		q, failed := http.NewRequestWithContext(context.Background(), http.MethodPost, p.hooks.URL,
			bytes.NewReader(body))
		if failed != nil {
			return
		}
		q.Header.Set(signatureHeader, sign(p.key, body))
		answer, failed := p.hooks.Client().Do(q)
		if failed == nil && answer.Body.Close() == nil && answer.StatusCode == http.StatusNoContent {
			return
		}
	}
}
