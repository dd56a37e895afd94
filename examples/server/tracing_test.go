package main

import (
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/otel/propagation"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// An otlpReceiver takes spans as a collector does.
type otlpReceiver struct {
	*httptest.Server
	mu    sync.Mutex
	spans []*otlp.Span
	said  string // all that came, as text
}

func newOTLPReceiver(t *testing.T) *otlpReceiver {
	c := &otlpReceiver{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		in := &collector.ExportTraceServiceRequest{}
		if err != nil || r.URL.Path != "/v1/traces" || proto.Unmarshal(body, in) != nil {
			t.Errorf("%s: %v", r.URL.Path, err)
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.said += protojson.Format(in)
		for _, resource := range in.GetResourceSpans() {
			for _, scope := range resource.GetScopeSpans() {
				c.spans = append(c.spans, scope.GetSpans()...)
			}
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(c.Close)
	return c
}

// one returns the only span of a name in a trace.
func (c *otlpReceiver) one(t *testing.T, traceID, name string) *otlp.Span {
	t.Helper()
	var found []*otlp.Span
	for _, s := range c.spans {
		if s.GetName() == name && hex.EncodeToString(s.GetTraceId()) == traceID {
			found = append(found, s)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d spans of the trace are called %s:\n%s", len(found), name, c.said)
	}
	return found[0]
}

// The requests of a client, what the Service does for them, and the tries of routes are
// spans of the client's trace. They have no code, address, subject or secret.
func TestTraces(t *testing.T) {
	t.Parallel()
	c := newOTLPReceiver(t)
	r := start(t, func(conf *config) { conf.traces = c.URL })
	r.people.receipts = true
	live := r.follow(t, r.shop, "", "")
	const traceID, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	from := []string{"Traceparent", "00-" + traceID + "-" + parent + "-01"}
	ask := func(want, path, code string) *answer {
		return r.want(r.shop, want, "POST", path, `{"subject":"hidden-subject","purpose":"login"`+code+`}`, from...)
	}
	id := ask("201 pending", apiPath, `,"to":{"phone":"+447912345601"}`).body.ID
	live.until("receipt")
	code := r.people.read("+447912345601")
	ask("200 verified", apiPath+"/"+id+"/check", `,"code":"`+code+`"`)
	r.want(r.shop, "404 not_found", "GET", "/+447912345601", "")
	_, link := r.newPage(signUp)
	r.visit().get(link).post("/verify/send", "phone", "+447912345609").says("Enter the code")
	q := r.request(r.shop, "+447912345609", apiPath, "")
	resp, err := r.shop.http.Transport.(*checked).base.RoundTrip(q)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if !strings.Contains(r.metrics(), `http_route="/v1/verifications/{id}/check"`) {
		t.Errorf("the metrics of requests lack their routes:\n%s", r.metrics())
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}

	create, check := c.one(t, traceID, "POST "+apiPath), c.one(t, traceID, "POST "+apiPath+"/{id}/check")
	send, try := c.one(t, traceID, "otp.send"), c.one(t, traceID, "send sms")
	verify := c.one(t, traceID, "otp.verify")
	client := &otlp.Span{}
	client.SpanId, _ = hex.DecodeString(parent)
	for _, pair := range [][2]*otlp.Span{{create, client}, {send, create}, {try, send}, {check, client},
		{verify, check}} {
		child, of := pair[0], pair[1]
		if !slices.Equal(child.GetParentSpanId(), of.GetSpanId()) {
			t.Errorf("%s is no child of %q", child.GetName(), of.GetName())
		}
	}
	text := create.String()
	if create.GetKind() != otlp.Span_SPAN_KIND_SERVER || !strings.Contains(text, "int_value:201") {
		t.Errorf("got %s", text)
	}
	if !strings.Contains(c.said, "otpcourier-server") || !strings.Contains(c.said, `"receipt sms"`) {
		t.Errorf("got %s", c.said)
	}
	for _, secret := range []string{"4479123456", "hidden-subject", code, r.people.read("+447912345609"), "127.0.0.1",
		r.shop.key, link[strings.LastIndex(link, "/")+1:], "Go-http-client"} {
		if strings.Contains(c.said, secret) {
			t.Errorf("spans have %s:\n%s", secret, c.said)
		}
	}
}

// Log lines of a request have the ID of its trace, even if no collector answers.
func TestTraceInLog(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *config) { c.traces = "http://127.0.0.1:1" })
	ctx := propagation.TraceContext{}.Extract(t.Context(), propagation.MapCarrier{
		"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"})
	if r.s.log.InfoContext(ctx, "something"); !strings.Contains(r.log.String(), "4bf92f3577b34da6a3ce929d0e0e4736") {
		t.Errorf("the log says %s", r.log)
	}
}

// Without an endpoint nothing is wrapped, and a wrong one is an error.
func TestNoTraces(t *testing.T) {
	t.Parallel()
	if h := http.Handler(http.NewServeMux()); (&server{}).traced(h) != h {
		t.Error("requests are wrapped")
	}
	if _, err := newTracing(t.Context(), "collector:4318"); err == nil || !strings.Contains(err.Error(), otlpEndpoint) {
		t.Errorf("got %v", err)
	}
}
