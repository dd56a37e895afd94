package otphttp_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/otphttp"
)

var calls = []otphttp.Call{otphttp.Create, otphttp.Status, otphttp.Resend, otphttp.Check, otphttp.Cancel}

// a row is one of the tables on the package page.
type row struct {
	status  int
	reason  string
	members []string
	title   string
}

// tables reads the two tables of problems.
func tables(t *testing.T) (all, named map[otp.Reason]row) {
	t.Helper()
	page := strings.ReplaceAll(read(t, "doc.go"), "\n//\t           ", "    ") // long names have a line to themselves
	_, page, _ = strings.Cut(page, "//\terror ")
	first, second, found := strings.Cut(page, "All calls but check")
	if !found {
		t.Fatal("doc.go has no second table")
	}
	return parseTable(t, first), parseTable(t, second)
}

func parseTable(t *testing.T, text string) map[otp.Reason]row {
	t.Helper()
	rows := map[otp.Reason]row{}
	for _, m := range regexp.MustCompile(`(?m)^//\t(\w+) +(\d{3}) +(\w+)(?:  +([a-z][a-z_, ]*?))?  +([A-Z].*)$`).
		FindAllStringSubmatch(text, -1) {
		status, err := strconv.Atoi(m[2])
		if err != nil {
			t.Fatal(err)
		}
		r := row{status: status, reason: m[3], title: m[5]}
		if m[4] != "" {
			r.members = strings.Split(m[4], ", ")
		}
		rows[otp.Reason(m[1])] = r
	}
	return rows
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// reasons returns every otp.Reason with the status that the table of its comment has.
func reasons(t *testing.T) map[otp.Reason]int {
	t.Helper()
	source := read(t, "../errors.go")
	statuses := map[otp.Reason]int{}
	for _, m := range regexp.MustCompile(`Reason = "(\w+)"`).FindAllStringSubmatch(source, -1) {
		statuses[otp.Reason(m[1])] = 0
	}
	status := 0 // of the row, whose names may take two lines
	for line := range strings.Lines(source) {
		line, isTable := strings.CutPrefix(line, "//\t")
		if !isTable {
			continue
		}
		names, rest, isRow := strings.Cut(line, " Err")
		if m := regexp.MustCompile(` (\d{3}) `).FindString(rest); isRow && m != "" {
			status, _ = strconv.Atoi(strings.TrimSpace(m))
		}
		for name := range strings.FieldsFuncSeq(names, func(r rune) bool { return strings.ContainsRune(", \n", r) }) {
			if _, ok := statuses[otp.Reason(name)]; ok {
				statuses[otp.Reason(name)] = status
			}
		}
	}
	return statuses
}

// full is an error with everything that the Service could tell.
func full(r otp.Reason) *otp.Error {
	return &otp.Error{Reason: r, Field: "To.Phone", AttemptsLeft: 3, RetryAfter: 1500 * time.Millisecond,
		Alternatives: channel.Email | channel.Chat, Support: "+44 20 7946 0000", Err: errors.New("why")}
}

// Each Reason has a row, with the status that package otp documents for it, and each
// call answers by the row.
func TestEveryReason(t *testing.T) {
	t.Parallel()
	documented := reasons(t)
	all, named := tables(t)
	if len(documented) < 17 || len(all) != len(documented) || len(named) != 3 {
		t.Fatalf("%d reasons, tables of %d and %d rows: %v", len(documented), len(all), len(named), all)
	}
	for reason, status := range documented {
		want, ok := all[reason]
		if !ok || want.status != status {
			t.Errorf("%s: the table has %+v, package otp %d", reason, want, status)
		}
		for _, call := range calls {
			want := want
			if other, ok := named[reason]; ok && call != otphttp.Check {
				want = other
			}
			t.Run(string(call)+" "+string(reason), func(t *testing.T) { wantProblem(t, call, reason, want) })
		}
	}
}

func wantProblem(t *testing.T, call otphttp.Call, reason otp.Reason, want row) {
	w := httptest.NewRecorder()
	otphttp.ProblemOf(call, full(reason)).Write(w)
	var got map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if w.Code != want.status || got["status"] != float64(want.status) || got["reason"] != want.reason ||
		got["title"] != want.title || got["type"] != otphttp.TypeBase+want.reason {
		t.Errorf("got %d %v, want %+v", w.Code, got, want)
	}
	if ct := w.Header().Get("Content-Type"); ct != "application/problem+json" {
		t.Errorf("got Content-Type %q", ct)
	}
	if after := w.Header().Get("Retry-After"); after != "" && got["retry_after"] != atof(after) || after == "1" {
		t.Errorf("got Retry-After %q, retry_after %v", after, got["retry_after"])
	}
	allowed := append(want.members, "retry_after", "alternatives", "support") // which full sets for all
	for member := range maps.Keys(got) {
		if !slices.Contains(append(allowed, "type", "title", "status", "reason"), member) {
			t.Errorf("%q is not in the table", member)
		}
	}
	for _, member := range want.members {
		if _, ok := got[member]; !ok && member != "verification" {
			t.Errorf("%q is missing", member)
		}
	}
}

func atof(s string) float64 {
	f, _ := strconv.ParseFloat(s, 64)
	return f
}

// To the outside, the reasons of ErrInvalidCode are one answer.
func TestInvalidCodesAreOne(t *testing.T) {
	t.Parallel()
	answer := func(r otp.Reason) string {
		w := httptest.NewRecorder()
		otphttp.ProblemOf(otphttp.Check, &otp.Error{Reason: r}).Write(w)
		return w.Body.String()
	}
	want := answer(otp.ReasonNotFound)
	for _, r := range []otp.Reason{otp.ReasonExpired, otp.ReasonClosed, otp.ReasonMalformed} {
		if diff := cmp.Diff(want, answer(r)); diff != "" {
			t.Errorf("%s differs from not_found: %s", r, diff)
		}
	}
}

// Another package's error is not shown.
func TestForeignError(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	otphttp.ProblemOf(otphttp.Create, errors.New("dial 10.0.0.7: refused")).Write(w)
	if w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "10.0.0.7") {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

// Each Field of an otp.Error is a part of a request.
func TestFields(t *testing.T) {
	t.Parallel()
	sources, err := filepath.Glob("../*.go")
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, path := range sources {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		for _, m := range regexp.MustCompile(`(?:invalid\(|Field: )"([A-Z][A-Za-z.]*)"`).
			FindAllStringSubmatch(read(t, path), -1) {
			names[m[1]] = true
		}
	}
	delete(names, "Tenant") // of Authenticate
	if len(names) < 12 {
		t.Fatalf("only %d fields were found", len(names))
	}
	for name := range names {
		p := otphttp.ProblemOf(otphttp.Create, &otp.Error{Reason: otp.ReasonInvalid, Field: name})
		if len(p.Errors) != 1 || p.Errors[0].Pointer == "" && p.Errors[0].Header == "" || p.Errors[0].Detail == "" {
			t.Errorf("%s: got %+v", name, p.Errors)
		}
	}
}

// A Problem is read back by a client.
func TestProblemIsRead(t *testing.T) {
	t.Parallel()
	sent := otphttp.ProblemOf(otphttp.Check, full(otp.ReasonWrong))
	w := httptest.NewRecorder()
	sent.Write(w)
	var got otphttp.Problem
	d := json.NewDecoder(bytes.NewReader(w.Body.Bytes()))
	d.DisallowUnknownFields()
	if err := d.Decode(&got); err != nil {
		t.Fatal(err)
	}
	want := *sent
	want.Type = otphttp.TypeBase + "code_refused"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(got.Error(), "code_refused") {
		t.Error(got.Error())
	}
}
