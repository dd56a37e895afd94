// Package examples_test copies each example into a module of its own, as its README
// says, and runs it there.
package examples_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const library = "github.com/otpcourier/otpcourier"

// needs lists the programs without which an example does not run.
var needs = map[string]string{"cluster": "redis-server"}

// TestCopies: every example has a README with a command to run it and one to copy it,
// and an expected output. Its copy is built and run by the README's commands.
func TestCopies(t *testing.T) {
	t.Parallel()
	mains, err := filepath.Glob("*/main.go")
	if err != nil || len(mains) < 7 {
		t.Fatal(mains, err)
	}
	for _, main := range mains {
		example := filepath.Dir(main)
		t.Run(example, func(t *testing.T) {
			t.Parallel()
			readme := read(t, filepath.Join(example, "README.md"))
			if _, err := os.Stat(filepath.Join(example, "go.mod")); err != nil && // a module is run in its folder
				!strings.Contains(readme, "go run ./examples/"+example+"\n") &&
				!strings.Contains(readme, "go run ./examples/"+example+" ") {
				t.Error("the README has no command that runs it")
			}
			if program := needs[example]; program != "" {
				require(t, program)
			}
			_, rest, _ := strings.Cut(readme, "## Copy it\n\n```sh\n")
			steps, _, found := strings.Cut(rest, "```")
			if !found {
				t.Fatal("the README has no commands that copy it")
			}
			match(t, filepath.Join(example, "expected.txt"), run(t, offline(t, steps)))
		})
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// require skips the test without a program, and fails it under
// OTPCOURIER_REAL=require.
func require(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		if os.Getenv("OTPCOURIER_REAL") == "require" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
}

// offline has the library's modules taken from this folder, and from nowhere else. The
// sums of its dependencies are those of this module.
func offline(t *testing.T, steps string) string {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(steps, "\n")
	got := false
	for i, line := range lines {
		modules, ok := strings.CutPrefix(line, "go get ")
		if !ok || !strings.HasPrefix(modules, library) {
			continue
		}
		got = true
		lines[i] = "cat " + filepath.Join(root, "go.sum") + " >>go.sum"
		for module := range strings.FieldsSeq(modules) {
			module = strings.TrimSuffix(module, "@latest")
			lines[i] += " && go mod edit -replace=" + module + "=" + root + strings.TrimPrefix(module, library) +
				" -require=" + module + "@v0.0.0"
		}
	}
	if !got {
		t.Fatal("the steps get no module of the library")
	}
	return strings.Join(lines, "\n")
}

// run runs the steps in a shell at the root of this module, and returns what the
// last of them prints. The home directory is one of the test.
func run(t *testing.T, steps string) string {
	t.Helper()
	home := t.TempDir()
	steps, last, found := cutLast(strings.TrimSpace(steps))
	if !found {
		t.Fatalf("%q is one command", last)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	shell := exec.CommandContext(ctx, "sh", "-ec", steps+" >&2\n"+last)
	shell.Dir = ".."
	shell.Env = append(os.Environ(), "HOME="+home)
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOPATH", "GOENV"} {
		value, err := exec.CommandContext(ctx, "go", "env", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		shell.Env = append(shell.Env, name+"="+strings.TrimSpace(string(value)))
	}
	var failed strings.Builder
	shell.Stderr = &failed
	out, err := shell.Output()
	if err != nil {
		t.Fatalf("%v\n%s%s", err, &failed, out)
	}
	return string(out)
}

func cutLast(lines string) (before, last string, found bool) {
	i := strings.LastIndexByte(lines, '\n')
	if i < 0 {
		return "", lines, false
	}
	return lines[:i], lines[i+1:], true
}

// match compares as .ci/match does.
func match(t *testing.T, expected, actual string) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "actual.txt")
	if err := os.WriteFile(name, []byte(actual), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "../.ci/match", expected, name).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s\nthe output:\n%s", err, out, actual)
	}
}
