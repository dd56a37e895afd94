package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
)

// phones are the devices of the demo's people: the latest code of each address.
type phones struct {
	mu    sync.Mutex
	codes map[string]string
	sent  int

	receipts bool // the network says that messages were delivered

	begun, slow chan struct{} // for tests: tells that a message has begun, and holds it up; nil: neither
}

// open is an opener whose routes all end at the phones.
func (p *phones) open(_ string, r route, receipt channel.ReceiptFunc) (channel.Channel, channel.Address, error) {
	kind := channel.Phone
	if r.Name == "email" {
		kind = channel.Email
	}
	return channel.Func(func(ctx context.Context, m *channel.Message) (channel.Submission, error) {
		if p.slow != nil {
			p.begun <- struct{}{}
			<-p.slow
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.codes[m.To.Of(kind)] = m.Code
		p.sent++
		id := fmt.Sprint("m", p.sent)
		if p.receipts {
			_ = receipt(ctx, channel.Receipt{ProviderID: id, State: channel.Delivered, At: time.Now()}) // in memory
		}
		return channel.Submission{State: channel.Sent, ProviderIDs: []string{id}}, nil
	}), kind, nil
}

// read returns the latest code that came to an address.
func (p *phones) read(address string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.codes[address]
}

// count returns how many messages came.
func (p *phones) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sent
}

// A client talks to the API as a backend of an application does.
type client struct {
	url, key string
	http     *http.Client
}

// answer is what the demo looks at.
type answer struct {
	status int
	header http.Header
	body   struct {
		ID           string `json:"id"`
		Status       any    `json:"status"` // a word, or a Problem's number
		Reason       string `json:"reason"`
		AttemptsLeft int    `json:"attempts_left"`
		Ready        bool   `json:"ready"`
	}
}

// ask makes one request. Header fields are name and value by turns.
func (c *client) ask(ctx context.Context, method, path, body string, fields ...string) (*answer, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.url+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+c.key)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }() // it was read
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	out := &answer{status: resp.StatusCode, header: resp.Header}
	if len(text) > 0 {
		err = json.Unmarshal(text, &out.body)
	}
	return out, err
}

// demoConfig has two applications, and a key of each.
func demoConfig() (c *config, shop, bank string, err error) {
	c = &config{Listen: "127.0.0.1:0", Admin: "127.0.0.1:0"}
	secrets := map[string]string{}
	for _, name := range []string{"shop", "bank"} {
		secret, kept, err := newKey(name + "1")
		if err != nil {
			return nil, "", "", err
		}
		secrets[name] = secret
		c.Applications = append(c.Applications, application{Name: name, Brand: strings.ToUpper(name[:1]) + name[1:],
			Support: "support@" + name + ".example", Routes: []route{{Name: "sms"}, {Name: "email"}},
			ReturnURLs: []string{"https://" + name + ".example/"},
			Keys:       []apiKey{kept}})
	}
	return c, secrets["shop"], secrets["bank"], nil
}

// demo starts the server and talks to it. It returns an error if an answer is not
// the one that it should be.
func demo(ctx context.Context, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, 9*time.Second)
	defer cancel()
	c, shopKey, bankKey, err := demoConfig()
	if err != nil {
		return err
	}
	receiver, err := newReceiver()
	if err != nil {
		return err
	}
	defer receiver.close()
	c.Applications[0].Webhooks = []webhook{{Name: "main", URL: receiver.url, Secrets: []string{receiver.secret},
		DangerouslyPlaintext: true, PrivateNetwork: true}}
	if err := c.validate(func(string) string { return "" }); err != nil {
		return err
	}
	people := &phones{codes: map[string]string{}}
	var log bytes.Buffer
	s, err := newServer(ctx, c, otp.NewKeyring(), people.open, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- s.run(running) }()
	transport := &http.Transport{}
	h := &http.Client{Transport: transport}
	shop, bank := &client{s.url(), shopKey, h}, &client{s.url(), bankKey, h}
	watch := &client{s.adminURL(), "", h}
	if err = converse(ctx, out, people, shop, bank, watch); err == nil {
		err = receiver.wait(ctx, out)
	}
	transport.CloseIdleConnections()
	stop()
	if err = errors.Join(err, <-ended); err != nil {
		return fmt.Errorf("%w\n%s", err, &log)
	}
	fmt.Fprintln(out, "the server has ended")
	for _, code := range people.codes {
		if strings.Contains(log.String(), code) {
			return errors.New("the log holds a code")
		}
	}
	return nil
}

