package otp_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestWalk logs what a reader of the code passes on the way of a code: the functions of otp and of
// otp/internal that each operation enters, the calls of them, and how often the next call is in
// another file. It runs a program on memstore, with a failover of two fakes, in which each function
// says that it was entered. OTPCOURIER_WALK=Send prints the way of that operation.
//
// Before delivery became level-triggered (see otp/internal/delivery) it logged, as functions/changes:
// Send 79/83, Send, Async 86/97, receipt 38/34, Verify 37/19.
func TestWalk(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a program")
	}
	t.Parallel()
	for _, w := range walk(t) {
		t.Logf("%-12s %3d functions, %3d calls, %3d changes of file",
			w.operation, len(w.functions()), len(w.calls), w.changes())
		if w.operation == os.Getenv("OTPCOURIER_WALK") {
			t.Log(strings.Join(w.calls, "\n"))
		}
		if w.functions() == nil {
			t.Errorf("%s enters nothing", w.operation)
		}
	}
}

// A walked is the way of one operation: "file.go function".
type walked struct {
	operation string
	calls     []string
}

func (w *walked) functions() []string { return slices.Compact(slices.Sorted(slices.Values(w.calls))) }

func (w *walked) changes() (n int) {
	before := ""
	for i, c := range w.calls {
		file, _, _ := strings.Cut(c, " ")
		if i > 0 && file != before {
			n++
		}
		before = file
	}
	return n
}

const (
	walkModule = "github.com/otpcourier/otpcourier/"
	walkTrace  = "otp/internal/walktrace"
	walkMain   = "otp/internal/walkmain"
)

// walk builds and runs the program. Nothing of it is written into the module: it is an overlay.
func walk(t *testing.T) (all []*walked) {
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	dir, replace := t.TempDir(), map[string]string{}
	put := func(path string, content []byte) {
		own := filepath.Join(dir, strconv.Itoa(len(replace))+".go")
		replace[filepath.Join(root, path)] = own
		if err := os.WriteFile(own, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, pattern := range []string{"otp/*.go", "otp/internal/*/*.go"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if path, _ := filepath.Rel(root, file); !strings.HasSuffix(path, "_test.go") {
				put(path, traced(t, root, path))
			}
		}
	}
	put(walkTrace+"/trace.go", []byte(walkTraceSource))
	put(walkMain+"/main.go", []byte(walkMainSource))
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(name, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "run", "-overlay", name, "./"+walkMain)
	var stderr bytes.Buffer
	cmd.Dir, cmd.Stderr = root, &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.Bytes())
	}
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSuffix(line, "\n")
		if operation, ok := strings.CutPrefix(line, "# "); ok {
			all = append(all, &walked{operation: operation})
			continue
		}
		w := all[len(all)-1]
		w.calls = append(w.calls, line)
	}
	return all
}

// traced returns the source of a file whose functions say that they were entered.
func traced(t *testing.T, root, path string) []byte {
	source, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, path, source, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	done := 0
	insert := func(at token.Pos, text string) {
		offset := set.Position(at).Offset
		b.Write(source[done:offset])
		b.WriteString(text)
		done = offset
	}
	insert(f.Name.End(), "; import _walk "+strconv.Quote(walkModule+walkTrace))
	for _, d := range f.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Body != nil {
			name := fn.Name.Name
			if fn.Recv != nil {
				name = typeName(fn.Recv.List[0].Type) + "." + name
			}
			insert(fn.Body.Lbrace+1, fmt.Sprintf("_walk.Enter(%q);", path+" "+name))
		}
	}
	b.Write(source[done:])
	b.WriteString("\nvar _ = _walk.Enter\n")
	return b.Bytes()
}

func typeName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return "*" + typeName(e.X)
	case *ast.IndexExpr:
		return typeName(e.X)
	case *ast.Ident:
		return e.Name
	}
	return "?"
}

const walkTraceSource = `package walktrace

import (
	"fmt"
	"sync"
)

var (
	mu  sync.Mutex
	log []string
)

func Enter(s string) {
	mu.Lock()
	log = append(log, s)
	mu.Unlock()
}

func Print(operation string) {
	mu.Lock()
	fmt.Println("#", operation)
	for _, s := range log {
		fmt.Println(s)
	}
	log = nil
	mu.Unlock()
}

func Forget() {
	mu.Lock()
	log = nil
	mu.Unlock()
}
`

const walkMainSource = `package main

import (
	"context"
	"net/netip"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/channeltest"
	"github.com/otpcourier/otpcourier/channel/failover"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/internal/walktrace"
	"github.com/otpcourier/otpcourier/otp/wording"
	"github.com/otpcourier/otpcourier/store/memstore"
)

type rig struct {
	svc  *otp.Service
	a    *channeltest.Fake
	rc   channel.Receipts
	sent chan bool
}

func start(async bool) *rig {
	r := &rig{a: &channeltest.Fake{Name: "a"}, sent: make(chan bool, 10)}
	f, err := failover.New(failover.Config{Router: failover.List(
		channel.Route{Name: "a", Channel: r.a, Address: channel.Phone, Await: time.Minute},
		channel.Route{Name: "b", Channel: &channeltest.Fake{Name: "b"}, Address: channel.Email})})
	must(err)
	r.svc, err = otp.New(otp.Config{Channel: f, Store: memstore.New(memstore.Config{}), Keys: otp.NewKeyring(),
		Async: async, Wording: wording.Config{Brand: "MyBank"}, Receipts: &r.rc,
		Events: func(context.Context, otp.Event) {}})
	must(err)
	walktrace.Forget()
	return r
}

func (r *rig) send() *otp.Challenge {
	c, err := r.svc.Send(context.Background(), otp.Request{Subject: "ann", Purpose: "login", IdempotencyKey: "k",
		IP: netip.MustParseAddr("192.0.2.1"), To: channel.Recipient{Phone: "+447912345678", Email: "ann@example.com"}})
	must(err)
	return c
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	r := start(false)
	c := r.send()
	walktrace.Print("Send")
	must(r.rc.For("a")(context.Background(), channel.Receipt{ProviderID: "a-1", State: channel.Failed}))
	walktrace.Print("receipt")
	_, err := r.svc.Verify(context.Background(), otp.Verification{ID: c.ID, Subject: "ann", Purpose: "login",
		Code: r.a.Accepted()[0].Code})
	must(err)
	walktrace.Print("Verify")

	r = start(true)
	r.send()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- r.svc.Work(ctx) }()
	for len(r.a.Accepted()) == 0 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	<-done
	walktrace.Print("Send, Async")
}
`
