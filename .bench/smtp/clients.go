package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net"
	netsmtp "net/smtp"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	gosmtp "github.com/emersion/go-smtp"
	"github.com/wneessen/go-mail"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smtp"
)

const (
	ours   = "otpcourier"
	signed = "otpcourier+dkim" // with a signature by RSA-2048, which the others do not make
)

const (
	from    = "codes@mybank.example"
	to      = "ann.recipient@example.com"
	subject = "Your MyBank code"
)

var (
	text = "582037 is your MyBank code. It is valid for 5 minutes. Nobody at MyBank will ever ask you for it.\n"
	html = `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>` + subject + `</title></head><body><p>` +
		`<b style="font-size:28px">582037</b></p><p>` + strings.Repeat("is your MyBank code. ", 9) +
		`</p></body></html>`
	ready = strings.ReplaceAll("Date: Mon, 02 Jan 2006 15:04:05 +0000\nFrom: \"MyBank\" <"+from+">\n"+
		"To: <"+to+">\nMessage-ID: <c4n7.1@mybank.example>\n"+
		"Subject: "+subject+"\nMIME-Version: 1.0\nAuto-Submitted: auto-generated\n"+
		"Content-Type: multipart/alternative; boundary=\"=_b\"\n\n"+
		"--=_b\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n"+wrap(text)+
		"\n--=_b\nContent-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n"+
		wrap(html)+"\n--=_b--\n", "\n", "\r\n")
)

// wrap breaks lines softly, well enough for the text at hand.
func wrap(s string) string {
	s = strings.ReplaceAll(strings.TrimSpace(s), "=", "=3D")
	var b strings.Builder
	for len(s) > 70 {
		b.WriteString(s[:70] + "=\n")
		s = s[70:]
	}
	return b.String() + s + "\n"
}

// A client measures itself: messages a second over so many connections.
type client struct {
	name    string
	measure func(t target, conns int, during time.Duration) (float64, error)
}

// clients returns the clients that only names, separated by commas. If only is
// empty, it returns all. cleanUp removes the nodemailer that clients installed.
func clients(only string) (chosen []client, cleanUp func(), err error) {
	names := strings.Split(only, ",")
	wanted := func(name string) bool { return only == "" || slices.Contains(names, name) }
	all := []client{
		{ours, sendBy(openChannel)},
		{signed, sendBy(openSigned)},
		{"go-smtp", sendBy(perConn(openGoSMTP))},
		{"net/smtp", sendBy(perConn(openNetSMTP))},
		{"go-mail", sendBy(perConn(openGoMail))},
		{"raw", sendBy(perConn(openRaw))},
	}
	cleanUp = func() {}
	if wanted("nodemailer") {
		var modules string
		switch modules, cleanUp, err = findNodemailer(); {
		case err == nil:
			all = append(all, client{"nodemailer", nodemailer(modules)})
		case errors.Is(err, exec.ErrNotFound) && only == "":
			fmt.Fprintln(os.Stderr, "bench: nodemailer is left out:", err)
		default:
			return nil, nil, fmt.Errorf("nodemailer: %w", err)
		}
	}
	return slices.DeleteFunc(all, func(c client) bool { return !wanted(c.name) }), cleanUp, nil
}

// findNodemailer returns the directory of modules that holds nodemailer: that of
// NODE_PATH, or else a temporary one, into which npm installs it.
func findNodemailer() (modules string, cleanUp func(), err error) {
	cleanUp = func() {}
	if _, err := exec.LookPath("node"); err != nil {
		return "", cleanUp, err
	}
	if exec.Command("node", "-e", `require("nodemailer")`).Run() == nil {
		return os.Getenv("NODE_PATH"), cleanUp, nil
	}
	dir, err := os.MkdirTemp("", "otpcourier-bench-")
	if err != nil {
		return "", cleanUp, err
	}
	install := exec.Command("npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", dir, "nodemailer@10")
	install.Stderr = os.Stderr
	if err := install.Run(); err != nil {
		_ = os.RemoveAll(dir)
		return "", cleanUp, fmt.Errorf("npm install: %w", err)
	}
	return filepath.Join(dir, "node_modules"), func() { _ = os.RemoveAll(dir) }, nil
}

