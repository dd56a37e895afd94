// Package mutants proves the checks of the delivery: each mutant breaks one line, and the
// enumeration, the histories or the cases must catch it.
package mutants

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// A mutant replaces from by to in a file of otp.
type mutant struct{ name, file, from, to string }

const (
	machine  = "internal/delivery/delivery.go"
	events   = "internal/delivery/events.go"
	dispatch = "dispatch.go"
)

// machineMutants break the state machine.
var machineMutants = []mutant{
	{"sent after the end", machine,
		"case !c.Open:\n\t\tif d.mayWithdraw(c) {\n\t\t\treturn Move{Do: Withdraw}\n\t\t}\n",
		""},
	{"sent after the code has expired", machine, "case !now.Before(c.Expires):\n", ""},
	{"a live lease is ignored", machine, "case early && d.leased():", "case false && d.leased():"},
	{"one sender per step, but two per challenge", machine,
		"return d.Phase == Sending || d.Phase == Delivered && d.Send < d.Sends", "return d.Phase == Sending"},
	{"taken over without end", machine,
		"case d.Phase == Due, d.Phase == Sending && !d.Doubt:",
		"case d.Phase == Due, d.Phase == Sending:"},
	{"never taken over", machine, "case d.Phase == Due, d.Phase == Sending && !d.Doubt:", "case d.Phase == Due:"},
	{"a silence is not followed", machine, "case d.Phase == Sent && !d.At.IsZero():", "case false:"},
	{"a dead sender counts as one that did not send", machine, "d.Doubt, d.Out = true, true", "d.Doubt = true"},
	{"a dead sender's charge is refunded", machine, "\tif d.Doubt {\n\t\theld = Charge{}\n\t}\n", ""},
	{"an overtaken send stays counted", machine, "refund = charged(overtaken)", "refund = charged(overtaken[:0])"},
	{"a spent charge is refunded", machine,
		"\t\tif d.Phase != Due { // the step's charge is spent\n\t\t\tovertaken = overtaken[1:]\n\t\t}\n", ""},
	{"attempts are not fenced", machine, "case a != d.Attempt:", "case a.Step != d.Attempt.Step:"},
	{"a step in doubt is retried", machine, "!taken && !o.Unknown && !d.Doubt &&", "!taken && !o.Unknown &&"},
	{"a retried step keeps what its attempt took", machine,
		"return charged([]Charge{o.Took}) // the next",
		"return nil // the next"},
	{"refused although one may be out", machine,
		"\tcase d.Out && len(d.Older) > 0:\n\t\td.Phase, d.At, d.State = Sent, time.Time{}, channel.Sent\n" +
			"\tcase d.Out:\n" +
			"\t\td.Phase, d.State = Failed, channel.Failed\n", ""},
	{"an outcome undoes Delivered", machine, "case d.Phase == Delivered: // an older", "case false: // an older"},
	{"steps without end", machine, "o.More && len(d.Tried) > fresh", "o.More && len(d.Tried) >= fresh"},
	{"untried routes are forgotten", machine, "o.More && len(d.Tried) > fresh", "o.More && len(d.Tried) < fresh"},
	{"Delivered ends a lease", machine, "if d.Phase != Sending && d.Phase != Delivered {", "if true {"},
	{"Delivered is forgotten", events, "} else if r.Number > 1 {", "} else if r.Number > 0 {"},
	{"a Resend after Delivered only", machine,
		"case d.Send < d.Sends:\n\t\treturn",
		"case d.Send < d.Sends && d.Phase == Delivered:\n\t\treturn"},
	{"an early failure is forgotten", machine, `if d.Early != "" && d.Early == o.Route {`, "if false {"},
	{"parts are forgotten", machine, "\to.Parts = d.Message.Parts // reported before\n", ""},
	{"a part of another message hides a whole one", events,
		"if d.Message.Parts&all != all {",
		"if d.Message.Parts != all {"},
	{"older messages are not withdrawn", events, "for _, m := range d.Older {", "for _, m := range d.Older[:0] {"},
	{"a silent route is forgotten", machine, "union(d.Undelivered, o.Tried)", "union(d.Undelivered, nil)"},
	{"what was delivered counts as silent", events, "\td.delivers(r.Route)\n", ""},
	{"the state of a message goes back", machine, "return max(before, after)", "return after"},
}

