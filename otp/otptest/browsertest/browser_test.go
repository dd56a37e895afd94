package browsertest

import (
	"bufio"
	"encoding/json"
	"runtime"
	"testing"
)

// chromium answers the commands of a Browser. An answer is a result or, if it is no JSON, the
// message of an error. The last answer is that of all later commands.
func chromium(t *testing.T, answers ...string) *Browser {
	t.Helper()
	commands, to := pipe(t)
	from, results := pipe(t)
	go func() {
		in := bufio.NewReader(commands)
		for {
			raw, err := in.ReadBytes(0)
			if err != nil {
				return
			}
			var command struct{ ID int }
			if err := json.Unmarshal(raw[:len(raw)-1], &command); err != nil {
				t.Error(err)
			}
			answer := map[string]any{"id": command.ID}
			if said := answers[0]; json.Valid([]byte(said)) {
				answer["result"] = map[string]any{"result": map[string]any{"value": json.RawMessage(said)}}
			} else {
				answer["error"] = map[string]any{"message": said}
			}
			if len(answers) > 1 {
				answers = answers[1:]
			}
			said, err := json.Marshal(answer)
			if err != nil {
				t.Error(err)
			}
			if _, err := results.Write(append(said, 0)); err != nil {
				return
			}
		}
	}()
	return &Browser{t: t, to: to, from: bufio.NewReader(from)}
}

// A page that goes away under a command is what Then waits for, whatever Chromium says of it.
func TestThen(t *testing.T) {
	t.Parallel()
	for _, said := range []string{"Inspected target navigated or closed", "Execution context was destroyed.",
		"Cannot find context with specified id", "Cannot find default execution context",
		"Cannot find execution context with given executionContextId", "Promise was collected",
		"Execution was terminated", "Not attached to an active page"} {
		b := chromium(t, `true`, said, said, `false`, `true`, `"there"`)
		b.Then("back", func() { b.Eval("history.back()", nil) })
		if text := b.Text(); text != "there" {
			t.Errorf("after %q: %q", said, text)
		}
	}
}

// failing notes a failure of the Browser's test.
type failing struct {
	testing.TB
	failed bool
}

func (*failing) Helper() {}

func (f *failing) Fatalf(string, ...any) {
	f.failed = true
	runtime.Goexit()
}

// The same is a failure where nothing leads to another page, and other errors always are.
func TestFailures(t *testing.T) {
	t.Parallel()
	for _, answers := range [][]string{
		{"Inspected target navigated or closed"},
		{`true`, "Internal error"},
	} {
		f := &failing{TB: t}
		b := chromium(t, answers...)
		b.t = f
		done := make(chan struct{})
		go func() {
			defer close(done)
			if len(answers) == 1 {
				b.Text()
			} else {
				b.Then("back", func() { b.Eval("history.back()", nil) })
			}
		}()
		<-done
		if !f.failed {
			t.Errorf("%q: no failure", answers)
		}
	}
}