// converse is the conversation of the demo.
func converse(ctx context.Context, out io.Writer, people *phones, shop, bank, watch *client) error {
	const number, email = "+447912345601", "ann@example.com"
	create := `{"subject":"ann","purpose":"login","to":{"phone":"+44 7912 345601","email":"` + email + `"}}`
	created, err := shop.ask(ctx, http.MethodPost, apiPath, create, "Idempotency-Key", `"order-7"`)
	if err != nil {
		return err
	}
	at := apiPath + "/" + created.body.ID
	right := people.read(number)
	check := func(code string) string { return `{"subject":"ann","purpose":"login","code":"` + code + `"}` }
	wrong := "000000"
	if right == wrong {
		wrong = "111111"
	}
	fmt.Fprintf(out, "create: %d\n", created.status)
	for _, step := range []struct {
		name, want   string
		as           *client
		method, path string
		body         string
		fields       []string
	}{
		{"create once more, same Idempotency-Key", "201 pending", shop, "POST", apiPath, create,
			[]string{"Idempotency-Key", `"order-7"`}},
		{"status", "200 pending", shop, "GET", at, "", []string{"Otp-Subject", "ann"}},
		{"resend at once", "429 too_soon, with Retry-After", shop, "POST", at + "/resend", `{"subject":"ann"}`, nil},
		{"check, a wrong code", "422 code_refused, 4 attempts left", shop, "POST", at + "/check", check(wrong), nil},
		{"check, by another application", "422 code_refused", bank, "POST", at + "/check", check(right), nil},
		{"check, the right code", "200 verified", shop, "POST", at + "/check", check(right),
			[]string{"Idempotency-Key", "check-1"}},
		{"check, the answer was lost", "200 verified", shop, "POST", at + "/check", check(right),
			[]string{"Idempotency-Key", "check-1"}},
		{"check, the code is used up", "422 code_refused", shop, "POST", at + "/check", check(right), nil},
		{"cancel, too late", "409 closed", shop, "DELETE", at, "", []string{"Otp-Subject", "ann"}},
		{"another API key", "401 unauthorized", &client{shop.url, shop.key + "x", shop.http}, "POST", apiPath, create,
			nil},
		{"a number that is none", "422 invalid", shop, "POST", apiPath, `{"subject":"bob","to":{"phone":"+4412"}}`,
			nil},
		{"readiness", "200 ready", watch, "GET", "/readyz", "", nil},
	} {
		a, err := step.as.ask(ctx, step.method, step.path, step.body, step.fields...)
		if err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
		fmt.Fprintf(out, "%s: %s\n", step.name, a)
		if a.String() != step.want {
			return fmt.Errorf("%s: want %s", step.name, step.want)
		}
	}
	return nil
}

// String is an answer in one line.
func (a *answer) String() string {
	word, _ := a.body.Status.(string)
	text := fmt.Sprintf("%d %s%s", a.status, word, a.body.Reason)
	if a.body.Ready {
		text += "ready"
	}
	if a.header.Get("Retry-After") != "" {
		text += ", with Retry-After"
	}
	if a.status == http.StatusUnprocessableEntity && a.body.AttemptsLeft > 0 {
		text += fmt.Sprintf(", %d attempts left", a.body.AttemptsLeft)
	}
	return text
}

// A receiver is what an application has behind the URL of a webhook: it believes what
// is signed with the secret.
type receiver struct {
	url, secret string
	server      *http.Server
	hook        webhook // to compute signatures with, as any library of Standard Webhooks does
	came        chan string
}

func newReceiver() (*receiver, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &receiver{url: "http://" + l.Addr().String(), came: make(chan string, 64),
		secret: "whsec_" + base64.StdEncoding.EncodeToString([]byte(rand.Text()))}
	r.hook = webhook{Name: "main", URL: r.url, Secrets: []string{r.secret}, DangerouslyPlaintext: true}
	if err := r.hook.complete(nil); err != nil {
		return nil, err
	}
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: time.Second}
	go func() { _ = r.server.Serve(l) }() // until close
	return r, nil
}

func (r *receiver) close() { _ = r.server.Close() }

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(io.LimitReader(q.Body, 1<<20))
	seconds, failed := strconv.ParseInt(q.Header.Get("Webhook-Timestamp"), 10, 64)
	signature := r.hook.sign(q.Header.Get("Webhook-Id"), time.Unix(seconds, 0), body)
	if err != nil || failed != nil || !hmac.Equal([]byte(signature), []byte(q.Header.Get("Webhook-Signature"))) {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	var n notice
	if json.Unmarshal(body, &n) == nil {
		r.came <- n.Type
	}
}

// wait waits until each kind of webhook has come. Their order is not promised.
func (r *receiver) wait(ctx context.Context, out io.Writer) error {
	kinds := map[string]bool{}
	for len(kinds) < 4 {
		select {
		case kind := <-r.came:
			kinds[kind] = true
		case <-ctx.Done():
			return fmt.Errorf("only %v came by webhook: %w", kinds, ctx.Err())
		}
	}
	fmt.Fprintf(out, "webhooks, signed: %s\n", strings.Join(slices.Sorted(maps.Keys(kinds)), ", "))
	return nil
}