// The two halves of rule 1.
const (
	wakeFirst = "\t\tif at, due := s.wakeUp(&d, o); due && !worker {\n" +
		"\t\t\tif before, due := s.wakeUp(o.delivery, o); !due || at.Before(before) {\n" +
		"\t\t\t\tif err := s.wake(ctx, o, at); err != nil {\n" +
		"\t\t\t\t\treturn o, fmt.Errorf(\"%w: %w\", errUnqueued, err)\n\t\t\t\t}\n\t\t\t}\n\t\t}\n"
	writes = "\t\tnewer, err := s.write(ctx, o, &d, encoded)\n"
)

// serviceMutants break the Service around the machine.
var serviceMutants = []mutant{
	{"its own write counts as another's", dispatch,
		"case stored.Revision == o.Revision+1 && bytes.Equal(stored.Delivery, signed):",
		"case false:"},
	{"its own claim counts as another's", dispatch, "if !ok && !d.Holds(owner) {", "if !ok {"},
	{"its own Resend is refunded", "send.go", "if unrecorded && !newer.lost {", "if unrecorded {"},
	{"parked receipts are not looked for", "receipt.go",
		"for i := range m.Providers {",
		"for i := range m.Providers[:0] {"},
	{"faster receipts are not looked for", dispatch, "for _, rc := range early {", "for _, rc := range early[:0] {"},
	{"one try to record an outcome", dispatch, "\terr := persist(ctx, record)\n", "\terr := record()\n"},
	{"woken after the record", dispatch,
		wakeFirst + writes,
		writes + strings.Replace(wakeFirst, "due && !worker", "err == nil && due && !worker", 1)},
	{"not woken", dispatch, "due && !worker {", "due && !worker && false {"},
	{"a worker woken too early does not come again", "work.go", "return m.At, nil", "return time.Time{}, nil"},
	{"a silence that ends while it is read is forgotten", "work.go",
		"return instant(), nil",
		"return time.Time{}, nil"},
	{"a closed record is not looked at", "attempt.go",
		"if o.Outcome != store.Open {",
		"if o.Outcome != store.Open && false {"},
	{"refunded before it is recorded", dispatch, "\t\tnewer, err := s.write(ctx, o, &d, encoded)\n",
		"\t\ts.refund(ctx, o, refund...)\n\t\trefund = nil\n\t\tnewer, err := s.write(ctx, o, &d, encoded)\n"},
	{"refunded in doubt", "send.go", "case !errors.Is(err, errDoubt):\n\t\t\treturn nil, refused",
		"case !errors.Is(err, errDoubt):\n\t\t\treturn nil, refused\n" +
			"\t\tcase true:\n\t\t\ts.refund(ctx, o, held)\n\t\t\treturn s.challenge(o), refused"},
	{"created without a wake-up", "send.go", "if s.c.Takeover > 0 && !o.req.fixed {", "if false {"},
	{"the lease does not bound sending", "attempt.go", "limit := d.At.Add(-afterwards)", "limit := o.Expires"},
	{"a receipt is acknowledged unrecorded", "receipt.go",
		"\tcase err != nil:\n\t\treturn s.storeError(o.Record, err, now)\n\t}\n\tif o.Revision",
		"\tcase err != nil:\n\t\treturn nil\n\t}\n\tif o.Revision"},
	{"a failed receipt wakes nobody", "receipt.go", "if s.c.Queue == nil || o.next", "if true || o.next"},
	{"a parallel repeat stays counted", "send.go",
		"\ts.refund(ctx, o, held)\n\treturn err\n}\n\n// errDoubt",
		"\treturn err\n}\n\n// errDoubt"},
	{"a failed Take stays counted", "limits.go", "if !isAnswer(err) { // it may have been done", "if false {"},
	{"a caller that has gone stays counted", "limits.go",
		"\tcase ctx.Err() != nil:\n\t\ts.give(ctx, limits, now)\n",
		"\tcase ctx.Err() != nil:\n"},
	{"a failover is not counted", "attempt.go", "if kind&^(a.held.Kinds|a.took.Kinds) == 0 {", "if true {"},
	{"a Resend is not told that it is too soon", "resend.go",
		"if leased && !s.takesOver() && d.At.After(at) {",
		"if leased && false {"},
	{"a Resend of another token is a repeat", "resend.go",
		"if repeated = slices.Contains(d.Tokens, token); repeated {",
		"if repeated = len(d.Tokens) > 0; repeated {"},
	{"wrong codes are verified", "verify.go",
		"case !right || r.Subject != tag.String():",
		"case !right && false || r.Subject != tag.String():"},
	{"a code is verified without Finish", "verify.go",
		"\tif err != nil {\n\t\treturn before, nil, s.storeError(before, err, now)\n\t}\n\to, err",
		"\tif r == nil {\n\t\tr = before\n\t}\n\to, err"},
	{"each try of a Verify is charged", "verify.go",
		"r, err = s.c.Store.Attempt(ctx, i.store(), token, now)",
		"r, err = s.c.Store.Attempt(ctx, i.store(), randomToken(), now)"},
	{"the withdrawal is forgotten", "work.go",
		"\tcase delivery.Withdraw:\n\t\ts.withdraw(ctx, o)\n\tcase delivery.Send:",
		"\tcase delivery.Send:"},
}