// A sender sends one message over the connection of a worker.
type sender func(worker int) error

// sendBy measures what open returns, with a worker for each connection.
func sendBy(open func(t target, conns int) (sender, func(), error)) func(target, int, time.Duration) (float64, error) {
	return func(t target, conns int, during time.Duration) (float64, error) {
		send, stop, err := open(t, conns)
		if err != nil {
			return 0, err
		}
		defer stop()
		if _, err := run(send, conns, 0); err != nil { // each opens its connection
			return 0, err
		}
		begun := time.Now()
		sent, err := run(send, conns, during)
		return float64(sent) / time.Since(begun).Seconds(), err
	}
}

// run sends with all workers, at least one message each.
func run(send sender, conns int, during time.Duration) (int64, error) {
	var (
		workers sync.WaitGroup
		sent    atomic.Int64
		failed  atomic.Pointer[error]
		until   = time.Now().Add(during)
	)
	for worker := range conns {
		workers.Go(func() {
			for n := int64(1); ; n++ {
				if err := send(worker); err != nil {
					failed.Store(&err)
					return
				}
				if !time.Now().Before(until) {
					sent.Add(n)
					return
				}
			}
		})
	}
	workers.Wait()
	if err := failed.Load(); err != nil {
		return 0, *err
	}
	return sent.Load(), nil
}

// perConn gives each worker a connection of its own.
func perConn(open func(t target) (func() error, io.Closer, error)) func(target, int) (sender, func(), error) {
	return func(t target, conns int) (sender, func(), error) {
		sends, closers := make([]func() error, conns), make([]io.Closer, conns)
		for i := range conns {
			var err error
			if sends[i], closers[i], err = open(t); err != nil {
				return nil, nil, err
			}
		}
		return func(worker int) error { return sends[worker]() }, func() {
			for _, c := range closers {
				_ = c.Close()
			}
		}, nil
	}
}

func openChannel(t target, conns int) (sender, func(), error) { return openWith(t, conns, nil) }

func openSigned(t target, conns int) (sender, func(), error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, nil, err
	}
	dkim, err := smtp.NewDKIM("mybank.example", smtp.DKIMKey{Selector: "rsa", Private: key})
	if err != nil {
		return nil, nil, err
	}
	return openWith(t, conns, dkim)
}

func openWith(t target, conns int, dkim *smtp.DKIM) (sender, func(), error) {
	c := smtp.Config{Addr: t.addr, From: "MyBank <" + from + ">", MaxConns: conns, DKIM: dkim,
		DangerouslyPlaintext: t.tls == nil}
	if t.tls != nil {
		c.TLS, c.TLSConfig = smtp.ImplicitTLS, t.tls
	}
	ch, err := smtp.New(c)
	if err != nil {
		return nil, nil, err
	}
	var n atomic.Int64
	return func(int) error {
		_, err := ch.Send(context.Background(), &channel.Message{
			ID: "bench." + strconv.FormatInt(n.Add(1), 10), To: channel.Recipient{Email: to},
			Subject: subject, Body: text, HTML: html, Expires: time.Now().Add(5 * time.Minute),
		})
		return err
	}, func() { _ = ch.Close() }, nil
}

func (t target) dial() (net.Conn, error) {
	if t.tls != nil {
		return tls.Dial("tcp", t.addr, t.tls)
	}
	return net.Dial("tcp", t.addr)
}

func openGoSMTP(t target) (func() error, io.Closer, error) {
	conn, err := t.dial()
	if err != nil {
		return nil, nil, err
	}
	c := gosmtp.NewClient(conn)
	body := strings.NewReader(ready)
	return func() error {
		body.Reset(ready)
		return c.SendMail(from, []string{to}, body)
	}, c, nil
}

