package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/smppserver"
)

const demoPassword = "s3cret42"

func demoAccounts() (accounts, error) {
	password := newHash(demoPassword, 1).String() // a real hash takes longer
	return newAccounts(
		&account{SystemID: "aggregator", PasswordHash: password, Sender: "OTP"},
		&account{SystemID: "slow", PasswordHash: password, Sender: "OTP", TPS: 2, Binds: 2},
		&account{SystemID: "europe", PasswordHash: password, Sender: "OTP", Countries: []string{"DE", "FR"}},
		&account{SystemID: "elsewhere", PasswordHash: password, Sender: "OTP",
			Networks: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}},
	)
}

// An aggregator checks a connector.
type aggregator struct {
	out    io.Writer
	dial   func() (net.Conn, error)
	failed int
}

// demo starts a connector and plays an aggregator against it.
func demo(ctx context.Context, out io.Writer) error {
	all, err := demoAccounts()
	if err != nil {
		return err
	}
	server, client, err := certificate()
	if err != nil {
		return err
	}
	c, err := newConnector(all, smppserver.Config{TLS: server}, nil)
	if err != nil {
		return err
	}
	defer func() { _ = c.server.Close() }()
	c.channel = &demoChannel{out: out}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- c.server.Serve(l) }()
	a := &aggregator{out: out, dial: func() (net.Conn, error) {
		return (&tls.Dialer{Config: client}).DialContext(ctx, "tcp", l.Addr().String())
	}}
	if err := a.run(); err != nil {
		return err
	}
	if err := c.server.Shutdown(ctx); err != nil {
		return err
	}
	<-served
	fmt.Fprintf(out, "metrics: sessions=%d %v\n", len(c.server.Sessions()), c.metrics)
	if a.failed > 0 {
		return fmt.Errorf("%d answers differ from the guide's", a.failed)
	}
	return nil
}

// certificate makes a server's configuration with a certificate for the
// loopback address, and a client's that trusts it.
func certificate() (server, client *tls.Config, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, nil, err
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	pair := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12},
		&tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, nil
}

func (a *aggregator) run() error {
	for _, step := range []struct {
		title string
		run   func() error
	}{
		{"1. The texts of the guide", a.texts},
		{"2. The table of command_status", a.statuses},
		{"3. The input limits", a.limits},
		{"4. The rate, shared by all sessions", a.rate},
		{"5. Languages and brands", a.languages},
		{"6. Refused binds", a.binds},
	} {
		fmt.Fprintln(a.out, step.title)
		if err := step.run(); err != nil {
			return fmt.Errorf("%s: %w", step.title, err)
		}
	}
	return nil
}

// check compares an answer with the guide's.
func (a *aggregator) check(name string, got, want smpp.Status) {
	verdict := "ok"
	if got != want {
		verdict = "WRONG, want " + want.String()
		a.failed++
	}
	fmt.Fprintf(a.out, "   %s: %v (%s) %s\n", name, got, got.Code(), verdict)
}

// bound opens a session.
func (a *aggregator) bound(systemID string) (*esme, error) {
	c, err := a.dial()
	if err != nil {
		return nil, err
	}
	e := newESME(c)
	status, err := e.bind(bindTransceiver, systemID, demoPassword)
	if err == nil && status != smpp.StatusOK {
		err = status
	}
	return e, err
}

// leave unbinds.
func (e *esme) leave() error {
	status, _, err := e.ask(unbind, nil)
	if err == nil && status != smpp.StatusOK {
		err = status
	}
	return errors.Join(err, e.conn.Close())
}

// guideTexts are the examples of the guide, and their codes.
var guideTexts = []struct{ text, code string }{
	{"Your verification code is 482910", "482910"},
	{"OTP: 123456", "123456"},
	{"Use code 482910 to verify your account", "482910"},
	{"482910", "482910"},
	{"Your PIN is 9821", "9821"},
	{"code: 482-910", "482910"},
}

func (a *aggregator) texts() error {
	e, err := a.bound("aggregator")
	if err != nil {
		return err
	}
	for i, v := range guideTexts {
		status, id, err := e.submit(submit{to: "14155552671", text: v.text})
		if err != nil {
			return err
		}
		a.check(fmt.Sprintf("%q", v.text), status, smpp.StatusOK)
		if err := e.awaitReceipts(i + 1); err != nil {
			return err
		}
		if text := e.receipts[i]; !strings.HasPrefix(text, "id:"+id+" ") || !strings.Contains(text, " stat:DELIVRD ") {
			a.failed++
			fmt.Fprintf(a.out, "   WRONG receipt: %s\n", text)
		}
	}
	fmt.Fprintf(a.out, "   %d receipts\n", len(e.receipts))
	status, _, err := e.ask(enquireLink, nil)
	if err != nil {
		return err
	}
	a.check("enquire_link", status, smpp.StatusOK)
	return e.leave()
}

// submits sends messages over one session and compares their answers.
func (a *aggregator) submits(e *esme, rows []row) error {
	for _, r := range rows {
		status, _, err := e.submit(r.submit)
		if err != nil {
			return err
		}
		a.check(r.name, status, r.want)
	}
	return nil
}

// A row is a message, and its answer by the guide.
type row struct {
	name   string
	submit submit
	want   smpp.Status
}

const anyText = "Your code is 482910"

