// Package browsertest drives a Chromium without a window, for the tests of pages: by
// the DevTools protocol through a pair of pipes, with axe-core to audit by.
package browsertest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Need skips the test without a real part, or fails it if parts are required.
func Need(t testing.TB, part string, found bool) {
	t.Helper()
	switch {
	case found:
	case os.Getenv("OTPCOURIER_REAL") == "require":
		t.Fatalf("%s is not installed", part)
	default:
		t.Skipf("%s is not installed", part)
	}
}

// A Browser is a Chromium with one page. It is for one goroutine.
type Browser struct {
	t       testing.TB
	to      *os.File
	from    *bufio.Reader
	lastID  int
	session string
	leaving bool // within Then
	log     []string
}

// Start starts Chromium, and stops it with the test. Without one, the test is
// skipped or, under OTPCOURIER_REAL=require, fails.
func Start(t testing.TB) *Browser {
	t.Helper()
	program, err := exec.LookPath("chromium")
	Need(t, "Chromium", err == nil)
	theirIn, ourOut := pipe(t)
	ourIn, theirOut := pipe(t)
	ended := context.WithoutCancel(t.Context()) // it was asked to close
	cmd := exec.CommandContext(ended, program, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
		"--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--hide-scrollbars",
		"--user-data-dir="+t.TempDir(), "--remote-debugging-pipe", "about:blank")
	cmd.ExtraFiles = []*os.File{theirIn, theirOut} // 3 and 4
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_, _ = theirIn.Close(), theirOut.Close()
	b := &Browser{t: t, to: ourOut, from: bufio.NewReader(ourIn)}
	t.Cleanup(func() {
		b.session = ""
		b.Call("Browser.close", nil, nil)
		stuck := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
		defer stuck.Stop()
		_ = cmd.Wait()
	})
	if err := ourIn.SetReadDeadline(time.Now().Add(3 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	var target struct{ TargetID string }
	b.Call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	b.Call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	b.session = attached.SessionID
	b.Call("Log.enable", nil, nil)
	return b
}

func pipe(t testing.TB) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = r.Close(), w.Close() })
	return r, w
}

// Call sends a command and waits for its result. Within Then a page may go away under the
// command; then there is no result.
func (b *Browser) Call(method string, params map[string]any, result any) {
	b.t.Helper()
	b.lastID++
	command := map[string]any{"id": b.lastID, "method": method}
	if params != nil {
		command["params"] = params
	}
	if b.session != "" {
		command["sessionId"] = b.session
	}
	raw, err := json.Marshal(command)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.to.Write(append(raw, 0)); err != nil {
		b.t.Fatalf("%s: %v", method, err)
	}
	for {
		raw, err := b.from.ReadBytes(0)
		if err != nil {
			b.t.Fatalf("%s: %v", method, err)
		}
		var answer struct {
			ID     int
			Result json.RawMessage
			Error  *struct{ Message string }
			Method string
			Params struct {
				Entry struct{ Level, Text, URL string }
			}
		}
		if err := json.Unmarshal(bytes.TrimSuffix(raw, []byte{0}), &answer); err != nil {
			b.t.Fatal(err)
		}
		if e := answer.Params.Entry; answer.Method == "Log.entryAdded" && !strings.HasSuffix(e.URL, "/favicon.ico") &&
			!strings.HasPrefix(e.Text, "Autofocus processing was blocked") { // a field had the focus before
			b.log = append(b.log, e.Level+": "+e.Text)
		}
		switch {
		case answer.ID != b.lastID:
			continue
		case answer.Error != nil && b.leaving && gone.MatchString(answer.Error.Message):
		case answer.Error != nil:
			b.t.Fatalf("%s: %s", method, answer.Error.Message)
		case result != nil:
			if err := json.Unmarshal(answer.Result, result); err != nil {
				b.t.Fatal(err)
			}
		}
		return
	}
}

// gone finds what Chromium says of a command whose page has gone away.
var gone = regexp.MustCompile(
	`navigated or closed|context was destroyed|Cannot find .*context|collected|terminated|Not attached`)

// Eval runs JavaScript from outside the page and decodes its result.
func (b *Browser) Eval(script string, result any) {
	b.t.Helper()
	var answer struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	b.Call("Runtime.evaluate", map[string]any{"expression": script, "returnByValue": true, "awaitPromise": true},
		&answer)
	if e := answer.ExceptionDetails; e != nil {
		b.t.Fatalf("%.200s: %s %s", script, e.Text, e.Exception.Description)
	}
	if result == nil || b.leaving && answer.Result.Value == nil {
		return
	}
	if err := json.Unmarshal(answer.Result.Value, result); err != nil {
		b.t.Fatalf("%.200s: %v", script, err)
	}
}

// Screen sets the width and the colour scheme.
func (b *Browser) Screen(width int, scheme string) {
	b.t.Helper()
	b.Call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": 1400, "deviceScaleFactor": 1,
		"mobile": width < 600}, nil)
	b.Call("Emulation.setEmulatedMedia", map[string]any{"features": []any{map[string]any{
		"name": "prefers-color-scheme", "value": scheme}}}, nil)
}

