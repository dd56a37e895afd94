package main

import (
	"bytes"
	"os"
	"testing"
)

// The output is that of expected.txt.
func TestExpected(t *testing.T) {
	t.Parallel()
	want, err := os.ReadFile("expected.txt")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := run(t.Context(), nil, &out); err != nil {
		t.Fatal(err)
	}
	if out.String() != string(want) {
		t.Errorf("the output is not expected.txt:\n%s", &out)
	}
}

// With other seeds and rules, an attack gets a tenth at most, and in shadow all.
func TestSeeds(t *testing.T) {
	t.Parallel()
	for _, shadow := range []bool{false, true} {
		r, err := attacked(t.Context(), "proxies", 7, shadow)
		if err != nil {
			t.Fatal(err)
		}
		if shadow != (r.with.botsSent == bots) || !shadow && r.with.botsSent > bots/10 || len(r.alerts) == 0 ||
			r.without.botsSent != bots || r.with.people != people {
			t.Errorf("shadow %v: %+v", shadow, r)
		}
	}
}

func TestBadArguments(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"extra"}, {"-seed", "x"}} {
		if err := run(t.Context(), args, &bytes.Buffer{}); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}
