package sdktest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/sdk/metric"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/channeltest"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/telemetry/smpptelemetry"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/smpptest"
)

const ops = "../../ops"

// scrape returns what Prometheus would read of a program that has seen every state.
func scrape(t *testing.T) string {
	t.Helper()
	registry := prometheus.NewRegistry()
	reader, err := otelprometheus.New(otelprometheus.WithRegisterer(registry))
	must(t, err)
	r := newRig(t, reader, func(time.Duration) {}, nil)
	r.live(t)
	everyValue(t, r)
	observeSMPP(t, r.meters)

	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/verifications/{id}/check", func(http.ResponseWriter, *http.Request) {})
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	server := httptest.NewServer(otelhttp.NewHandler(mux, "server", otelhttp.WithMeterProvider(r.meters)))
	defer server.Close()
	get(t, http.MethodPost, server.URL+"/v1/verifications/1/check")
	return get(t, http.MethodGet, server.URL+"/metrics")
}

func get(t *testing.T, method, url string) string {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	must(t, err)
	answer, err := http.DefaultClient.Do(q)
	must(t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	must(t, err)
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", url, answer.Status)
	}
	return string(body)
}

// everyValue has each class and each reason counted.
func everyValue(t *testing.T, r *rig) {
	t.Helper()
	events := r.telemetry.Events(nil)
	for class := range channel.Expired + 1 {
		r.a.Then = channeltest.Refuse(class, "1")
		_, _ = channel.Try(t.Context(), r.routes, channeltest.Message(channel.Phone, "m"))
	}
	for _, reason := range []otp.Reason{otp.ReasonUnavailable, otp.ReasonFull} {
		events(t.Context(), otp.Event{Kind: otp.EventRefused, Operation: otp.OperationSend, Reason: reason})
	}
	for _, reason := range []otp.Reason{otp.ReasonLocked, otp.ReasonAttempts} {
		events(t.Context(), otp.Event{Kind: otp.EventRejected, Reason: reason})
	}
}

// observeSMPP has one client bound and one that is refused.
func observeSMPP(t *testing.T, meters *metric.MeterProvider) {
	t.Helper()
	smsc := smpptest.NewServer(smpptest.Config{SystemID: "mybank", Password: "secret"})
	t.Cleanup(smsc.Close)
	clients := map[string]*smpp.Client{}
	for route, password := range map[string]string{"sms-a": "secret", "sms-b": "wrong"} {
		c, err := smpp.New(smpp.Config{Addr: smsc.Addr, SystemID: "mybank", Password: password,
			DangerouslyPlaintext: true})
		must(t, err)
		t.Cleanup(func() { _ = c.Close() })
		clients[route] = c
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := c.Ready(ctx); (err == nil) != (route == "sms-a") {
			t.Fatal(err)
		}
	}
	_, err := smpptelemetry.Observe(meters, clients)
	must(t, err)
}

// series are the label names and values of each metric of a scrape.
type series map[string]map[string][]string

var (
	line    = regexp.MustCompile(`(?m)^([a-z_0-9]+)(?:\{(.*)\})? [^ ]+$`)
	label   = regexp.MustCompile(`([a-z_0-9]+)="((?:[^"\\]|\\.)*)"`)
	ours    = regexp.MustCompile(`\b(?:otp|smpp|messaging|http|geo|error)[_:][a-z0-9_:]+`)
	matcher = regexp.MustCompile(`([a-z0-9_:]+)\{([^}]*)\}`)
	match   = regexp.MustCompile(`([a-z_]+)(=~|=|!=)"([^"]*)"`)
)

func parse(metrics string) series {
	all := series{}
	for _, m := range line.FindAllStringSubmatch(metrics, -1) {
		if all[m[1]] == nil {
			all[m[1]] = map[string][]string{}
		}
		for _, l := range label.FindAllStringSubmatch(m[2], -1) {
			all[m[1]][l[1]] = append(all[m[1]][l[1]], l[2])
		}
	}
	return all
}

// unknown returns what an expression names and the scrape does not have: metrics,
// labels, and values of labels.
func (s series) unknown(expr string) (all []string) {
	labels := map[string]bool{}
	for _, of := range s {
		for name := range of {
			labels[name] = true
		}
	}
	for _, name := range ours.FindAllString(expr, -1) {
		if _, ok := s[name]; !ok && !labels[name] && name != "otp:conversion:ratio_15m" {
			all = append(all, name)
		}
	}
	for _, m := range matcher.FindAllStringSubmatch(expr, -1) {
		for _, l := range match.FindAllStringSubmatch(m[2], -1) {
			if m[1] == "otp:conversion:ratio_15m" || strings.ContainsAny(l[3], "$.") {
				continue
			}
			for value := range strings.SplitSeq(l[3], "|") {
				if value != "" && !slices.Contains(s[m[1]][l[1]], value) {
					all = append(all, m[1]+"{"+l[1]+"="+value+"}")
				}
			}
		}
	}
	return all
}

