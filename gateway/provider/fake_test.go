package provider_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/provider"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// An answer is what a provider says. The zero one closes the connection.
type answer struct {
	status int
	body   string
	header http.Header
}

// A provider is what a test has to know of one.
type api struct {
	name   string
	file   string            // of the profile; empty: it comes with the package
	kind   channel.Address   // default: channel.Phone
	values map[string]string // beside urls
	urls   []string          // values that are the test server's URL
	send   string            // path of the submission

	accept   string // what is said of a message; %d: its number
	status   int    // with accept; default 200
	idHeader string // that has "id-%d"
	noIDs    bool
	id       string // the first message's, as it is known after accept
	refusals map[channel.Class]answer

	// pollPath is that of a poll for id, and pollBody what is said; %s: the
	// status. polls are the statuses, and the receipts that they make.
	pollPath, pollBody string
	polls              []told

	// cancelPath is that of a cancellation of id, and cancelled what is said of a
	// message that was withdrawn, tooLate of one that was not.
	cancelPath, cancelled string
	tooLate               answer

	hook posting

	documented []documented
}

// A documented is an answer to a message that the provider's documents have, with
// the ids that it gives, "[a b]", or the class and code of the error.
type documented struct {
	name   string
	answer answer
	want   string
}

// A told is a provider's word for a state, and the receipt for it.
type told struct{ status, receipt string }

const (
	numberFrom = "+18005550199"
	reportURL  = "https://otp.example.com/hooks?route=a"
	hookSecret = "hook-secret-9d41"
)

// providers are the APIs that the tests speak, each in a file api_*_test.go: all
// that come with the package, and two that are like others.
var providers = []api{
	textbee, httpsms, traccar, twilio, twilioVoice, labsmobile, routee, whatsapp, oxtroStyle, snsStyle,
	vonage, vonageSMS, infobip, sinch, plivo, telnyx, messagebird, bird, msg91, africasTalking, termii, clicksend,
	kannel, telegramGateway,
	awsSNS, alibaba, tencent,
	sendgrid, mailgun, postmark, resend, brevo, ses,
}

// secrets are those of the provider's values that must not be shown.
func (p api) secrets() (all []string) {
	for name, value := range p.values {
		if name != "from" && len(value) > 4 {
			all = append(all, value)
		}
	}
	return all
}

// config is that of a channel to a server.
func (p api) config(t testing.TB, url string, client *http.Client) provider.Config {
	t.Helper()
	c := provider.Config{Provider: p.name, Values: maps.Clone(p.values), Client: client}
	for _, name := range p.urls {
		c.Values[name] = url
	}
	if p.file != "" {
		c.Provider, c.Profile = "", readProfile(t, p.file)
	}
	return c
}

func readProfile(t testing.TB, name string) *provider.Profile {
	t.Helper()
	data, err := os.ReadFile("testdata/profiles/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, string(data))
}

func parse(t testing.TB, profile string) *provider.Profile {
	t.Helper()
	p, err := provider.ParseProfile([]byte(profile))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func newChannel(t testing.TB, c provider.Config) *provider.Channel {
	t.Helper()
	ch, err := provider.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ch.Close() })
	return ch
}

// A fakeProvider serves the API of a provider.
type fakeProvider struct {
	api

	mu       sync.Mutex
	requests []string // as golden files have them
	accepted int
	tokens   int
	refuse   *answer
	stalled  chan struct{}
	state    string        // what a poll says; empty: 404
	slow     time.Duration // before a token
}

func (f *fakeProvider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	f.mu.Lock()
	f.requests = append(f.requests, dump(r, body))
	f.mu.Unlock()
	switch r.URL.Path {
	case f.send:
		f.submission(w, r)
	case f.pollPath:
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.state == "" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = fmt.Fprintf(w, f.pollBody, f.state)
	case f.cancelPath:
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.refuse != nil {
			w.WriteHeader(f.refuse.status)
			_, _ = io.WriteString(w, f.refuse.body)
			return
		}
		_, _ = io.WriteString(w, f.cancelled)
	case "/oauth/token":
		if f.slow > 0 { // in a synctest bubble
			time.Sleep(f.slow)
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		f.tokens++
		_, _ = fmt.Fprintf(w, `{"access_token":"access-%d","token_type":"bearer","expires_in":3600}`, f.tokens)
	default:
		w.WriteHeader(http.StatusTeapot)
	}
}

func (f *fakeProvider) submission(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	refuse, stalled := f.refuse, f.stalled
	if refuse == nil || refuse.status == 0 {
		f.accepted++
	}
	n := f.accepted
	f.mu.Unlock()
	if stalled != nil {
		<-stalled
	}
	switch {
	case refuse == nil:
		if f.idHeader != "" {
			w.Header().Set(f.idHeader, "id-"+strconv.Itoa(n))
		}
		if f.status != 0 {
			w.WriteHeader(f.status)
		}
		_, _ = io.WriteString(w, strings.ReplaceAll(f.accept, "%d", strconv.Itoa(n)))
	case refuse.status == 0:
		panic(http.ErrAbortHandler)
	default:
		maps.Copy(w.Header(), refuse.header)
		w.WriteHeader(refuse.status)
		_, _ = io.WriteString(w, refuse.body)
	}
}

// take returns the requests since the last call.
func (f *fakeProvider) take() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	requests := f.requests
	f.requests = nil
	return requests
}

