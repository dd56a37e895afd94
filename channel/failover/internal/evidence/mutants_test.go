package evidence

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// mutants break one rule each. They replace the first text by the second in a file.
var mutants = []struct{ name, file, from, to string }{
	{"evidence does not fade", "cell.go", "func (c *Cell) decay(slots int64, p *Params) {\n",
		"func (c *Cell) decay(slots int64, p *Params) {\n\tif c.doubt == 0 {\n\t\treturn\n\t}\n"},
	{"a doubt does not fade", "cell.go", "c.doubt *= f.relief", "c.doubt *= 1"},
	{"the doubt has no floor", "cell.go", "return min(max(s, 0), p.Surest-c.floor)", "return min(s, p.Surest-c.floor)"},
	{"a busy cell alarms as early", "cell.go",
		"c.floor = min(max(math.Log(pause/p.Fails.Seconds()), p.Floor), p.Ceiling)",
		"_, c.floor = pause, p.Ceiling"},
	{"silence tells nothing", "cell.go", "s += q.ratio + max(q.open, 0)*silence", "s += q.ratio + 0*silence"},
	{"lacking receipts tell nothing", "cell.go", "+ max(q.mute, 0)*muteness", "+ 0*muteness"},
	{"lacking receipts tell something of a route without any", "cell.go", "if told > p.Reports {",
		"if told = max(told, 0.9); told > p.Reports {"},
	{"a loss is what the route usually does", "cell.go", "\t\treturn 0\n\t}\n\treturn 1",
		"\t\treturn 1\n\t}\n\treturn 1"},
	{"a lasting loss never is", "cell.go", "longest = 2 * time.Hour", "longest = 2000 * time.Hour"},
	{"a resend tells nothing", "estimator.go", "e.ended(now, in, route, sent, e.p.Resent)", "_ = sent"},
	{"a failed receipt tells nothing", "estimator.go", "e.ended(now, in, route, sent, e.p.Failed)", "_ = sent"},
	{"an error tells nothing", "estimator.go", "q.errors+1, q.ratio+e.p.Error", "q.errors+1, q.ratio"},
	{"a delivery receipt speaks for the route", "estimator.go", "q.mute, q.got = q.mute-1, q.got+1",
		"q.mute, q.got, q.ratio = q.mute-1, q.got+1, q.ratio-1"},
	{"a verification does not speak for the route", "estimator.go", "q.ratio += part * math.Log(e.p.Loses)",
		"q.ratio += 0 * part * math.Log(e.p.Loses)"},
	{"other countries tell nothing of a loss", "order.go", "c.loss = max(c.loss, all.lossAt(at, &e.p))", "_ = all"},
	{"other countries tell nothing of a route", "estimator.go", "if ratio, ok := e.ratios[route]; ok {",
		"if ratio, ok := e.ratios[route]; ok && false {"},
	{"countries are held to one share", "estimator.go", "r.mean = good / tried", "_, _, r.mean = good, tried, e.mean"},
	{"regions without end", "estimator.go", "if r == nil && len(e.regions) < maxRegions {", "if r == nil {"},
	{"routes without end", "estimator.go", "if c == nil && len(r.cells) < MaxRoutes {", "if c == nil {"},
	{"no hysteresis", "order.go", "math.Abs(exact-c.shown) > e.p.Band", "true"},
	{"no margin", "order.go", "<= cells[order[k]].shown+e.p.Margin {", "<= cells[order[k]].shown {"},
	{"prices are of no account", "order.go", "exact := c.usual*(1-c.loss) - c.price",
		"exact := c.usual * (1 - c.loss)"},
	{"kinds change places", "order.go", "if q.Routes[order[k]].Address == q.Routes[order[j]].Address {",
		"if true {"},
	{"a route in doubt is not probed", "order.go", "if draw < e.p.Probe {", "if draw < 0 {"},
	{"a Delta is exchanged twice", "share.go", "\tdelete(e.deltas, region)\n", ""},
	{"a Delta that failed is forgotten", "share.go", "func(own *Cell) { own.join(c) }", "func(*Cell) { _ = c }"},
	{"a value of another time is read", "share.go", "c.head > slot+ahead", "false"},
	{"values of two processes may be the same", "share.go", "binary.AppendUvarint([]byte{layout}, mark)",
		"binary.AppendUvarint([]byte{layout}, 0*mark)"},
	{"a value is too long", "share.go", "if len(b) <= limit || len(cells) == 0 {", "if true {"},
}

// TestEachMutantIsCaught holds each mutant to the code that it changes. To run the tests on
// each takes minutes:
//
//	OTPCOURIER_MUTANTS=1 go test -v -timeout 1h -run Mutant ./channel/failover/internal/evidence
func TestEachMutantIsCaught(t *testing.T) {
	run := os.Getenv("OTPCOURIER_MUTANTS") != ""
	for _, m := range mutants {
		b, err := os.ReadFile(m.file)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(b), m.from); n != 1 {
			t.Errorf("%s: %d places in %s", m.name, n, m.file)
			continue
		}
		if run && !caught(t, m.file, strings.Replace(string(b), m.from, m.to, 1)) {
			t.Errorf("%s: not caught", m.name)
		}
	}
}

// caught reports whether the tests of the rules fail with a file replaced.
func caught(t *testing.T, file, text string) bool {
	t.Helper()
	dir := t.TempDir()
	original, err := filepath.Abs(file)
	if err != nil {
		t.Fatal(err)
	}
	mutated, overlay := filepath.Join(dir, "mutant.go"), filepath.Join(dir, "overlay.json")
	list, err := json.Marshal(map[string]any{"Replace": map[string]string{original: mutated}})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{mutated: text, overlay: string(list)} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "go", "test", "-vet=off", "-overlay", overlay, "-timeout", "60s", "-run",
		"Rules|Hysteresis|Bounds|Exchange|Mark|Return|Damaged", ".")
	out, err := cmd.CombinedOutput()
	if strings.Contains(string(out), "build failed") {
		t.Errorf("a mutant that is none:\n%s", out)
	}
	return err != nil
}