// TestOpsNameRealMetrics: every metric, label and value that the alert rules and the
// dashboard name is on a real /metrics.
func TestOpsNameRealMetrics(t *testing.T) {
	t.Parallel()
	metrics := scrape(t)
	have := parse(metrics)
	alerts := read(t, "alerts.yml")
	exprs := slices.Clone(expressions.FindAllString(alerts, -1))
	rules := len(exprs)
	variables, panels := dashboard(t)
	exprs = append(append(exprs, variables...), panels...)
	if rules != 14 || len(exprs) < 30 {
		t.Errorf("%d rules, %d expressions", rules, len(exprs))
	}
	for _, expr := range exprs {
		for _, name := range have.unknown(expr) {
			t.Errorf("%s is on no /metrics: %s", name, strings.TrimSpace(expr))
		}
	}
	for _, wrong := range []string{"sum(otp_message_total)", `otp_messages_total{otp_states="sent"}`,
		`otp_messages_total{otp_state="send"}`, `sum by (otp_routes) (otp_messages_total)`} {
		if len(have.unknown(wrong)) == 0 {
			t.Errorf("nothing is unknown in %s", wrong)
		}
	}
	if t.Failed() {
		t.Log(metrics)
	}
}

// dashboard returns the queries of grafana.json: those of its variables, and of its
// panels.
func dashboard(t *testing.T) (variables, panels []string) {
	t.Helper()
	var d struct {
		Templating struct{ List []struct{ Query string } }
		Panels     []struct{ Targets []struct{ Expr string } }
	}
	must(t, json.Unmarshal([]byte(read(t, "grafana.json")), &d))
	for _, v := range d.Templating.List {
		variables = append(variables, v.Query)
	}
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			panels = append(panels, target.Expr)
		}
	}
	return variables, panels
}

// TestRealDashboard: promtool parses the expressions of the dashboard.
func TestRealDashboard(t *testing.T) {
	t.Parallel()
	_, panels := dashboard(t)
	type rule struct {
		Record string `json:"record"`
		Expr   string `json:"expr"`
	}
	type group struct {
		Name  string `json:"name"`
		Rules []rule `json:"rules"`
	}
	all := group{Name: "dashboard"}
	for i, expr := range panels {
		all.Rules = append(all.Rules, rule{fmt.Sprintf("panel:expr:%d", i), strings.ReplaceAll(expr, "$", "")})
	}
	check := func(g group) (string, error) {
		b, err := json.Marshal(map[string][]group{"groups": {g}}) // JSON is YAML
		must(t, err)
		file := filepath.Join(t.TempDir(), "dashboard.yml")
		must(t, os.WriteFile(file, b, 0o600))
		return promtool(t, "check", "rules", file)
	}
	if out, err := check(all); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	all.Rules = append(all.Rules, rule{"panel:expr:wrong", "sum by (otp_route) (rate(otp_messages_total[5m])"})
	if out, err := check(all); err == nil {
		t.Errorf("an expression that lacks a parenthesis is accepted: %s", out)
	}
}

// expressions finds the expressions of alerts.yml.
var expressions = regexp.MustCompile(`(?m)^        expr: (?:\|\n(?:          .*\n)+|.*\n)`)

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(ops, name))
	must(t, err)
	return string(b)
}

// promtool runs promtool, of Debian's package prometheus.
func promtool(t *testing.T, args ...string) (output string, err error) {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		reason := "promtool is not there (apt-get install prometheus): " + err.Error()
		if os.Getenv("OTPCOURIER_REAL") == "require" {
			t.Fatal(reason)
		}
		t.Skip(reason)
	}
	out, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput()
	return string(out), err
}

// TestRealAlerts: promtool accepts the rules, and their tests pass.
func TestRealAlerts(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"check", "rules", filepath.Join(ops, "alerts.yml")},
		{"test", "rules", filepath.Join(ops, "alerts_test.yml")}} {
		if out, err := promtool(t, args...); err != nil {
			t.Errorf("promtool %v: %v\n%s", args, err, out)
		}
	}
}

// TestRealAlertsAreTested: for each alert there is a test that notices if it never
// fires, and one that notices if it always does.
func TestRealAlertsAreTested(t *testing.T) {
	t.Parallel()
	alerts := read(t, "alerts.yml")
	names := regexp.MustCompile(`- alert: (\w+)`).FindAllStringSubmatch(alerts, -1)
	for mutant, expr := range map[string]string{"never": "vector(0) > 1", "always": "vector(1)"} {
		dir := t.TempDir()
		changed := expressions.ReplaceAllString(alerts, "        expr: "+expr+"\n")
		changed = regexp.MustCompile(`(?m)^        for: .*\n`).ReplaceAllString(changed, "")
		must(t, os.WriteFile(filepath.Join(dir, "alerts.yml"), []byte(changed), 0o600))
		must(t, os.WriteFile(filepath.Join(dir, "alerts_test.yml"), []byte(read(t, "alerts_test.yml")), 0o600))
		out, err := promtool(t, "test", "rules", filepath.Join(dir, "alerts_test.yml"))
		var failed *exec.ExitError
		if !errors.As(err, &failed) {
			t.Fatalf("%s: %v\n%s", mutant, err, out)
		}
		for _, name := range names {
			if !strings.Contains(out, "alertname: "+name[1]+",") && !strings.Contains(out, "alertname:"+name[1]+",") {
				t.Errorf("no test of %s fails if it %s fires", name[1], mutant)
			}
		}
	}
}