// Then does something that leads to another page, and waits for that.
func (b *Browser) Then(what string, act func()) {
	b.t.Helper()
	b.Eval("window.before = true", nil)
	b.leaving = true
	defer func() { b.leaving = false }()
	act()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		var there bool
		b.Eval(`!window.before && document.readyState === "complete" && !!document.querySelector("main")`, &there)
		if there {
			return
		}
		if time.Now().After(end) {
			b.t.Fatalf("%s leads nowhere", what)
		}
	}
}

// Open goes to an address.
func (b *Browser) Open(url string) {
	b.t.Helper()
	b.Then(url, func() { b.Call("Page.navigate", map[string]any{"url": url}, nil) })
}

// TypeIn types into a field and presses Enter, as a person at a keyboard does.
func (b *Browser) TypeIn(field, text string) {
	b.t.Helper()
	b.Eval("document.getElementById("+quote(field)+").focus()", nil)
	b.Call("Input.insertText", map[string]any{"text": text}, nil)
	b.Then("Enter in "+field, b.Enter)
}

// Enter presses the key Enter.
func (b *Browser) Enter() {
	b.t.Helper()
	for _, kind := range []string{"keyDown", "keyUp"} {
		b.Call("Input.dispatchKeyEvent", map[string]any{"type": kind, "key": "Enter", "code": "Enter", "text": "\r",
			"windowsVirtualKeyCode": 13}, nil)
	}
}

// Press presses the button or link whose text begins so.
func (b *Browser) Press(text string) {
	b.t.Helper()
	b.Eval(`[...document.querySelectorAll("button, a")].find(e => e.textContent.trim().startsWith(`+quote(text)+
		`)).focus()`,
		nil)
	b.Then(text, b.Enter)
}

// Text returns the text of the page.
func (b *Browser) Text() (s string) {
	b.t.Helper()
	b.Eval("document.body.innerText", &s)
	return s
}

func quote(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

// Screenshot returns the visible part of the page as PNG. If OTPCOURIER_SCREENSHOTS names a
// directory, it also writes NAME.png there.
func (b *Browser) Screenshot(name string) []byte {
	b.t.Helper()
	var shot struct{ Data string }
	b.Call("Page.captureScreenshot", map[string]any{"format": "png"}, &shot)
	raw, err := base64.StdEncoding.DecodeString(shot.Data)
	if err != nil {
		b.t.Fatal(err)
	}
	if dir := os.Getenv("OTPCOURIER_SCREENSHOTS"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, name+".png"), raw, 0o600); err != nil {
			b.t.Fatal(err)
		}
	}
	return raw
}

// Log returns the messages of the console, above all violations of the page's policy.
func (b *Browser) Log() []string { return b.log }

// Show lays a page out that comes from no server.
func (b *Browser) Show(html string) {
	b.t.Helper()
	var tree struct {
		FrameTree struct{ Frame struct{ ID string } }
	}
	b.Call("Page.getFrameTree", nil, &tree)
	b.Call("Page.setDocumentContent", map[string]any{"frameId": tree.FrameTree.Frame.ID, "html": html}, nil)
}

// Click clicks at a point.
func (b *Browser) Click(x, y float64) {
	b.t.Helper()
	for _, kind := range []string{"mousePressed", "mouseReleased"} {
		b.Call("Input.dispatchMouseEvent", map[string]any{"type": kind, "x": x, "y": y, "button": "left",
			"clickCount": 1}, nil)
	}
}

// Axe audits the page by axe-core (WCAG 2.2 A and AA, and best practice), and
// returns each violation as a line.
func (b *Browser) Axe() (violations []string) {
	b.t.Helper()
	var axe []byte
	for _, dir := range filepath.SplitList(os.Getenv("NODE_PATH")) {
		if found, err := os.ReadFile(filepath.Join(dir, "axe-core", "axe.min.js")); err == nil {
			axe = found
		}
	}
	Need(b.t, "axe-core in NODE_PATH", axe != nil)
	b.Eval(string(axe)+";0", nil)
	b.Eval(`axe.run(document, {resultTypes: ["violations"], runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa",
		"wcag22aa", "best-practice"]}).then(r => r.violations.map(v =>
			v.id + ": " + v.help + ": " + v.nodes.map(n => n.html).join(" ")))`, &violations)
	return violations
}

// Dangling returns the IDs by which something is labelled or described, and which
// are not on the page: axe-core does not look for these.
func (b *Browser) Dangling() (ids []string) {
	b.t.Helper()
	b.Eval(`[...document.querySelectorAll("[aria-describedby], [aria-labelledby]")].flatMap(e =>
		((e.getAttribute("aria-describedby") ?? "") + " " + (e.getAttribute("aria-labelledby") ?? "")).split(" "))
		.filter(id => id && !document.getElementById(id))`, &ids)
	return ids
}
