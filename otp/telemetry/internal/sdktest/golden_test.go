package sdktest

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		must(t, os.WriteFile(path, []byte(got), 0o600))
		return
	}
	want, err := os.ReadFile(path)
	must(t, err)
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; -update rewrites it):\n%s", path, diff)
	}
}

// TestGolden: what a fixed history of codes leaves behind in metrics, spans and logs.
func TestGolden(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil, time.Sleep, nil)
		r.live(t)
		golden(t, "metrics.golden", metricLines(r.collect(t)))
		golden(t, "spans.golden", spanLines(r.spans.GetSpans()))
		for line := range strings.Lines(r.log.String()) {
			if strings.Contains(line, "kind=receipt") { // in the context of the provider's call
				continue
			}
			if !strings.Contains(line, " trace_id=") || !strings.Contains(line, " span_id=") {
				t.Errorf("no trace in %s", line)
			}
		}
	})
}

// metricLines writes each series on a line, sorted.
func metricLines(all metricdata.ResourceMetrics) string {
	var lines []string
	eachPoint(all, func(m metricdata.Metrics, set attribute.Set, value string) {
		lines = append(lines, fmt.Sprintf("%s [%s] {%s} %s", m.Name, m.Unit, labels(set.ToSlice()), value))
	})
	slices.Sort(lines)
	return strings.Join(lines, "\n") + "\n"
}

// eachPoint calls f for each series.
func eachPoint(all metricdata.ResourceMetrics, f func(m metricdata.Metrics, set attribute.Set, value string)) {
	for _, s := range all.ScopeMetrics {
		for _, m := range s.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					f(m, p.Attributes, fmt.Sprint(p.Value))
				}
			case metricdata.Sum[float64]:
				for _, p := range data.DataPoints {
					f(m, p.Attributes, fmt.Sprintf("%.3f", p.Value))
				}
			case metricdata.Gauge[float64]:
				for _, p := range data.DataPoints {
					f(m, p.Attributes, fmt.Sprintf("%.3f", p.Value))
				}
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					f(m, p.Attributes, fmt.Sprintf("%d of %.3f", p.Count, p.Sum))
				}
			default:
				panic(fmt.Sprintf("%s is a %T", m.Name, data))
			}
		}
	}
}

func labels(attrs []attribute.KeyValue) string {
	var all []string
	for _, a := range attrs {
		all = append(all, fmt.Sprintf("%s=%s", a.Key, a.Value.String()))
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

var (
	challengeIDs = regexp.MustCompile(`\b[a-z2-7]{26}\b`)
	stepNames    = regexp.MustCompile(`ID\.[0-9]+-[^ ]+`)
)

// spanLines writes each span on a line, in the order of their ends, with the name of
// its parent and of the span that it has a link to.
func spanLines(spans tracetest.SpanStubs) string {
	names := map[string]string{}
	for _, s := range spans {
		names[s.SpanContext.SpanID().String()] = s.Name
	}
	var b strings.Builder
	for _, s := range spans {
		fmt.Fprintf(&b, "%s %s", s.Name, s.SpanKind)
		if s.Parent.IsValid() {
			fmt.Fprintf(&b, " in %s", names[s.Parent.SpanID().String()])
		}
		for _, l := range s.Links {
			fmt.Fprintf(&b, " of %s", names[l.SpanContext.SpanID().String()])
		}
		text := challengeIDs.ReplaceAllString(labels(s.Attributes), "ID")
		fmt.Fprintf(&b, " {%s}", stepNames.ReplaceAllString(text, "ID.STEP"))
		fmt.Fprintf(&b, " %s %s\n", s.Status.Code, s.Status.Description)
	}
	return b.String()
}