func (f *fakeProvider) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// dump writes a request without what net/http adds.
func dump(r *http.Request, body []byte) string {
	var b strings.Builder
	_, _ = fmt.Fprintf(&b, "%s %s\n", r.Method, r.RequestURI)
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		if slices.Contains([]string{"Accept-Encoding", "Content-Length", "User-Agent"}, name) {
			continue
		}
		for _, value := range r.Header[name] {
			if name == "X-Acs-Signature-Nonce" || strings.HasPrefix(value, "ACS3-") {
				value, _, _ = strings.Cut(value, "Signature=") // which a nonce changes each time
				value = strings.TrimRight(value, "abcdefghijklmnopqrstuvwxyz234567")
			}
			_, _ = fmt.Fprintf(&b, "%s: %s\n", name, value)
		}
	}
	_, _ = fmt.Fprintf(&b, "\n%s\n", body)
	return b.String()
}

// inMemory is a transport to a handler, for tests in virtual time.
type inMemory struct{ http.Handler }

func (m inMemory) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
	}
	served := httptest.NewRequestWithContext(r.Context(), r.Method, r.URL.String(), bytes.NewReader(body))
	served.RequestURI, served.Header = r.URL.RequestURI(), r.Header.Clone()
	w := httptest.NewRecorder()
	m.ServeHTTP(w, served)
	return w.Result(), nil
}

// golden is a message that is hard to carry: each of its characters means
// something to JSON, to a form or to XML.
func golden() *channel.Message {
	return &channel.Message{
		ID: "golden.1", To: channel.Recipient{Phone: "+447700900123", Email: "ann@example.com"}, Code: "582037",
		Text:    "582037 is your \"code\", <b>&\\ +%7B{{to}}\nÄ",
		Subject: "Your \"code\"", Body: "582037 is your \"code\".\n{{to}}", HTML: "<p title=\"&amp;\">582037</p>\n",
		Sender: "Example & Co", Language: "pt-BR", Purpose: "login",
		Created: time.Now(), Expires: time.Now().Add(5*time.Minute + 900*time.Millisecond),
	}
}

// hearing keeps receipts.
type hearing struct {
	mu    sync.Mutex
	heard []string
	ids   [][2]string
	deaf  bool
}

func (h *hearing) receipt(_ context.Context, r channel.Receipt) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.deaf {
		return errors.New("the store is down")
	}
	h.heard = append(h.heard, fmt.Sprintf("%v %v %s", r.State, r.Class, r.Code))
	h.ids = append(h.ids, [2]string{r.ProviderID, r.MessageID})
	return nil
}

func (h *hearing) receipts() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	heard := h.heard
	h.heard = nil
	return heard
}

// A bubble is a channel to a fake provider in virtual time.
type bubble struct {
	*fakeProvider
	*hearing
	channel *provider.Channel
	log     *bytes.Buffer
}

func inBubble(t *testing.T, p api, change func(*provider.Config), f func(*testing.T, *bubble)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bubble{fakeProvider: &fakeProvider{api: p}, hearing: &hearing{}, log: &bytes.Buffer{}}
		c := p.config(t, "https://provider.example", &http.Client{Transport: inMemory{b.fakeProvider}})
		c.Receipt = b.receipt
		c.Logger = slog.New(slog.NewTextHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		if change != nil {
			change(&c)
		}
		b.channel = newChannel(t, c)
		f(t, b)
		_ = b.channel.Close()
	})
}

func eachProvider(t *testing.T, f func(*testing.T, api)) {
	t.Helper()
	eachProviderThat(t, func(api) bool { return true }, f)
}

// eachProviderThat runs f for those of the providers that can do something.
func eachProviderThat(t *testing.T, can func(api) bool, f func(*testing.T, api)) {
	t.Helper()
	for _, p := range providers {
		if !can(p) {
			continue
		}
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			f(t, p)
		})
	}
}

// newTLSProvider serves a provider on a real socket.
func newTLSProvider(t testing.TB, h http.Handler) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // connections are cut on purpose
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func providerNamed(t *testing.T, name string) api {
	t.Helper()
	for _, p := range providers {
		if p.name == name {
			return p
		}
	}
	t.Fatalf("no provider %q", name)
	return api{}
}
