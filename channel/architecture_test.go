package channel_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var updateArchitecture = flag.Bool("update-architecture", false,
	"rewrite the table of packages in .github/ARCHITECTURE.md")

const (
	architecture  = ".github/ARCHITECTURE.md"
	beginsImports = "<!-- imports: TestArchitecture compares this table with go list -->\n" +
		"| package | imports | purpose |\n|---|---|---|\n"
	endsImports = "<!-- end of imports -->"
)

// TestArchitecture holds the table of packages in ARCHITECTURE.md against the
// code: a new package, and a new import, is a decision that the page shows. After
// one, run go test ./channel -run Architecture -update-architecture.
func TestArchitecture(t *testing.T) {
	t.Parallel()
	root := moduleRoot(t)
	path := filepath.Join(root, architecture)
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(page), beginsImports)
	table, after, ended := strings.Cut(rest, endsImports)
	if !found || !ended {
		t.Fatalf("%s has no table of packages", architecture)
	}
	want := packageTable(t, root)
	if *updateArchitecture {
		if err := os.WriteFile(path, []byte(before+beginsImports+want+endsImports+after), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, table); diff != "" {
		t.Errorf("%s differs from go list (-code +page); with -update-architecture this test rewrites it:\n%s",
			architecture, diff)
	}
}

// TestArchitectureFiles: each file that the page names exists.
func TestArchitectureFiles(t *testing.T) {
	t.Parallel()
	root := moduleRoot(t)
	page, err := os.ReadFile(filepath.Join(root, architecture))
	if err != nil {
		t.Fatal(err)
	}
	named := 0
	files := regexp.MustCompile("`([a-z0-9_./]+/[a-z0-9_.]+\\.(?:go|json|golden))`")
	for _, m := range files.FindAllStringSubmatch(string(page), -1) {
		named++
		if _, err := os.Stat(filepath.Join(root, m[1])); err != nil {
			t.Errorf("the page names %s: %v", m[1], err)
		}
	}
	if named < 20 {
		t.Errorf("the page names %d files", named)
	}
}

// packageTable lists the packages of this module, what they import of it, tests
// aside, and the first sentence of their page.
func packageTable(t *testing.T, root string) string {
	t.Helper()
	list := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,Doc,GoFiles", "./...")
	list.Dir = root
	packages := json.NewDecoder(strings.NewReader(string(output(t, list))))
	var rows []string
	for {
		var p struct {
			ImportPath, Doc  string
			Imports, GoFiles []string
		}
		if err := packages.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if len(p.GoFiles) == 0 {
			continue
		}
		var ours []string
		for _, i := range p.Imports {
			if r := relative(i); r != "" {
				ours = append(ours, "`"+r+"`")
			}
		}
		rows = append(rows, fmt.Sprintf("| `%s` | %s | %s |\n", relative(p.ImportPath), strings.Join(ours, ", "),
			purpose(p.Doc)))
	}
	slices.Sort(rows)
	return strings.Join(rows, "")
}

// purpose is the first sentence of a package's page, without "Package x".
func purpose(doc string) string {
	words := strings.Fields(doc)
	if len(words) > 2 && words[0] == "Package" {
		words = words[2:]
	}
	text := strings.ReplaceAll(strings.Join(words, " "), "|", "/")
	if end := regexp.MustCompile(`[^.]\. `).FindStringIndex(text); end != nil {
		text = text[:end[0]+1]
	}
	return strings.TrimSuffix(text, ".")
}

func moduleRoot(t *testing.T) string {
	t.Helper()
	gomod := output(t, exec.CommandContext(t.Context(), "go", "env", "GOMOD"))
	return filepath.Dir(strings.TrimSpace(string(gomod)))
}