func openNetSMTP(t target) (func() error, io.Closer, error) {
	conn, err := t.dial()
	if err != nil {
		return nil, nil, err
	}
	c, err := netsmtp.NewClient(conn, "localhost")
	if err != nil {
		return nil, nil, err
	}
	body := []byte(ready)
	return func() error {
		if err := errors.Join(c.Mail(from), c.Rcpt(to)); err != nil {
			return err
		}
		w, err := c.Data()
		if err != nil {
			return err
		}
		if _, err := w.Write(body); err != nil {
			return err
		}
		return w.Close()
	}, c, nil
}

func openGoMail(t target) (func() error, io.Closer, error) {
	host, port, err := net.SplitHostPort(t.addr)
	if err != nil {
		return nil, nil, err
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return nil, nil, err
	}
	options := []mail.Option{mail.WithPort(number), mail.WithoutNoop()}
	if t.tls != nil {
		options = append(options, mail.WithSSL(), mail.WithTLSConfig(t.tls))
	} else {
		options = append(options, mail.WithTLSPolicy(mail.NoTLS))
	}
	c, err := mail.NewClient(host, options...)
	if err != nil {
		return nil, nil, err
	}
	if err := c.DialWithContext(context.Background()); err != nil {
		return nil, nil, err
	}
	return func() error {
		m := mail.NewMsg()
		if err := errors.Join(m.FromFormat("MyBank", from), m.To(to)); err != nil {
			return err
		}
		m.Subject(subject)
		m.SetBodyString(mail.TypeTextPlain, text)
		m.AddAlternativeString(mail.TypeTextHTML, html)
		return c.Send(m)
	}, c, nil
}

// openRaw is the ceiling: two round trips without a client.
func openRaw(t target) (func() error, io.Closer, error) {
	conn, err := t.dial()
	if err != nil {
		return nil, nil, err
	}
	buf := make([]byte, 4096)
	expect := func(suffix string) error {
		n := 0
		for !bytes.HasSuffix(buf[:n], []byte(suffix)) {
			read, err := conn.Read(buf[n:])
			if err != nil {
				return err
			}
			n += read
		}
		return nil
	}
	exchange := func(command []byte, suffix string) error {
		if _, err := conn.Write(command); err != nil {
			return err
		}
		return expect(suffix)
	}
	if err := errors.Join(expect("ESMTP\r\n"),
		exchange([]byte("EHLO client.example\r\n"), "SIZE 10485760\r\n")); err != nil {
		return nil, nil, err
	}
	commands := []byte("MAIL FROM:<" + from + ">\r\nRCPT TO:<" + to + ">\r\nDATA\r\n")
	body := []byte(ready + ".\r\n")
	return func() error {
		if err := exchange(commands, "354 go ahead\r\n"); err != nil {
			return err
		}
		return exchange(body, "4XyZ12\r\n")
	}, conn, nil
}

//go:embed nodemailer.cjs
var nodemailerScript string

// nodemailer measures the package in a directory of modules.
func nodemailer(modules string) func(target, int, time.Duration) (float64, error) {
	return func(t target, conns int, during time.Duration) (float64, error) {
		host, port, err := net.SplitHostPort(t.addr)
		if err != nil {
			return 0, err
		}
		command := exec.Command("node", "-e", nodemailerScript)
		command.Env = append(os.Environ(),
			"NODE_PATH="+modules,
			"HOST="+host, "PORT="+port, "CA="+t.pem, "CONNS="+strconv.Itoa(conns),
			fmt.Sprint("MILLIS=", during.Milliseconds()),
			"FROM="+from, "TO="+to, "SUBJECT="+subject, "TEXT="+text, "HTML="+html)
		command.Stderr = os.Stderr
		out, err := command.Output()
		if err != nil {
			return 0, err
		}
		return strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	}
}
