package console_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The first program of the README is built and run: the test types the code
// that it prints.
func TestREADME(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(readme), "```go\npackage main\n")
	program, _, found := strings.Cut(rest, "```")
	if !found {
		t.Fatal("the README has no program")
	}
	dir := t.TempDir()
	source, binary := filepath.Join(dir, "main.go"), filepath.Join(dir, "hello")
	if err := os.WriteFile(source, []byte("package main\n"+program), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, source).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for name, c := range map[string]struct {
		typed func(code string) string
		want  string
	}{
		"right": {func(code string) string { return code }, "welcome, ann"},
		"wrong": {func(code string) string { return code[1:] + string('0'+(code[0]-'0'+1)%10) }, "invalid or expired"},
	} {
		if got := hello(t, binary, c.typed); !strings.Contains(got, c.want) {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
}

// hello runs the program, types a code that depends on the one it prints, and
// returns what it says then.
func hello(t *testing.T, binary string, typed func(code string) string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stdout strings.Builder
	cmd.Stdout = &stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var says strings.Builder
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		if code, found := strings.CutPrefix(lines.Text(), "code"); found {
			fmt.Fprintln(stdin, typed(strings.TrimSpace(code)))
			continue
		}
		says.WriteString(lines.Text() + "\n")
	}
	_ = cmd.Wait() // a wrong code ends the program with an error
	return stdout.String() + says.String()
}
