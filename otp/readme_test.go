package otp_test

import (
	"os"
	"strings"
	"testing"
)

// README's code is the embedding Example's, so it compiles.
func TestREADME(t *testing.T) {
	t.Parallel()
	between := func(file, begin, end string) string {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, rest, found := strings.Cut(string(b), begin)
		code, _, closed := strings.Cut(rest, end)
		if !found || !closed {
			t.Fatalf("%s has no %q before %q", file, begin, end)
		}
		return strings.TrimSpace(code)
	}
	readme := "var receipts " + between("../README.md", "```go\nvar receipts", "```")
	example := strings.ReplaceAll(between("example_test.go", "// README begins\n", "// README ends"), "\n\t", "\n")
	if readme != example {
		t.Errorf("README shows\n%s\nand the Example is\n%s", readme, example)
	}
}
