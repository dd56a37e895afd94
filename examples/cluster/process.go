package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
)

// A process is this program, started again.
type process struct {
	name string
	line string // its line once it listens
	url  string
	cmd  *exec.Cmd
}

// start runs "cluster serve" with the text of the keys, and waits until it
// listens.
func start(ctx context.Context, name, keys string, args []string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{name: name, cmd: exec.CommandContext(ctx, self, append(args, "-name", name)...)}
	p.cmd.Env = append(os.Environ(), "OTP_KEYS="+keys)
	var log bytes.Buffer
	p.cmd.Stderr = &log
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	_, url, ok := strings.Cut(strings.TrimSpace(line), " listens on ")
	if !ok {
		p.kill()
		return nil, fmt.Errorf("process %s does not listen: %s", name, &log)
	}
	p.line, p.url = line, url
	return p, nil
}

// kill kills a process without warning. It may be dead already.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// send asks the process for a code.
func (p *process) send(ctx context.Context, subject, phone string) (c challenge, err error) {
	body, err := p.call(ctx, http.MethodPost, "/codes", url.Values{"subject": {subject}, "phone": {phone}})
	if err == nil {
		err = json.Unmarshal(body, &c)
	}
	return c, err
}

// verify asks the process whether a code is right.
func (p *process) verify(ctx context.Context, id, subject, code string) string {
	form := url.Values{"subject": {subject}, "code": {code}}
	if _, err := p.call(ctx, http.MethodPost, "/codes/"+id+"/verify", form); err != nil {
		return err.Error()
	}
	return "verified"
}

func (p *process) call(ctx context.Context, method, path string, form url.Values) ([]byte, error) {
	q, err := http.NewRequestWithContext(ctx, method, p.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r, err := http.DefaultClient.Do(q)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Body.Close() }()
	body, err := io.ReadAll(r.Body)
	if err == nil && r.StatusCode >= 300 {
		err = fmt.Errorf("%s", strings.TrimSpace(string(body)))
	}
	return body, err
}
