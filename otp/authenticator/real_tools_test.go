package authenticator_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/authenticator"
	"github.com/otpcourier/otpcourier/otp/oath"
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

// tool runs a program of the PATH and returns its output.
func tool(t testing.TB, name string, args ...string) []byte {
	t.Helper()
	_, err := exec.LookPath(name)
	need(t, name, err == nil)
	var stderr bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, &stderr)
	}
	return out
}

// TestRealOathtool is a person with hard tokens whose codes oathtool makes.
func TestRealOathtool(t *testing.T) {
	t.Parallel()
	t.Run("HOTP", func(t *testing.T) { oathtoolHOTP(t) })
	for mode, hash := range map[string]oath.Hash{"SHA1": oath.SHA1, "SHA256": oath.SHA256, "SHA512": oath.SHA512} {
		for _, digits := range []int{6, 7, 8} {
			t.Run(fmt.Sprint(mode, " ", digits), func(t *testing.T) {
				virtual(t, func(t *testing.T) { oathtoolTOTP(t, mode, hash, digits) })
			})
		}
	}
}

func oathtoolHOTP(t *testing.T) {
	r := newRig(t)
	secret := secretOf(0x3a)
	press := func(n int) []string {
		return strings.Fields(string(tool(t, "oathtool", "--hotp", "-c", fmt.Sprint(n), "-w", "2",
			hex.EncodeToString(secret))))
	}
	ctx := t.Context()
	d := r.hard("ann", authenticator.Key{Secret: secret, Counter: true, Digits: 6, Serial: "ZZ1"})
	_, err := r.Confirm(ctx, "ann", press(0)[0])
	r.wants("counter 0 confirms", err, "ok")
	r.verify("ann", "counter 11, ten ahead", press(11)[0], "ok")
	r.verify("ann", "counter 5, passed over", press(5)[0], otp.ReasonWrong)
	r.verify("ann", "counter 11 again", press(11)[0], otp.ReasonClosed)
	r.verify("ann", "counter 23, eleven ahead", press(23)[0], otp.ReasonWrong)
	p := press(60)
	r.wants("Resync by 60 and 61", r.Resync(ctx, "ann", d.id, p[0], p[1]), "ok")
	r.verify("ann", "61 verifies nobody any more", p[1], otp.ReasonClosed)
	r.verify("ann", "62", p[2], "ok")
	for i, two := range [][2]int{{64, 66}, {20, 21}, {2000, 2001}} {
		r.wants(fmt.Sprint("Resync by ", two), r.Resync(ctx, "ann", d.id, press(two[0])[0], press(two[1])[0]),
			otp.ReasonWrong)
		if n := r.status("ann").Failures; n != i+1 {
			t.Errorf("%d failures after %d wrong Resyncs", n, i+1)
		}
	}
	r.verify("ann", "63", press(63)[0], "ok")
}

func oathtoolTOTP(t *testing.T, mode string, hash oath.Hash, digits int) {
	r := newRig(t)
	secret := secretOf(byte(0x10 + digits))
	show := func(ahead time.Duration) []string {
		now := time.Now().Add(ahead).UTC().Format("2006-01-02 15:04:05 UTC")
		return strings.Fields(string(tool(t, "oathtool", "--totp="+mode, "-d", fmt.Sprint(digits), "-s", "60s", "-w",
			"1",
			"-N", now, hex.EncodeToString(secret))))
	}
	d := r.hard("ann", authenticator.Key{Secret: secret, Hash: hash, Digits: digits, Period: time.Minute})
	_, err := r.Confirm(t.Context(), "ann", show(0)[0])
	r.wants("Confirm", err, "ok")
	time.Sleep(24 * time.Hour)
	r.verify("ann", "25 min ahead", show(25 * time.Minute)[0], otp.ReasonWrong)
	p := show(25 * time.Minute)
	r.wants("Resync", r.Resync(t.Context(), "ann", d.id, p[0], p[1]), "ok")
	time.Sleep(2 * time.Minute)
	r.verify("ann", "the next code", show(25 * time.Minute)[0], "ok")
}

// TestRealOathtoolApp: the secret that people type into an app makes the codes that the
// service accepts.
func TestRealOathtoolApp(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T) {
		r := newRig(t)
		e, err := r.Enroll(t.Context(), authenticator.Request{Subject: "ann", Account: "ann"})
		r.wants("Enroll", err, "ok")
		now := time.Now().UTC().Format("2006-01-02 15:04:05 UTC")
		code := tool(t, "oathtool", "--totp", "--base32", "-N", now, e.Secret)
		_, err = r.Confirm(t.Context(), "ann", string(code))
		r.wants("Confirm", err, "ok")
	})
}