func (a *aggregator) statuses() error {
	e, err := a.bound("aggregator")
	if err != nil {
		return err
	}
	if err := a.submits(e, []row{
		{"delivered", submit{to: "14155552671", text: anyText, noReceipt: true}, smpp.StatusOK},
		{"not on iMessage", submit{to: "447911123457", text: anyText}, smpp.StatusSubmitFailed},
		{"no capacity", submit{to: "447911123459", text: anyText}, smpp.StatusThrottled},
		{"invalid number", submit{to: "0123", text: anyText}, smpp.StatusInvalidDestination},
		{"system error", submit{to: "447911123458", text: anyText}, smpp.StatusSystemError},
		{"no code", submit{to: "14155552671", text: "Welcome to MyBank"}, smpp.StatusInvalidMsgLength},
	}); err != nil {
		return err
	}
	if err := e.leave(); err != nil {
		return err
	}
	if e, err = a.bound("europe"); err != nil {
		return err
	}
	if err := a.submits(e, []row{
		{"unsupported country", submit{to: "447911123456", text: anyText}, smpp.StatusInvalidDestination},
	}); err != nil {
		return err
	}
	if err := e.leave(); err != nil {
		return err
	}
	return a.unbound()
}

// unbound submits before a bind, and as receiver.
func (a *aggregator) unbound() error {
	for _, name := range []string{"not bound", "bound as receiver"} {
		c, err := a.dial()
		if err != nil {
			return err
		}
		e := newESME(c)
		if name != "not bound" {
			if _, err := e.bind(bindReceiver, "aggregator", demoPassword); err != nil {
				return err
			}
		}
		if err := a.submits(e, []row{
			{name, submit{to: "14155552671", text: anyText}, smpp.StatusInvalidBindStatus},
		}); err != nil {
			return err
		}
		_ = c.Close()
	}
	return nil
}

func (a *aggregator) limits() error {
	e, err := a.bound("aggregator")
	if err != nil {
		return err
	}
	to, dots := "14155552671", func(n int) string { return anyText + strings.Repeat(".", n-len(anyText)) }
	if err := a.submits(e, []row{
		{"512 octets", submit{to: to, text: dots(512), noReceipt: true}, 0},
		{"513 octets", submit{to: to, text: dots(513)}, smpp.StatusInvalidMsgLength},
		{"destination_addr of 22", submit{to: strings.Repeat("1", 22), text: anyText}, smpp.StatusInvalidDestination},
		{"code of 3 digits", submit{to: to, text: "Your code is 482"}, smpp.StatusInvalidMsgLength},
		{"code of 11 digits", submit{to: to, text: "Your code is 48291048291"}, smpp.StatusInvalidMsgLength},
		{"two codes", submit{to: to, text: "Your code is 482910 or 551204"}, smpp.StatusInvalidMsgLength},
		{"brand of 11", submit{to: to, brand: "MyBank MyBa", text: anyText, noReceipt: true}, 0},
		{"brand of 12", submit{to: to, brand: "MyBank MyBan", text: anyText}, smpp.StatusInvalidSource},
		{"life of 5 minutes", submit{to: to, text: anyText, validity: "000000000500000R", noReceipt: true}, 0},
		{"life that is over", submit{to: to, text: anyText, validity: "200101000000000+"}, smpp.StatusInvalidExpiry},
	}); err != nil {
		return err
	}
	return e.leave()
}

func (a *aggregator) rate() error {
	var sessions []*esme
	for range 2 {
		e, err := a.bound("slow")
		if err != nil {
			return err
		}
		sessions = append(sessions, e)
	}
	for i, want := range []smpp.Status{0, 0, smpp.StatusThrottled} {
		if err := a.submits(sessions[i%2], []row{{fmt.Sprintf("message %d of 2 a second", i+1),
			submit{to: "14155552671", text: anyText, noReceipt: true}, want}}); err != nil {
			return err
		}
	}
	_, err := a.bound("slow")
	var status smpp.Status
	if !errors.As(err, &status) {
		return fmt.Errorf("bind 3 of 2: %w", err)
	}
	a.check("bind 3 of 2", status, smpp.StatusAlreadyBound)
	for _, e := range sessions {
		if err := e.leave(); err != nil {
			return err
		}
	}
	return nil
}

func (a *aggregator) languages() error {
	e, err := a.bound("aggregator")
	if err != nil {
		return err
	}
	for _, r := range []row{
		{"Germany", submit{to: "4915123456781", text: "Dein Code: 482910"}, 0},
		{"Brazil", submit{to: "5511961234561", brand: "1xBet", text: anyText}, 0},
		{"Japan, numeric sender", submit{to: "819012345671", brand: "33123456789", numeric: true, text: anyText}, 0},
	} {
		r.submit.noReceipt = true
		if err := a.submits(e, []row{r}); err != nil {
			return err
		}
	}
	return e.leave()
}

// binds blocks the address at the end.
func (a *aggregator) binds() error {
	for _, r := range []struct {
		name, systemID, password string
		want                     smpp.Status
	}{
		{"wrong password", "aggregator", "guess", smpp.StatusInvalidPassword},
		{"unknown system_id", "nobody", demoPassword, smpp.StatusInvalidPassword},
		{"address not allowed", "elsewhere", demoPassword, smpp.StatusBindFailed},
		{"guess 4", "aggregator", "guess 4", smpp.StatusInvalidPassword},
		{"guess 5", "aggregator", "guess 5", smpp.StatusInvalidPassword},
		{"right password, address blocked", "aggregator", demoPassword, smpp.StatusBindFailed},
	} {
		c, err := a.dial()
		if err != nil {
			return err
		}
		status, err := newESME(c).bind(bindTransceiver, r.systemID, r.password)
		if err != nil {
			return err
		}
		a.check(r.name, status, r.want)
		_ = c.Close()
	}
	return nil
}
