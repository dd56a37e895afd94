package gateway_test

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway"
)

// An answer is what a provider says. The zero one closes the connection.
type answer struct {
	status int
	body   string
	header http.Header
}

// A provider is what a test has to know of one.
type provider struct {
	name   string
	file   string            // of the profile; empty: it comes with the package
	values map[string]string // beside urls
	urls   []string          // values that are the test server's URL
	send   string            // path of the submission

	accept   string // what is said of a message; %d: its number
	status   int    // with accept; default 200
	noIDs    bool
	id       string // the first message's, as it is known after accept
	refusals map[channel.Class]answer

	// pollPath is that of a poll for id, and pollBody what is said; %s: the
	// status. polls are the statuses, and the receipts that they make.
	pollPath, pollBody string
	polls              []told

	hook posting
}

// A told is a provider's word for a state, and the receipt for it.
type told struct{ status, receipt string }

const (
	numberFrom = "+18005550199"
	reportURL  = "https://otp.example.com/hooks?route=a"
	hookSecret = "hook-secret-9d41"
)

var providers = []provider{{
	name:   "textbee",
	values: map[string]string{"device": "65f1c0ffee", "key": "tb-key-4be1", "sim": "3", "webhook_secret": hookSecret},
	urls:   []string{"url"},
	send:   "/api/v1/gateway/devices/65f1c0ffee/send-sms",
	status: 201,
	accept: `{"data":{"success":true,"message":"SMS added to queue for processing","smsBatchId":"batch-%d","recipientCount":1}}`,
	id:     "batch-1",
	refusals: map[channel.Class]answer{
		channel.Temporary:     {400, `{"success":false,"error":"Failed to create SMS batch"}`, nil},
		channel.Throttled:     {429, `{"message":"daily limit reached","hasReachedLimit":true,"dailyLimit":50}`, nil},
		channel.Misconfigured: {400, `{"success":false,"error":"Device does not exist or is not enabled"}`, nil},
	},
	pollPath: "/api/v1/gateway/devices/65f1c0ffee/sms-batch/batch-1",
	pollBody: `{"data":{"batch":{"status":"completed"},"messages":[{"_id":"sms-1","status":%q,"recipient":"+447700900123"}]}}`,
	polls: []told{
		{"pending", ""}, {"dispatched", ""}, {"sent", "sent unknown sent"}, {"delivered", "delivered unknown delivered"},
	},
	hook: posting{
		body: `{"smsId":"sms-1","smsBatchId":"batch-1","message":"58203719 is your Example code.","deviceId":"65f1c0ffee",` +
			`"webhookEvent":"MESSAGE_SENT","idempotencyKey":"7f","status":%q,"recipient":"+447700900123","errorCode":"GENERIC_FAILURE"}`,
		sign:  signHMAC("X-Signature", ""),
		tells: []told{{"sent", "sent unknown sent GENERIC_FAILURE"}, {"failed", "failed unknown failed GENERIC_FAILURE"}},
		other: `{"smsId":"sms-9","message":"hello","sender":"+447700900123","webhookEvent":"MESSAGE_RECEIVED"}`,
	},
}, {
	name:   "httpsms",
	values: map[string]string{"key": "hs-key-77aa", "from": numberFrom, "webhook_url": reportURL, "webhook_key": hookSecret},
	urls:   []string{"url"},
	send:   "/v1/messages/send",
	accept: `{"status":"success","message":"message added to queue","data":{"id":"32343a19-%d","status":"pending"}}`,
	id:     "32343a19-1",
	refusals: map[channel.Class]answer{
		channel.Temporary:     {503, `upstream connect error`, nil},
		channel.Throttled:     {429, `Too Many Requests`, http.Header{"Retry-After": {"7"}}},
		channel.Misconfigured: {402, `{"status":"error","message":"upgrade your plan"}`, nil},
	},
	pollPath: "/v1/messages/32343a19-1",
	pollBody: `{"status":"success","data":{"id":"32343a19-1","status":%q,"failure_reason":"RESULT_ERROR","contact":"+447700900123"}}`,
	polls: []told{
		{"pending", ""}, {"scheduled", ""}, {"sending", ""}, {"sent", "sent unknown sent RESULT_ERROR"},
		{"expired", "failed unknown expired RESULT_ERROR"},
	},
	hook: posting{
		body: `{"specversion":"1.0","id":"event-1","source":"/v1/messages","type":%q,"datacontenttype":"application/json",` +
			`"data":{"id":"32343a19-1","request_id":"golden.1","owner":"+18005550199","contact":"+447700900123","content":"58203719"}}`,
		sign: signJWT(jwtNow),
		tells: []told{
			{"message.phone.sent", "sent unknown message.phone.sent"},
			{"message.phone.delivered", "delivered unknown message.phone.delivered"},
		},
		other: `{"type":"message.phone.received","data":{"message_id":"in-1","contact":"+447700900123"}}`,
	},
}, {
	name:   "traccar",
	values: map[string]string{"key": "tc-key-1f00", "slot": "1"},
	urls:   []string{"url"},
	send:   "/",
	accept: "<!-- %d -->",
	noIDs:  true,
	refusals: map[channel.Class]answer{
		channel.Temporary:     {500, "No SIM for +447700900123", nil},
		channel.Misconfigured: {401, "", nil},
	},
}, {
	name: "twilio",
	values: map[string]string{
		"account": "ACc0ffee", "password": hookSecret, "messaging_service": "MG1", "callback_url": reportURL,
	},
	urls:   []string{"url"},
	send:   "/2010-04-01/Accounts/ACc0ffee/Messages.json",
	status: 201,
	accept: `{"sid":"SM%d","status":"queued","error_code":null,"to":"+447700900123"}`,
	id:     "SM1",
	refusals: map[channel.Class]answer{
		channel.Temporary:        {503, `{"code":20503,"message":"unavailable","status":503}`, nil},
		channel.Throttled:        {429, `{"code":20429,"message":"Too Many Requests","status":429}`, nil},
		channel.Unreachable:      {400, `{"code":21612,"message":"cannot route to +447700900123","status":400}`, nil},
		channel.InvalidRecipient: {400, `{"code":21211,"message":"'To' number +447700900123 is not valid","status":400}`, nil},
		channel.Misconfigured:    {401, `{"code":20003,"message":"Authenticate","status":401}`, nil},
	},
	pollPath: "/2010-04-01/Accounts/ACc0ffee/Messages/SM1.json",
	pollBody: `{"sid":"SM1","status":%q,"error_code":30005}`,
	polls:    []told{{"queued", ""}, {"sending", ""}, {"undelivered", "failed invalid recipient undelivered 30005"}},
	hook: posting{
		body: "MessageSid=SM1&MessageStatus=%s&To=%%2B447700900123&ErrorCode=30003&AccountSid=ACc0ffee",
		sign: signTwilio,
		tells: []told{
			{"sent", "sent unknown sent 30003"}, {"undelivered", "failed unreachable undelivered 30003"},
			{"delivered", "delivered unknown delivered 30003"},
		},
		other: "MessageSid=SM9&SmsStatus=received&Body=hello",
	},
}, {
	name: "twilio-voice",
	values: map[string]string{
		"account": "ACc0ffee", "password": hookSecret, "from": numberFrom, "callback_url": reportURL,
	},
	urls:   []string{"url"},
	send:   "/2010-04-01/Accounts/ACc0ffee/Calls.json",
	status: 201,
	accept: `{"sid":"CA%d","status":"queued"}`,
	id:     "CA1",
	refusals: map[channel.Class]answer{
		channel.Throttled:        {429, `{"code":20429,"status":429}`, nil},
		channel.Unreachable:      {400, `{"code":21215,"status":400}`, nil},
		channel.InvalidRecipient: {400, `{"code":21211,"status":400}`, nil},
		channel.Misconfigured:    {400, `{"code":21210,"status":400}`, nil},
	},
	pollPath: "/2010-04-01/Accounts/ACc0ffee/Calls/CA1.json",
	pollBody: `{"sid":"CA1","status":%q}`,
	polls:    []told{{"ringing", ""}, {"in-progress", "sent unknown in-progress"}, {"completed", "delivered unknown completed"}},
	hook: posting{
		body:  "CallSid=CA1&CallStatus=%s&To=%%2B447700900123",
		sign:  signTwilio,
		tells: []told{{"busy", "failed unreachable busy"}},
		other: "CallSid=CA1&CallStatus=surprised",
	},
}, {
	name: "labsmobile",
	values: map[string]string{
		"user": "ann@example.com", "token": "lm-token-55", "callback_url": reportURL + "&token=" + hookSecret, "callback_token": hookSecret,
	},
	urls:   []string{"url"},
	send:   "/json/send",
	accept: `{"code":"0","message":"Message has been successfully sent","subid":"56fb%d"}`,
	id:     "56fb1",
	refusals: map[channel.Class]answer{
		channel.Temporary:        {503, "", nil},
		channel.InvalidRecipient: {200, `{"code":"23","message":"There are no recipients"}`, nil},
		channel.Misconfigured:    {200, `{"code":"35","message":"The account has no enough credit for this sending"}`, nil},
	},
	hook: posting{
		query: "subid=56fb1&msisdn=447700900123&status=ok&acklevel=%s",
		sign:  signToken,
		tells: []told{{"operator", "sent unknown operator+ok"}, {"handset", "delivered unknown handset+ok"}},
		other: "subid=56fb1&acklevel=moon&status=ok",
	},
}, {
	name:   "routee",
	values: map[string]string{"application": "app-1", "secret": "rt-secret-3c", "callback_token": hookSecret},
	urls:   []string{"url", "auth_url"},
	send:   "/sms",
	accept: `{"trackingId":"track-%d","status":"Queued","to":"+447700900123"}`,
	id:     "track-1",
	refusals: map[channel.Class]answer{
		channel.Temporary:     {503, "", nil},
		channel.Throttled:     {429, "", nil},
		channel.Misconfigured: {403, `{"code":"403000000","developerMessage":"bad"}`, nil},
	},
	pollPath: "/sms/tracking/single/track-1",
	pollBody: `[{"smsId":"s-1","messageId":"track-1","status":{"status":%q,"reason":{"detailedStatus":"Unknown Number"}}}]`,
	polls:    []told{{"Queued", ""}, {"Undelivered", "failed invalid recipient Undelivered Unknown Number"}},
	hook: posting{
		body:  `{"messageId":"track-1","part":1,"parts":1,"to":"+447700900123","status":{"name":%q,"reason":{"detailedStatus":"Delivered"}}}`,
		sign:  signToken,
		tells: []told{{"Sent", "sent unknown Sent Delivered"}, {"Delivered", "delivered unknown Delivered Delivered"}},
		other: `{"trackingId":"campaign","campaignStatus":"Finished"}`,
	},
}, {
	name: "whatsapp",
	values: map[string]string{
		"phone_number_id": "10612", "token": "wa-token-e0", "template": "login_code", "app_secret": hookSecret, "verify_token": "verify-88",
	},
	urls:   []string{"url"},
	send:   "/10612/messages",
	accept: `{"messaging_product":"whatsapp","contacts":[{"input":"447700900123","wa_id":"447700900123"}],"messages":[{"id":"wamid.%d=="}]}`,
	id:     "wamid.1==",
	refusals: map[channel.Class]answer{
		channel.Temporary:        {500, `{"error":{"message":"x","code":131016}}`, nil},
		channel.Throttled:        {400, `{"error":{"message":"x","code":131056}}`, nil},
		channel.Unreachable:      {400, `{"error":{"message":"x","code":131026}}`, nil},
		channel.InvalidRecipient: {400, `{"error":{"message":"x","code":131021}}`, nil},
		channel.Misconfigured:    {401, `{"error":{"message":"x","code":190}}`, nil},
	},
	hook: posting{
		body: `{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":{"statuses":[` +
			`{"id":"wamid.other","status":"surprised","recipient_id":"447700900123"},` +
			`{"id":"wamid.1==","status":%q,"recipient_id":"447700900123","errors":[{"code":131026}]}]}}]}]}`,
		sign: signHMAC("X-Hub-Signature-256", "sha256="),
		tells: []told{
			{"sent", "sent unknown sent 131026"}, {"failed", "failed unreachable failed 131026"}, {"read", "delivered unknown read 131026"},
		},
		other: `{"object":"whatsapp_business_account","entry":[{"changes":[{"value":{"messages":[{"id":"wamid.in"}]}}]}]}`,
	},
}, {
	name: "oxtro-style", file: "oxtro-style",
	values: map[string]string{"user": "ox", "password": "ox-pass-2", "device": "pixel", "sim": "2", "active_within": "1 &2", "signing_key": "new", "old_signing_key": hookSecret},
	urls:   []string{"url"},
	send:   "/message",
	status: 202,
	accept: `{"id":"m-%d","state":"Pending"}`,
	id:     "m-1",
	refusals: map[channel.Class]answer{
		channel.Temporary:        {503, "busy", nil},
		channel.Unreachable:      {400, `{"code":"no_sim"}`, nil},
		channel.InvalidRecipient: {400, `{"code":"bad_number"}`, nil},
		channel.Misconfigured:    {403, "", nil},
	},
	pollPath: "/message/m-1",
	pollBody: `{"id":"m-1","state":%q,"reason":"no_sim"}`,
	polls:    []told{{"Pending", ""}, {"Failed", "failed unreachable Failed no_sim"}},
	hook: posting{
		body:  `{"event":%q,"payload":{"messageId":"m-1","reason":"no_sim"}}`,
		sign:  signHMACTime,
		tells: []told{{"sms:sent", "sent unknown sms:sent no_sim"}, {"sms:delivered", "delivered unknown sms:delivered no_sim"}},
		other: `{"event":"system:ping","payload":{}}`,
	},
}, {
	name: "sns-style", file: "sns-style",
	values: map[string]string{"sender_id": "BANK"},
	urls:   []string{"url"},
	send:   "/",
	accept: `{"PublishResponse":{"PublishResult":{"MessageId":"567910cd-%d"}}}`,
	id:     "567910cd-1",
	refusals: map[channel.Class]answer{
		channel.Throttled:        {400, `{"Error":{"Code":"Throttling"}}`, nil},
		channel.Unreachable:      {400, `{"Error":{"Code":"OptedOut"}}`, nil},
		channel.InvalidRecipient: {400, `{"Error":{"Code":"InvalidParameter"}}`, nil},
		channel.Misconfigured:    {403, `{"Error":{"Code":"InvalidClientTokenId"}}`, nil},
	},
}}

// secrets are those of the provider's values that must not be shown.
func (p provider) secrets() (all []string) {
	for name, value := range p.values {
		if name != "from" && len(value) > 4 {
			all = append(all, value)
		}
	}
	return all
}

// config is that of a channel to a server.
func (p provider) config(t testing.TB, url string, client *http.Client) gateway.Config {
	t.Helper()
	c := gateway.Config{Provider: p.name, Values: maps.Clone(p.values), Client: client}
	for _, name := range p.urls {
		c.Values[name] = url
	}
	if p.file != "" {
		c.Provider, c.Profile = "", readProfile(t, p.file)
	}
	return c
}

func readProfile(t testing.TB, name string) *gateway.Profile {
	t.Helper()
	data, err := os.ReadFile("testdata/profiles/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	p, err := gateway.ParseProfile(data)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func newProfileChannel(t testing.TB, c gateway.Config) *gateway.Channel {
	t.Helper()
	ch, err := gateway.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ch.Close() })
	return ch
}

// A fakeProvider serves the API of a provider.
type fakeProvider struct {
	provider

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
