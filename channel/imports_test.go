package channel_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/otpcourier/otpcourier"

// mayImport lists, for each package of this module, the packages of it that it may
// import, tests aside: the rules of "The packages" in .github/ARCHITECTURE.md. A
// pattern that ends in "/..." stands for all below, too. The first line that fits
// counts. A package without a line is an error: its author decides here.
var mayImport = []struct {
	pkg  string
	ours []string
}{
	{"channel", nil},
	{"store", nil},
	{"channel/...", []string{"channel/..."}},
	{"smpp/smppserver", []string{"channel/...", "smpp", "smpp/internal/..."}},
	{"smpp/smpptest", []string{"channel/...", "smpp/..."}},
	{"smpp/...", []string{"channel/...", "smpp/internal/..."}},
	{"smtp/maildns", []string{"channel/...", "smtp/internal/..."}},
	{"smtp/smtptest", []string{"channel/...", "smtp/..."}},
	{"smtp/...", []string{"channel/...", "smtp/internal/..."}},
	{"gateway/gatewaytest", []string{"channel/...", "gateway/..."}},
	{"gateway/...", []string{"channel/...", "gateway/internal/..."}},
	{"store/internal/...", []string{"store"}},
	{"store/memstore/...", []string{"store", "store/internal/...", "store/memstore/..."}},
	{"store/redisstore/...", []string{"store", "store/internal/...", "store/redisstore/..."}},
	{"store/pgstore/...", []string{"store", "store/internal/...", "store/pgstore/..."}},
	{"store/storetest", []string{"store"}},
	{"otp", []string{"channel", "channel/phone", "store", "otp/wording", "otp/internal/..."}},
	{"otp/internal/delivery", []string{"channel"}},
	{"otp/internal/...", []string{"channel", "store", "otp/internal/..."}},
	{"otp/wording", []string{"channel/sms"}},
	{"otp/oath", []string{"otp"}},
	{"otp/guard/guardtest", []string{"channel/phone", "store", "otp"}},
	{"otp/guard", []string{"channel", "channel/phone", "store", "otp"}},
	{"otp/authenticator", []string{"channel", "channel/phone", "store", "otp", "otp/oath",
		"otp/authenticator/internal/..."}},
	{"otp/authenticator/internal/...", nil},
	{"otp/otphttp", []string{"channel", "store", "otp"}},
	{"otp/otptest", []string{"channel", "channel/...", "store", "store/memstore", "otp"}},
	{"otp/otptest/browsertest", nil},
	{"examples/...", []string{"..."}},
}

// onlyStandard lists the packages that import no other module than the standard
// library.
var onlyStandard = []string{"channel", "store", "otp/otphttp"}

// mustNotLink lists what a program that sends e-mail and keeps its state in
// memory does not link, neither directly nor through others.
var (
	smallProgram = []string{"otp", "channel/failover", "smtp", "store/memstore"}
	mustNotLink  = []string{
		"github.com/redis/", module + "/store/redisstore",
		"github.com/jackc/", module + "/store/pgstore",
		"github.com/ajankovic/smpp", module + "/smpp",
		"github.com/boombuler/barcode",
		"go.opentelemetry.io/",
		"testing",
	}
)

// TestImports keeps the rooms of this module apart: who needs one of them does
// not get the others.
func TestImports(t *testing.T) {
	t.Parallel()
	for _, v := range violations(listImports(t)) {
		t.Error(v)
	}
}

// TestImportRules shows that the rules catch a wrong edge.
func TestImportRules(t *testing.T) {
	t.Parallel()
	ours := func(p string) string { return module + "/" + p }
	for _, row := range []struct{ from, to, want string }{
		{ours("channel"), "context", ""},
		{ours("channel"), "golang.org/x/text/language", "only the standard library"},
		{ours("channel"), ours("store"), "must not import"},
		{ours("store"), ours("store/memstore"), "must not import"},
		{ours("channel/failover"), ours("channel"), ""},
		{ours("channel/failover"), "github.com/sony/gobreaker/v2", ""},
		{ours("channel/failover"), ours("store"), "must not import"},
		{ours("channel/failover"), ours("smpp"), "must not import"},
		{ours("smpp"), ours("channel/sms"), ""},
		{ours("smpp"), ours("smpp/internal/wire"), ""},
		{ours("smpp"), ours("smtp"), "must not import"},
		{ours("smpp"), ours("smpp/smppserver"), "must not import"},
		{ours("smpp/smppserver"), ours("smpp"), ""},
		{ours("smtp/maildns"), ours("smtp"), "must not import"},
		{ours("gateway/provider"), ours("gateway/smsgate"), "must not import"},
		{ours("gateway/provider"), ours("gateway/internal/web"), ""},
		{ours("otp/internal/delivery"), ours("store"), "must not import"},
		{ours("store/pgstore"), ours("store/redisstore"), "must not import"},
		{ours("smpp/smpptest"), ours("smpp"), ""},
		{ours("smpp"), ours("smpp/smpptest"), "only tests and examples"},
		{ours("smtp/smtptest"), ours("channel/channeltest"), "only tests and examples"},
		{ours("gateway"), ours("otp"), "must not import"},
		{ours("store/redisstore"), ours("store/memstore"), "must not import"},
		{ours("store/memstore"), ours("store/storetest"), "only tests and examples"},
		{ours("otp"), ours("otp/wording"), ""},
		{ours("otp"), ours("channel/failover"), "must not import"},
		{ours("otp/wording"), ours("channel/sms"), ""},
		{ours("otp/wording"), ours("otp"), "must not import"},
		{ours("otp/guard"), ours("otp"), ""},
		{ours("otp/otphttp"), ours("otp"), ""},
		{ours("otp/otphttp"), ours("store/memstore"), "must not import"},
		{ours("otp/otphttp"), "golang.org/x/text/language", "only the standard library"},
		{ours("otp/guard"), ours("store/memstore"), "must not import"},
		{ours("examples/quickstart"), ours("smpp/smpptest"), ""},
		{ours("examples/quickstart"), ours("otp"), ""},
		{ours("util"), "context", "no rule"},
		{module, "context", "no rule"},
		{ours("smtp"), "go.opentelemetry.io/otel/metric", "must not link"},
		{ours("store/memstore"), "github.com/redis/go-redis/v9", "must not link"},
		{ours("store/memstore"), "github.com/jackc/pgx/v5", "must not link"},
		{ours("otp"), ours("store/pgstore"), "must not"},
		{ours("store/pgstore"), "github.com/jackc/pgx/v5", ""},
		{ours("otp"), "testing", "must not link"},
		{ours("smpp"), "github.com/ajankovic/smpp/pdu", ""},
	} {
		got := violations(map[string][]string{row.from: {row.to}, row.to: nil})
		if row.want == "" && len(got) > 0 || row.want != "" && !strings.Contains(strings.Join(got, "\n"), row.want) {
			t.Errorf("%s → %s: %q, want %q", row.from, row.to, got, row.want)
		}
	}
	// Linked through others.
	got := violations(map[string][]string{ours("smtp"): {"example.com/a"}, "example.com/a": {"example.com/b"},
		"example.com/b": {"github.com/redis/go-redis/v9"}})
	if want := module + "/smtp → example.com/a → example.com/b → github.com/redis/go-redis/v9"; len(got) != 1 ||
		!strings.Contains(got[0], want) {
		t.Errorf("got %q, want the way %q", got, want)
	}
}

