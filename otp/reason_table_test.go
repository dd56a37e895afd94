package otp_test

import (
	"os"
	"strings"
	"testing"

	"github.com/otpcourier/otpcourier/otp"
)

// TestReasonTable: every Reason has a row in the table of its comment, and an answer
// in the Example.
func TestReasonTable(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("errors.go")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(source), "//\treason ")
	table, _, _ = strings.Cut(table, "const (")
	all := otp.Reasons()
	if len(all) != len(answers) || len(all) < 15 {
		t.Errorf("%d reasons, %d answers", len(all), len(answers))
	}
	for _, r := range all {
		if !strings.Contains(table, string(r)) {
			t.Errorf("the table lacks %q", r)
		}
		a, ok := answers[r]
		if !ok || a.status < 400 || a.show(&otp.Error{Reason: r, Field: "To", Support: "us"}) == "" {
			t.Errorf("the Example has no answer to %q", r)
		}
	}
}