// blind lists mutants that no rule forbids, with the reason.
var blind = map[string]string{}

// A check is one of the proofs.
type check struct{ name, pkg, run string }

// checks are in the order of what they cost. The histories are asked only if the others see nothing.
var checks = []check{
	{"enumeration", "./otp/internal/delivery", "Test"},
	{"cases", "./otp", "TestOneFault"},
	{"resends", "./otp", "TestResend"},
	{"histories", "./otp", "TestEveryHistory"},
}

// TestEachMutantIsCaught takes half an hour:
//
//	OTPCOURIER_MUTANTS=1 go test -v -timeout 2h ./otp/internal/mutants
//
// The number is that of the first mutant to try.
func TestEachMutantIsCaught(t *testing.T) {
	first, err := strconv.Atoi(os.Getenv("OTPCOURIER_MUTANTS"))
	if err != nil {
		t.Skip("takes half an hour: set OTPCOURIER_MUTANTS to 1, or to the number of the first")
	}
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	all := append(append([]mutant{}, machineMutants...), serviceMutants...)
	for i, m := range all[first-1:] {
		by := catch(t, root, mutate(t, root, m))
		t.Logf("%2d %-55s %s", first+i, m.name, by)
		if by == "" && blind[m.name] == "" {
			t.Errorf("%s: not caught", m.name)
		}
	}
}

// catch returns the name of the first check that fails with the overlay.
func catch(t *testing.T, root, overlay string) string {
	t.Helper()
	for _, c := range checks {
		if caught(t, root, overlay, c) {
			return c.name
		}
	}
	return ""
}

// mutate writes a mutant's file, and returns the overlay that puts it in its place.
func mutate(t *testing.T, root string, m mutant) string {
	t.Helper()
	dir, file := t.TempDir(), filepath.Join(root, "otp", m.file)
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(b), m.from); n != 1 {
		t.Fatalf("%s: %d places in %s", m.name, n, m.file)
	}
	mutated, overlay := filepath.Join(dir, "mutant.go"), filepath.Join(dir, "overlay.json")
	text, err := json.Marshal(map[string]any{"Replace": map[string]string{file: mutated}})
	if err != nil {
		t.Fatal(err)
	}
	broken := strings.Replace(string(b), m.from, m.to, 1)
	for name, content := range map[string]string{mutated: broken, overlay: string(text)} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return overlay
}

// caught reports whether a check fails with the overlay.
func caught(t *testing.T, root, overlay string, c check) bool {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "test", "-short", "-vet=off", "-overlay", overlay, "-timeout", "100s",
		"-run", c.run, c.pkg)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "OTPCOURIER_HISTORIES=1000", "OTPCOURIER_MUTANTS=")
	out, err := cmd.CombinedOutput()
	if errors.Is(t.Context().Err(), context.Canceled) {
		t.FailNow()
	}
	if strings.Contains(string(out), "build failed") {
		t.Errorf("a mutant that is none:\n%s", out)
	}
	return err != nil
}
