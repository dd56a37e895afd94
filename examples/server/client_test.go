package main

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/otp/otptest/browsertest"
)

// script uses the client that an npm generator has made of openapi.yaml. It prints what
// it did, and reads the code from its standard input.
const script = `
import { Api } from "./api.mjs";
import { createInterface } from "node:readline/promises";
const [url, key] = process.argv.slice(2);
const api = new Api({ baseUrl: url, baseApiParams: { headers: { Authorization: "Bearer " + key } } });
const as = (extra) => ({ headers: { Authorization: "Bearer " + key, ...extra } });
const { data: made, status } = await api.v1.createVerification(
	{ subject: "J\u00f6rg", purpose: "login", to: { phone: "+447912345601" } }, as({ "Idempotency-Key": "k1" }));
console.log(status, made.status, made.delivery.route);
const lines = createInterface({ input: process.stdin });
const code = (await lines[Symbol.asyncIterator]().next()).value;
const check = (code) => api.v1.checkVerification(made.id, { subject: "J\u00f6rg", purpose: "login", code });
await check(code === "000000" ? "111111" : "000000").catch(({ status, error }) =>
	console.log(status, error.reason, error.attempts_left));
console.log((await check(code)).data.status);
const got = await api.v1.getVerification(made.id, as({ "Otp-Subject": encodeURIComponent("J\u00f6rg") }));
console.log(got.data.status, got.data.used[0]);
const page = await api.v1.createPage({ subject: "ann", return_url: "https://shop.example/" });
console.log((await api.v1.getPage(page.data.id)).data.status);
lines.close();
`

// A client in another language, generated from the document, talks to the server.
func TestRealGeneratedClient(t *testing.T) {
	t.Parallel()
	generator := ""
	for _, dir := range filepath.SplitList(os.Getenv("NODE_PATH")) {
		if path := filepath.Join(dir, ".bin", "sta"); generator == "" {
			if _, err := os.Stat(path); err == nil {
				generator = path
			}
		}
	}
	browsertest.Need(t, "swagger-typescript-api in NODE_PATH", generator != "")
	dir := t.TempDir()
	for name, text := range map[string]string{"openapi.yaml": string(openAPI), "run.mjs": script} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	generate := exec.CommandContext(t.Context(), generator, "-p", "openapi.yaml", "-o", dir, "-n", "api.js", "--js")
	generate.Dir = dir
	if out, err := generate.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := os.Rename(filepath.Join(dir, "api.js"), filepath.Join(dir, "api.mjs")); err != nil {
		t.Fatal(err)
	}
	r := start(t, nil)
	node := exec.CommandContext(t.Context(), "node", "run.mjs", r.shop.url, r.shop.key)
	node.Dir = dir
	var stderr syncBuffer
	node.Stderr = &stderr
	in, err := node.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := node.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := node.Start(); err != nil {
		t.Fatal(err)
	}
	var got []string
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if got = append(got, lines.Text()); len(got) == 1 {
			fmt.Fprintln(in, r.people.read("+447912345601"))
		}
	}
	err = node.Wait()
	want := []string{"201 pending sms", "422 code_refused 4", "verified", "verified phone", "open"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, got %q, want %q\n%s", err, got, want, &stderr)
	}
}

// BenchmarkHTTP measures calls over 16 connections of the loopback interface, the
// client's own work included: go test -run '^$' -bench HTTP -benchtime 20000x.
func BenchmarkHTTP(b *testing.B) {
	r := start(b, func(c *config) {
		c.Applications[0].Keys[0].Rate = 1_000_000_000
	})
	r.shop.http = &http.Client{}
	var serial atomic.Int64
	create := func(c *client) (string, string) {
		n := serial.Add(1)
		email := fmt.Sprintf("u%d@example.com", n)
		a, err := c.ask(b.Context(), http.MethodPost, apiPath,
			fmt.Sprintf(`{"subject":"u%d","purpose":"login","to":{"email":%q}}`, n, email))
		if err != nil || a.status != http.StatusCreated {
			b.Error(a, err)
			return "", ""
		}
		return a.body.ID, email
	}
	b.Run("create", func(b *testing.B) {
		measure(b, r, func(c *client, _ int) { create(c) })
	})
	b.Run("check", func(b *testing.B) {
		type made struct{ id, email string }
		all := make([]made, b.N)
		for i := range all {
			all[i].id, all[i].email = create(r.shop)
		}
		measure(b, r, func(c *client, i int) {
			body := fmt.Sprintf(`{"subject":"%s","purpose":"login","code":"%s"}`,
				strings.TrimSuffix(all[i].email, "@example.com"), r.people.read(all[i].email))
			a, err := c.ask(b.Context(), http.MethodPost, apiPath+"/"+all[i].id+"/check", body)
			if err != nil || a.status != http.StatusOK {
				b.Error(a, err)
			}
		})
	})
}

// cpu is the processor time of this process, client and server.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// measure makes b.N calls over 16 connections, and reports their rate, the latency
// that 99 of 100 keep to, and the processor time of a call, which other programs on
// the machine disturb least.
func measure(b *testing.B, r *rig, call func(c *client, i int)) {
	const connections = 16
	took := make([]time.Duration, b.N)
	var next atomic.Int64
	var all sync.WaitGroup
	before := cpu(b)
	b.ResetTimer()
	for range connections {
		all.Go(func() {
			transport := &http.Transport{MaxConnsPerHost: 1}
			defer transport.CloseIdleConnections()
			c := &client{r.shop.url, r.shop.key, &http.Client{Transport: transport}}
			for i := int(next.Add(1)) - 1; i < b.N; i = int(next.Add(1)) - 1 {
				begun := time.Now()
				call(c, i)
				took[i] = time.Since(begun)
			}
		})
	}
	all.Wait()
	b.StopTimer()
	slices.Sort(took)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
	b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(b.N), "cpu-µs/call")
	b.ReportMetric(float64(took[b.N*99/100].Microseconds())/1000, "p99-ms")
}
