package otp_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/otpcourier/otpcourier/channel"
)

// pages are the documentation pages with code, by the folder that has it as Examples.
var pages = map[string]string{"BRANDS.md": ".", "MIGRATING.md": ".", "PRODUCTION.md": ".",
	"../channel/WRITING.md": "../channel/channeltest",
	"../store/WRITING.md":   "../store"}

// TestPages: the Go code of each page is in a file of its package, so it compiles.
func TestPages(t *testing.T) {
	t.Parallel()
	block := regexp.MustCompile("(?s)```go\n(.*?)```")
	for page, dir := range pages {
		files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
		if err != nil || len(files) == 0 {
			t.Fatal(dir, err)
		}
		var code strings.Builder
		for _, f := range files {
			code.WriteString(leftAligned(readFile(t, f)))
		}
		blocks := block.FindAllStringSubmatch(readFile(t, page), -1)
		if len(blocks) == 0 {
			t.Errorf("%s has no code", page)
		}
		for _, b := range blocks {
			if !strings.Contains(code.String(), leftAligned(b[1])) {
				t.Errorf("%s: no test file of %s has\n%s", page, dir, b[1])
			}
		}
	}
}

// leftAligned is code without indentation.
func leftAligned(code string) string {
	return regexp.MustCompile(`(?m)^\t+`).ReplaceAllString(code, "")
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestErrorsPage: ERRORS.md has each reason with its status and text, and each class.
func TestErrorsPage(t *testing.T) {
	t.Parallel()
	page := readFile(t, "ERRORS.md")
	for reason, a := range answers {
		row := regexp.MustCompile("(?m)^\\| `" + string(reason) + "` \\| ([0-9]+) \\|").FindStringSubmatch(page)
		if row == nil || row[1] != strconv.Itoa(a.status) {
			t.Errorf("%s: row %q, want status %d", reason, row, a.status)
		}
	}
	for class := channel.Unknown; class.Valid(); class++ {
		if !strings.Contains(page, "| `"+class.String()+"` |") {
			t.Errorf("no row of class %s", class)
		}
	}
}
