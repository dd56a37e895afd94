//go:build linux

package smtp_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/smtp"
	"github.com/otpcourier/otpcourier/smtp/smtptest"
)

// lacks skips the test, unless OTPCOURIER_REAL is "require".
func lacks(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("OTPCOURIER_REAL") == "require" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// certify makes a certificate for 127.0.0.1, which roots then trusts.
func certify(t *testing.T, roots *x509.CertPool) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mx.otp.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	encoded := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	roots.AppendCertsFromPEM(encoded)
	return string(encoded), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
}

// realDir makes a directory that a server's own user can enter.
func realDir(t *testing.T, name string, owner string) string {
	t.Helper()
	//nolint:usetesting // the directory of TempDir is closed to other users
	dir, err := os.MkdirTemp("", "otpcourier-"+name+"-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if owner != "" {
		if out, err := exec.CommandContext(t.Context(), "chown", owner, dir).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	return dir
}

// runServer runs a server in the foreground until the test ends, and returns once
// it listens at addr.
func runServer(t *testing.T, addr string, log func() string, name string, args ...string) {
	t.Helper()
	server := exec.Command(name, args...)
	server.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var out strings.Builder
	server.Stdout, server.Stderr = &out, &out
	server.WaitDelay = time.Second
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-server.Process.Pid, syscall.SIGTERM)
		done := time.AfterFunc(5*time.Second, func() { _ = syscall.Kill(-server.Process.Pid, syscall.SIGKILL) })
		defer done.Stop()
		_ = server.Wait()
	})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr); err == nil {
			_ = conn.Close()
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s does not listen\n%s", name, log())
		}
	}
}

func write(t *testing.T, path, content string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func logOf(path string) func() string {
	return func() string {
		text, _ := os.ReadFile(path)
		return string(text)
	}
}

const eximConf = `exim_path = EXIM
keep_environment =
primary_hostname = exim.otp.test
local_interfaces = 127.0.0.1
daemon_smtp_ports = PORT
spool_directory = D/spool
log_file_path = D/%slog
log_selector = +queue_run
pid_file_path = D/exim.pid
tls_advertise_hosts =
never_users =
trusted_users = root
acl_smtp_rcpt = rcpt
host_lookup =
rfc1413_query_timeout = 0s
begin acl
rcpt:
  accept domains = example.test
  deny message = relay not permitted
begin routers
local:
  driver = accept
  domains = example.test
  transport = maildir
begin transports
maildir:
  driver = appendfile
  directory = D/mail
  maildir_format
  create_directory
  user = Debian-exim
begin retry
* * F,2h,15m
`

// A real Exim, with its default limits, delivers each mail at once: also those
// that its smtp_accept_queue_per_connection would leave to the next queue run. It
// is taken from OTPCOURIER_EXIM, because the package conflicts with Postfix's.
func TestRealExim(t *testing.T) {
	exim := os.Getenv("OTPCOURIER_EXIM")
	if exim == "" {
		exim, _ = exec.LookPath("exim4")
	}
	if exim == "" || os.Geteuid() != 0 {
		lacks(t, "no exim4 (Debian: exim4-daemon-light, unpacked; OTPCOURIER_EXIM), or not root")
	}
	dir, addr := realDir(t, "exim", "Debian-exim"), freeAddr(t)
	_, port, _ := net.SplitHostPort(addr)
	conf := write(t, filepath.Join(dir, "exim.conf"), strings.NewReplacer("D/", dir+"/", "PORT", port, "EXIM",
		exim).Replace(eximConf))
	log := logOf(filepath.Join(dir, "mainlog"))
	runServer(t, addr, log, exim, "-C", conf, "-bdf")
	ch, err := smtp.New(smtp.Config{Addr: addr, DangerouslyPlaintext: true, From: "MyBank <codes@mybank.example>",
		MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ch.Close() })
	ids := map[string]bool{}
	for range 50 {
		m := message("exim.1")
		m.To.Email = "alice@example.test"
		s, err := ch.Send(t.Context(), m)
		if err != nil {
			t.Fatalf("%v\n%s", err, log())
		}
		ids[s.ProviderIDs[0]] = true
	}
	delivered := 0
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for delivered < 50 {
		found, _ := filepath.Glob(filepath.Join(dir, "mail", "new", "*"))
		delivered = len(found)
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("%d of 50 mails were delivered\n%s", delivered, log())
		}
	}
	for id := range ids {
		if !strings.Contains(log(), id+" => alice") {
			t.Errorf("no delivery of %s in Exim's log", id)
		}
	}
	if len(ids) != 50 || strings.Contains(log(), "no immediate delivery") {
		t.Errorf("%d ids\n%s", len(ids), log())
	}
}

const dovecotConf = `protocols = submission
listen = 127.0.0.1
base_dir = D/run
state_dir = D/state
log_path = D/log
hostname = dovecot.otp.test
default_internal_user = dovecot
default_login_user = dovenull
first_valid_uid = 1
ssl = yes
ssl_cert = <D/cert.pem
ssl_key = <D/key.pem
mail_location = maildir:D/mail/%u
passdb {
  driver = static
  args = password=secret
}
userdb {
  driver = static
  args = uid=nobody gid=nogroup home=D/mail/%u
}
service submission-login {
  inet_listener submission {
    address = 127.0.0.1
    port = PORT
  }
}
service stats {
  chroot =
}
submission_relay_host = 127.0.0.1
submission_relay_port = RELAY
submission_relay_trusted = no
protocol submission {
  mail_max_userip_connections = 3
}
`

// A real Dovecot, which allows a user three connections, takes each message.
func TestRealDovecot(t *testing.T) {
	dovecot, err := exec.LookPath("dovecot")
	if err != nil || os.Geteuid() != 0 {
		lacks(t, "no dovecot (Debian: dovecot-submissiond), or not root")
	}
	dir, addr := realDir(t, "dovecot", ""), freeAddr(t)
	relay := smtptest.NewServer(smtptest.Config{TLS: smtptest.Plaintext})
	t.Cleanup(relay.Close)
	_, port, _ := net.SplitHostPort(addr)
	_, relayPort, _ := net.SplitHostPort(relay.Addr())
	roots := x509.NewCertPool()
	certificate, key := certify(t, roots)
	write(t, filepath.Join(dir, "cert.pem"), certificate)
	write(t, filepath.Join(dir, "key.pem"), key)
	if err := os.Mkdir(filepath.Join(dir, "mail"), 0o777); err != nil || os.Chmod(filepath.Join(dir, "mail"),
		0o777) != nil {
		t.Fatal(err)
	}
	conf := write(t, filepath.Join(dir, "dovecot.conf"),
		strings.NewReplacer("D/", dir+"/", "PORT", port, "RELAY", relayPort).Replace(dovecotConf))
	log := logOf(filepath.Join(dir, "log"))
	runServer(t, addr, log, dovecot, "-F", "-c", conf)
	ch, err := smtp.New(smtp.Config{
		Addr: addr, TLSConfig: &tls.Config{RootCAs: roots}, Username: "codes", Password: "secret",
		From: "MyBank <codes@mybank.example>",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ch.Close() })
	route := byFailover(t, ch)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if _, err := route.Send(t.Context(), message("dovecot.1")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := len(relay.Mails()); n != 400 || t.Failed() {
		t.Errorf("%d of 400 mails were sent\n%s", n, log())
	}
	if !strings.Contains(log(), "mail_max_userip_connections") {
		t.Errorf("Dovecot has refused no connection\n%s", log())
	}
}
