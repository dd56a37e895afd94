package main

import (
	"encoding/json"
	"io"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"
)

// The argument health is what the server says of itself, for a container's health check.
func TestHealth(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	path := t.TempDir() + "/config.json"
	if err := os.WriteFile(path, []byte(`{"applications":[{"name":"a","brand":"A","routes":[{"name":"sms"}]}]}`),
		0o600); err != nil {
		t.Fatal(err)
	}
	health := func(admin string) error {
		env := func(name string) string { return map[string]string{"OTP_ADMIN": admin}[name] }
		return run(t.Context(), []string{"health", "-config", path}, env, io.Discard)
	}
	at := r.s.admin.Addr().String()
	_, port, err := net.SplitHostPort(at)
	if err != nil {
		t.Fatal(err)
	}
	for _, admin := range []string{at, ":" + port, "0.0.0.0:" + port, "[::]:" + port, "localhost:" + port} {
		if err := health(admin); err != nil {
			t.Errorf("%s: %v", admin, err)
		}
	}
	if err := health(r.s.public.Addr().String()); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("the other listener: %v", err)
	}
	if err := r.stop(); err != nil {
		t.Error(err)
	}
	if health(at) == nil {
		t.Error("a server that has ended lives")
	}
	if run(t.Context(), []string{"health", "-config", "absent.json"}, os.Getenv, io.Discard) == nil {
		t.Error("without a file: no error")
	}
}

// The image is one static program for a user that is not root, and the arguments in it are
// those that the program has.
func TestDockerfile(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	_, image, _ := strings.Cut(text, "FROM scratch\n")
	if !strings.Contains(text, "CGO_ENABLED=0 go build ") || !regexp.MustCompile(`(?m)^USER [1-9]\d*(:\d+)?$`).
		MatchString(image) {
		t.Errorf("the image is not static, or for root: %s", text)
	}
	module, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	want := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(string(module))[1]
	if !strings.Contains(text, "FROM golang:"+want+" ") {
		t.Errorf("go.mod needs Go %s", want)
	}
	args := func(instruction string) (all []string) {
		m := regexp.MustCompile(`(?m)^` + instruction + ` (\[.*\])$`).FindStringSubmatch(image)
		if m == nil || json.Unmarshal([]byte(m[1]), &all) != nil {
			t.Fatalf("there is no %s", instruction)
		}
		return all
	}
	for _, command := range [][]string{append(args("ENTRYPOINT"), args("CMD")...), args("HEALTHCHECK CMD")} {
		err := run(t.Context(), command[1:], os.Getenv, io.Discard)
		if command[0] != "/server" || err == nil || !strings.Contains(err.Error(), "open /config.json") {
			t.Errorf("%q: %v", command, err) // the arguments are known, the file is not here
		}
	}
}
