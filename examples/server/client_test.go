package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

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
