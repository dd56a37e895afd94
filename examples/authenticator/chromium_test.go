package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// need skips the test without a real part, or fails it if parts are required.
func need(t testing.TB, part string, found bool) {
	t.Helper()
	switch {
	case found:
	case os.Getenv("OTPCOURIER_REAL") == "require":
		t.Fatalf("%s is not installed", part)
	default:
		t.Skipf("%s is not installed", part)
	}
}

// A browser is a Chromium without a window, which is told what to do by the DevTools
// protocol through a pair of pipes.
type browser struct {
	t       *testing.T
	to      *os.File
	from    *bufio.Reader
	lastID  int
	session string
	log     []string // what the console was told: violations of the page's policy, above all
}

// startBrowser starts Chromium with one page, and stops it with the test.
func startBrowser(t *testing.T) *browser {
	t.Helper()
	program, err := exec.LookPath("chromium")
	need(t, "Chromium", err == nil)
	theirIn, ourOut := pipe(t)
	ourIn, theirOut := pipe(t)
	cmd := exec.Command(program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
		"--user-data-dir="+t.TempDir(), "--remote-debugging-pipe", "about:blank")
	cmd.ExtraFiles = []*os.File{theirIn, theirOut} // 3 and 4
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_, _ = theirIn.Close(), theirOut.Close()
	b := &browser{t: t, to: ourOut, from: bufio.NewReader(ourIn)}
	t.Cleanup(func() {
		b.session = ""
		b.call("Browser.close", nil, nil)
		stuck := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
		defer stuck.Stop()
		_ = cmd.Wait()
	})
	if err := ourIn.SetReadDeadline(time.Now().Add(3 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	var target struct{ TargetID string }
	b.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	b.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	b.session = attached.SessionID
	b.call("Log.enable", nil, nil)
	return b
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = r.Close(), w.Close() })
	return r, w
}

// call sends a command and waits for its result.
func (b *browser) call(method string, params map[string]any, result any) {
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
		if e := answer.Params.Entry; answer.Method == "Log.entryAdded" && !strings.HasSuffix(e.URL, "/favicon.ico") {
			b.log = append(b.log, e.Level+": "+e.Text)
		}
		switch {
		case answer.ID != b.lastID:
			continue
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

// eval runs JavaScript from outside the page and decodes what it returns.
func (b *browser) eval(script string, result any) {
	b.t.Helper()
	var answer struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	b.call("Runtime.evaluate", map[string]any{"expression": script, "returnByValue": true, "awaitPromise": true},
		&answer)
	if e := answer.ExceptionDetails; e != nil {
		b.t.Fatalf("%.200s: %s %s", script, e.Text, e.Exception.Description)
	}
	if result == nil {
		return
	}
	if err := json.Unmarshal(answer.Result.Value, result); err != nil {
		b.t.Fatalf("%.200s: %v", script, err)
	}
}

// screen sets the width and the colour scheme.
func (b *browser) screen(width int, scheme string) {
	b.t.Helper()
	b.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": 1400, "deviceScaleFactor": 1,
		"mobile": width < 600}, nil)
	b.call("Emulation.setEmulatedMedia", map[string]any{"features": []any{map[string]any{
		"name": "prefers-color-scheme", "value": scheme}}}, nil)
}

// then does something that leads to another page, and waits for that.
func (b *browser) then(what string, act func()) {
	b.t.Helper()
	b.eval("window.before = true", nil)
	act()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		var there bool
		b.eval(`!window.before && document.readyState === "complete" && !!document.querySelector("main")`, &there)
		if there {
			return
		}
		if time.Now().After(end) {
			b.t.Fatalf("%s leads nowhere", what)
		}
	}
}

func (b *browser) open(url string) {
	b.t.Helper()
	b.then(url, func() { b.call("Page.navigate", map[string]any{"url": url}, nil) })
}

// typeIn types into a field and presses Enter, as a person at a keyboard does.
func (b *browser) typeIn(field, text string) {
	b.t.Helper()
	b.eval("document.getElementById("+quote(field)+").focus()", nil)
	b.call("Input.insertText", map[string]any{"text": text}, nil)
	b.then("Enter in "+field, b.enter)
}

func (b *browser) enter() {
	b.t.Helper()
	for _, kind := range []string{"keyDown", "keyUp"} {
		b.call("Input.dispatchKeyEvent", map[string]any{"type": kind, "key": "Enter", "code": "Enter", "text": "\r",
			"windowsVirtualKeyCode": 13}, nil)
	}
}

// press presses the button or link whose text begins so.
func (b *browser) press(text string) {
	b.t.Helper()
	b.eval(`[...document.querySelectorAll("button, a")].find(e => e.textContent.trim().startsWith(`+quote(text)+
		`)).focus()`,
		nil)
	b.then(text, b.enter)
}

func (b *browser) text() (s string) {
	b.t.Helper()
	b.eval("document.body.innerText", &s)
	return s
}

func quote(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

// screenshot keeps what is seen in a file, also where OTPCOURIER_SCREENSHOTS names a
// directory.
func (b *browser) screenshot(name string) (file string) {
	b.t.Helper()
	var shot struct{ Data string }
	b.call("Page.captureScreenshot", map[string]any{"format": "png"}, &shot)
	raw, err := base64.StdEncoding.DecodeString(shot.Data)
	if err != nil {
		b.t.Fatal(err)
	}
	dirs := []string{b.t.TempDir()}
	if dir := os.Getenv("OTPCOURIER_SCREENSHOTS"); dir != "" {
		dirs = append(dirs, dir)
	}
	for _, dir := range dirs {
		if err := os.WriteFile(filepath.Join(dir, name+".png"), raw, 0o600); err != nil {
			b.t.Fatal(err)
		}
	}
	return filepath.Join(dirs[0], name+".png")
}