// violations returns what is wrong with a graph of imports, sorted.
func violations(graph map[string][]string) []string {
	var all []string
	for _, from := range slices.Sorted(maps.Keys(graph)) {
		if from != module && !strings.HasPrefix(from, module+"/") {
			continue
		}
		all = append(all, wrongImports(from, graph[from])...)
	}
	for _, root := range smallProgram {
		all = append(all, wrongLinks(graph, []string{module + "/" + root}, map[string]bool{})...)
	}
	return all
}

func wrongImports(from string, imports []string) (all []string) {
	pkg := relative(from)
	rule := slices.IndexFunc(mayImport, func(r struct {
		pkg  string
		ours []string
	}) bool {
		return fits(pkg, r.pkg)
	})
	if rule < 0 {
		return []string{fmt.Sprintf("%s: there is no rule for this package", from)}
	}
	for _, to := range imports {
		imported := relative(to)
		switch {
		case imported == "":
			if slices.Contains(onlyStandard, pkg) && !standard(to) {
				all = append(all, fmt.Sprintf("%s imports %s, but only the standard library is allowed", from, to))
			}
		case strings.HasSuffix(imported, "test") && !strings.HasPrefix(pkg, "examples/"):
			all = append(all, fmt.Sprintf("%s imports %s, which only tests and examples may", from, to))
		case !slices.ContainsFunc(mayImport[rule].ours, func(pattern string) bool { return fits(imported, pattern) }):
			all = append(all, fmt.Sprintf("%s must not import %s", from, to))
		}
	}
	return all
}

// wrongLinks follows the imports of way's last package, and returns the ways
// that end where they must not.
func wrongLinks(graph map[string][]string, way []string, seen map[string]bool) (all []string) {
	for _, to := range graph[way[len(way)-1]] {
		if seen[to] {
			continue
		}
		seen[to] = true
		longer := append(slices.Clone(way), to)
		if slices.ContainsFunc(mustNotLink, func(bad string) bool {
			return to == bad || strings.HasPrefix(to, strings.TrimSuffix(bad, "/")+"/")
		}) {
			all = append(all, "a small program must not link "+to+": "+strings.Join(longer, " → "))
			continue
		}
		all = append(all, wrongLinks(graph, longer, seen)...)
	}
	return all
}

// relative returns a package's path in this module, "" for others'.
func relative(path string) string {
	if path == module {
		return "."
	}
	inner, ours := strings.CutPrefix(path, module+"/")
	if !ours {
		return ""
	}
	return inner
}

func fits(pkg, pattern string) bool {
	if pattern == "..." {
		return true
	}
	root, below := strings.CutSuffix(pattern, "/...")
	return pkg == root || below && strings.HasPrefix(pkg, root+"/")
}

func standard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}

// listImports returns what every package of this module and of what it needs
// imports, tests aside.
func listImports(t *testing.T) map[string][]string {
	t.Helper()
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=ImportPath,Imports", "./...")
	list.Dir = moduleRoot(t)
	packages := json.NewDecoder(bytes.NewReader(output(t, list)))
	graph := map[string][]string{}
	for {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := packages.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		graph[p.ImportPath] = p.Imports
	}
	if _, ok := graph[module+"/channel"]; !ok {
		t.Fatalf("go list knows no %s/channel", module)
	}
	return graph
}

func output(t *testing.T, cmd *exec.Cmd) []byte {
	t.Helper()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, stderr.Bytes())
	}
	return out
}
