package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestMain lets the demonstration start this binary as it starts itself.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestRealRedisDemo(t *testing.T) {
	t.Parallel()
	_, err := exec.LookPath("redis-server")
	demonstrate(t, err == nil)
}

func TestRealPostgresDemo(t *testing.T) {
	t.Parallel()
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	demonstrate(t, len(found) > 0, "postgres")
}

// demonstrate runs a demonstration, if the server that it needs is there.
func demonstrate(t *testing.T, there bool, args ...string) {
	t.Helper()
	if !there {
		if os.Getenv("OTPCOURIER_REAL") == "require" {
			t.Fatal("no server")
		}
		t.Skip("no server")
	}
	var out bytes.Buffer
	if err := run(t.Context(), args, os.Getenv, &out); err != nil {
		t.Fatal(err, out.String())
	}
	for _, want := range []string{"sent by one: 5, by two: 15", "verified at one: 4, at two: 16", "the same code",
		"typed at two: verified"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, &out)
		}
	}
}

// TestProcessID: serve says which process is to be killed.
func TestProcessID(t *testing.T) {
	t.Parallel()
	var keys bytes.Buffer
	if err := run(t.Context(), []string{"keys"}, nil, &keys); err != nil {
		t.Fatal(err)
	}
	p, err := start(t.Context(), "one", keys.String(),
		[]string{"serve", "-redis", "127.0.0.1:1", "-smsc", "127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	defer p.kill()
	if want := fmt.Sprintf("one, process %d, listens on ", p.cmd.Process.Pid); !strings.HasPrefix(p.line, want) {
		t.Errorf("it says %q, want %q", p.line, want)
	}
}

// TestHelp: each word that the program knows is in its help.
func TestHelp(t *testing.T) {
	t.Parallel()
	var help strings.Builder
	if err := run(t.Context(), []string{"-h"}, nil, &help); err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"keys", "postgres", "smsc", "serve"} {
		if !strings.Contains(help.String(), "cluster "+word+" ") {
			t.Errorf("the help has no %s", word)
		}
	}
}

func TestBadArguments(t *testing.T) {
	t.Parallel()
	env := func(string) string { return "" }
	for want, args := range map[string][]string{
		"none of keys": {"start"},
		"serve needs":  {"serve", "-redis", "127.0.0.1:1"},
		"flags only":   {"serve", "-smsc", "127.0.0.1:1", "extra"},
		"OTP_KEYS: ":   {"serve", "-smsc", "127.0.0.1:1"}, // keys of its own would not be those of the others
	} {
		if err := run(t.Context(), args, env, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", args, err, want)
		}
	}
}
