package smtp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// missing skips a test whose real part is not there, or fails it where it must
// be.
func missing(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("OTPCOURIER_REAL") == "require" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// A changedMail is one of ours after a change, in a file.
type changedMail struct {
	change
	file string
}

// changedMails writes every change of a mail with HTML and of one without.
func changedMails(t *testing.T, d *DKIM) []changedMail {
	t.Helper()
	dir := t.TempDir()
	var mails []changedMail
	for _, html := range []bool{true, false} {
		mail := string(signedMail(t, d, html))
		for _, c := range changes {
			file := filepath.Join(dir, strconv.Itoa(len(mails)))
			if err := os.WriteFile(file, []byte(c.change(mail)), 0o600); err != nil {
				t.Fatal(err)
			}
			mails = append(mails, changedMail{c, file})
		}
	}
	return mails
}

// opendkim ends with 0 whatever it finds, and says what it has found.
func TestRealOpenDKIM(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("opendkim")
	if err != nil {
		program = "/usr/sbin/opendkim"
	}
	if version, err := exec.Command(program, "-V").CombinedOutput(); err != nil ||
		!bytes.Contains(version, []byte("ed25519-sha256")) {
		missing(t, "no opendkim that knows Ed25519 (apt-get install opendkim): %v", err)
	}
	d := newDKIM(t, testKeys()...)
	dir := t.TempDir()
	var keys strings.Builder
	for name, text := range keyRecords(t, d) {
		fmt.Fprintln(&keys, name, text)
	}
	keyFile, config := filepath.Join(dir, "keys"), filepath.Join(dir, "opendkim.conf")
	for file, content := range map[string]string{
		keyFile: keys.String(),
		config:  "Mode v\nSyslog no\nTestPublicKeys " + keyFile + "\n",
	} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range changedMails(t, d) {
		out, err := exec.Command(program, "-x", config, "-vv", "-t", m.file).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
		passed := 0
		for line := range strings.Lines(string(out)) {
			for _, algorithm := range []string{"rsa-sha256", "ed25519-sha256"} {
				if strings.Contains(line, "dkim=pass ") && strings.Contains(line, "header.d=mybank.example ") &&
					strings.Contains(line, "header.a="+algorithm+" ") {
					passed++
				}
			}
		}
		if want := map[bool]int{true: 2, false: 0}[m.passes]; passed != want ||
			m.passes != bytes.Contains(out, []byte(") succeeded")) {
			t.Errorf("%s: %d signatures verified, want %d:\n%s", m.name, passed, want, out)
		}
	}
}

func TestRealMailauth(t *testing.T) {
	t.Parallel()
	if out, err := exec.Command("node", "-e", "require('mailauth')").CombinedOutput(); err != nil {
		missing(t, "mailauth is not there (npm install mailauth@4, NODE_PATH): %v\n%s", err, out)
	}
	d := newDKIM(t, testKeys()...)
	records, err := json.Marshal(keyRecords(t, d))
	if err != nil {
		t.Fatal(err)
	}
	recordsFile := filepath.Join(t.TempDir(), "records.json")
	if err := os.WriteFile(recordsFile, records, 0o600); err != nil {
		t.Fatal(err)
	}
	mails := changedMails(t, d)
	args := []string{filepath.Join("testdata", "mailauth.js"), recordsFile}
	for _, m := range mails {
		args = append(args, m.file)
	}
	cmd := exec.Command("node", args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := json.NewDecoder(bytes.NewReader(out))
	for _, m := range mails {
		type verdict struct{ Algorithm, Result string }
		var got []verdict
		if err := lines.Decode(&got); err != nil {
			t.Fatalf("%s: %v", m.name, err)
		}
		if m.passes {
			if diff := cmp.Diff([]verdict{{"rsa-sha256", "pass"}, {"ed25519-sha256", "pass"}}, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", m.name, diff)
			}
			continue
		}
		for _, v := range got {
			if v.Result == "pass" || len(got) != 2 {
				t.Errorf("%s: %+v", m.name, got)
			}
		}
	}
}
