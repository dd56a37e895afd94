//go:build linux

package smtp_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smtp"
)

// A postfix is a real Postfix on the loopback interface, with a directory of
// its own for everything.
type postfix struct {
	dir      string
	roots    *x509.CertPool
	starttls string // addresses: STARTTLS, and
	accept   string // takes mail for anyone, and bounces it later
	implicit string // TLS from the first byte
	strict   string // refuses recipients whose domain has no dot
	narrow   string // allows three connections at once
}

// startPostfix starts one, stopped with the test. Without Postfix or root the
// test is skipped, unless OTPCOURIER_REAL is "require".
func startPostfix(t *testing.T) *postfix {
	t.Helper()
	for _, program := range []string{"postfix", "saslpasswd2"} {
		if _, err := exec.LookPath(program); err != nil {
			lacks(t, "no "+program+" (Debian: postfix sasl2-bin libsasl2-modules)")
		}
	}
	if os.Geteuid() != 0 {
		lacks(t, "Postfix starts only as root")
	}
	//nolint:usetesting // the directory of TempDir is closed to Postfix's user
	dir, err := os.MkdirTemp("", "otpcourier-postfix-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	p := &postfix{dir: dir, roots: x509.NewCertPool()}
	p.starttls, p.accept, p.implicit = freeAddr(t), freeAddr(t), freeAddr(t)
	p.strict, p.narrow = freeAddr(t), freeAddr(t)
	p.configure(t)
	p.run(t, "postfix", "-c", p.path("etc"), "start") // returns when it listens
	t.Cleanup(func() { p.stop(t) })
	return p
}

// stop stops it in its own way. Where it does not obey the test fails, and it
// is killed.
func (p *postfix) stop(t *testing.T) {
	pid, err := os.ReadFile(p.path("queue", "pid", "master.pid"))
	if err != nil {
		t.Fatal(err)
	}
	master, err := strconv.Atoi(strings.TrimSpace(string(pid)))
	if err != nil {
		t.Fatal(err)
	}
	stopped := false
	defer func() {
		if !stopped {
			_ = syscall.Kill(-master, syscall.SIGKILL)
		}
	}()
	p.run(t, "postfix", "-c", p.path("etc"), "stop")
	stopped = true
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (p *postfix) path(elem ...string) string {
	return filepath.Join(append([]string{p.dir}, elem...)...)
}

const mainCF = `compatibility_level = 3.6
queue_directory = D/queue
data_directory = D/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
shlib_directory = /usr/lib/postfix
mail_owner = postfix
setgid_group = postdrop
maillog_file = D/mail.log
maillog_file_prefixes = D
myhostname = mx.otp.test
mydestination =
mynetworks =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
alias_database =
local_recipient_maps =
virtual_mailbox_domains = example.test,otp.test
virtual_mailbox_base = D/mail
virtual_mailbox_maps = texthash:D/etc/vmailbox
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
recipient_delimiter = +
default_transport = error:5.1.2
smtpd_tls_cert_file = D/etc/cert.pem
smtpd_tls_key_file = D/etc/key.pem
smtpd_tls_security_level = may
smtpd_sasl_type = cyrus
smtpd_sasl_path = smtpd
cyrus_sasl_config_path = D/etc/sasl
smtpd_relay_restrictions = permit_sasl_authenticated,reject
smtpd_recipient_restrictions = permit_sasl_authenticated,reject
`

const masterCF = `STARTTLS inet n - n - - smtpd -o smtpd_tls_security_level=encrypt -o smtpd_sasl_auth_enable=yes
ACCEPT inet n - n - - smtpd -o smtpd_tls_security_level=encrypt -o smtpd_sasl_auth_enable=yes
  -o smtpd_reject_unlisted_recipient=no
STRICT inet n - n - - smtpd -o smtpd_tls_security_level=encrypt -o smtpd_sasl_auth_enable=yes
  -o smtpd_recipient_restrictions=reject_non_fqdn_recipient,permit_sasl_authenticated,reject
NARROW inet n - n - - smtpd -o smtpd_tls_security_level=encrypt -o smtpd_sasl_auth_enable=yes
  -o smtpd_client_connection_count_limit=3
IMPLICIT inet n - n - - smtpd -o smtpd_tls_wrappermode=yes -o smtpd_sasl_auth_enable=yes
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
`

func (p *postfix) configure(t *testing.T) {
	t.Helper()
	if err := os.Chmod(p.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"etc/sasl", "queue", "data", "mail"} {
		if err := os.MkdirAll(p.path(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	certificate, key := certify(t, p.roots)
	for name, content := range map[string]string{
		"main.cf": strings.ReplaceAll(mainCF, "D/", p.dir+"/") + "maillog_file_prefixes = " + p.dir + "\n",
		"master.cf": strings.NewReplacer("STARTTLS", p.starttls, "ACCEPT", p.accept, "IMPLICIT", p.implicit, "STRICT",
			p.strict, "NARROW",
			p.narrow).Replace(masterCF),
		"vmailbox": "alice@example.test alice/\nbounce@otp.test bounces/\n",
		"sasl/smtpd.conf": "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: " +
			p.path("data", "sasldb2") + "\nmech_list: PLAIN LOGIN SCRAM-SHA-256\n",
		"cert.pem": certificate,
		"key.pem":  key,
	} {
		if err := os.WriteFile(p.path("etc", name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p.runWith(t, strings.NewReader("secret"), "saslpasswd2", "-p", "-c", "-f", p.path("data", "sasldb2"), "-u",
		"otp.test", "otp")
	p.run(t, "chown", "-R", "postfix", p.path("data"))
	p.run(t, "chown", "nobody", p.path("mail"))
}

func (p *postfix) run(t *testing.T, name string, args ...string) {
	t.Helper()
	p.runWith(t, nil, name, args...)
}

func (p *postfix) runWith(t *testing.T, stdin io.Reader, name string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	command := exec.CommandContext(ctx, name, args...)
	command.Stdin = stdin
	command.WaitDelay = time.Second // what it leaves running has its output open
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s%s", name, args, err, out, p.log())
	}
}

func (p *postfix) log() string {
	log, _ := os.ReadFile(p.path("mail.log"))
	return string(log)
}

// await polls, bounded, until done.
func (p *postfix) await(t *testing.T, what string, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("no %s\n%s", what, p.log())
		}
	}
}

// mailbox waits for a mail in a maildir, and takes it out.
func (p *postfix) mailbox(t *testing.T, name string) []byte {
	t.Helper()
	var found []string
	p.await(t, "mail for "+name, func() bool {
		found, _ = filepath.Glob(p.path("mail", name, "new", "*"))
		return len(found) > 0
	})
	raw, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(found[0]); err != nil {
		t.Fatal(err)
	}
	return raw
}

// channel returns a channel to one of Postfix's ports.
func (p *postfix) channel(t *testing.T, addr string, change ...func(*smtp.Config)) *smtp.Channel {
	t.Helper()
	c := smtp.Config{
		Addr:         addr,
		TLSConfig:    &tls.Config{RootCAs: p.roots},
		Username:     "otp@otp.test",
		Password:     "secret",
		From:         "MyBank <codes@otp.test>",
		EnvelopeFrom: "bounce@otp.test",
	}
	if addr == p.implicit {
		c.TLS = smtp.ImplicitTLS
	}
	for _, f := range change {
		f(&c)
	}
	ch, err := smtp.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ch.Close() })
	return ch
}

func (p *postfix) message(id, to string) *channel.Message {
	m := message(id)
	m.To.Email = to
	return m
}