// TestRealPskctool: pskctool reads the same secrets from the files that both can read.
func TestRealPskctool(t *testing.T) {
	t.Parallel()
	part := regexp.MustCompile(`(?s)SerialNo: (\S+).*?Algorithm: \S+:(\w+)\s.*?Key Secret \(base64\): (\S+)`)
	for _, name := range []string{"plain", "default-namespace", "signed", "mixed"} {
		out := string(tool(t, "pskctool", "--info", filepath.Join("testdata", name+".pskcxml")))
		theirs := map[string]string{}
		for _, p := range strings.Split(out, "KeyPackage ") {
			if m := part.FindStringSubmatch(p); m != nil {
				theirs[m[1]] = m[2] + " " + m[3]
			}
		}
		keys, _, err := readPSKC(t, name+".pskcxml", expected{}, false)
		if err != nil || len(keys) == 0 {
			t.Fatal(keys, err)
		}
		for _, k := range keys {
			kind := "totp"
			if k.Counter {
				kind = "hotp"
			}
			if ours := kind + " " + base64.StdEncoding.EncodeToString(k.Secret); theirs[k.Serial] != ours {
				t.Errorf("%s: %s: %q, pskctool has %q", name, k.Serial, ours, theirs[k.Serial])
			}
		}
	}
}

// writePSKC is a program that writes containers in all the ways that python-pskc can
// encrypt, and prints what is in them.
const writePSKC = `
import json, os, sys
from pskc import PSKC
told = {}
def make(name, encrypt):
    p = PSKC()
    keys = []
    for i in range(3):
        k = p.add_key(id='K%d' % i, serial='S%d' % i, manufacturer='Acme', secret=os.urandom(24),
            algorithm='urn:ietf:params:xml:ns:keyprov:pskc:' + ('hotp' if i else 'totp'),
            response_length=6 + i, response_encoding='DECIMAL')
        if i:
            k.counter = 5000 * i
        else:
            k.time_interval = 60
        keys.append([k.serial, k.secret.hex(), k.counter or 0])
    key = encrypt(p)
    with open(os.path.join(sys.argv[1], name), 'wb') as f:
        p.write(f)
    told[name] = {'key': key, 'keys': keys}
def preshared(algorithm, size):
    def f(p):
        key = os.urandom(size)
        fields = ['secret'] if 'kw' in algorithm else ['secret', 'counter']
        p.encryption.setup_preshared_key(key=key, algorithm=algorithm, key_name='T', fields=fields)
        return key.hex()
    return f
def password(prf):
    def f(p):
        p.encryption.setup_pbkdf2('correct horse', iterations=1000, prf=prf, algorithm='aes128-cbc')
        return ''
    return f
make('plain', lambda p: '')
for a, n in (('aes128-cbc', 16), ('aes192-cbc', 24), ('aes256-cbc', 32), ('tripledes-cbc', 24), ('kw-aes128', 16),
        ('kw-aes192', 24), ('kw-aes256', 32)):
    make(a, preshared(a, n))
for prf in (None, 'hmac-sha1', 'hmac-sha256', 'hmac-sha512'):
    make('pbkdf2-' + str(prf), password(prf))
print(json.dumps(told))
`

// TestRealPythonPSKC reads what python-pskc has encrypted.
func TestRealPythonPSKC(t *testing.T) {
	t.Parallel()
	const python = "/usr/bin/python3" // the one that Debian's python3-pskc belongs to
	need(t, "python3-pskc", exec.Command(python, "-c", "import pskc, cryptography").Run() == nil)
	dir := t.TempDir()
	var files map[string]struct {
		Key  string
		Keys [][3]any
	}
	if err := json.Unmarshal(tool(t, python, "-c", writePSKC, dir), &files); err != nil {
		t.Fatal(err)
	}
	if len(files) != 12 {
		t.Errorf("%d files", len(files))
	}
	for name, f := range files {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		key, _ := hex.DecodeString(f.Key)
		keys, skipped, err := authenticator.ReadPSKC(bytes.NewReader(b),
			authenticator.PSKC{Key: key, Password: "correct horse"})
		if err != nil || len(keys) != 3 || len(skipped) != 0 {
			t.Errorf("%s: %v, %v, %v", name, keys, skipped, err)
			continue
		}
		for i, k := range keys {
			want := f.Keys[i]
			if k.Serial != want[0] || hex.EncodeToString(k.Secret) != want[1] || float64(k.Moving) != want[2] ||
				k.Digits != 6+i || k.Counter != (i > 0) || !k.Counter && k.Period != time.Minute {
				t.Errorf("%s: %v, counter %d, %d digits, want %v", name, k, k.Moving, k.Digits, want)
			}
		}
	}
}
