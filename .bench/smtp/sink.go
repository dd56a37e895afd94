package main

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"time"
)

const (
	roleVariable = "OTPCOURIER_BENCH_ROLE"
	roleSink     = "sink"

	plain  = "plain"
	secure = "tls"
	slow   = "tls-10ms"
)

// An offer is what a sink tells its parent.
type offer struct {
	Addrs map[string]string
	PEM   string
}

// A sinkProcess takes everybody's mail in a process of its own, for as long as
// its standard input is open.
type sinkProcess struct {
	offer
	command *exec.Cmd
	hold    io.Closer
}

func startSink() (*sinkProcess, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	s := &sinkProcess{command: exec.Command(self)}
	s.command.Env = append(os.Environ(), roleVariable+"="+roleSink)
	s.command.Stderr = os.Stderr
	if s.hold, err = s.command.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := s.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.command.Start(); err != nil {
		return nil, err
	}
	return s, json.NewDecoder(out).Decode(&s.offer)
}

func (s *sinkProcess) stop() {
	_ = s.hold.Close()
	_ = s.command.Wait()
}

// A target is where a client sends to.
type target struct {
	addr string
	tls  *tls.Config // nil: in the clear
	pem  string
}

func (s *sinkProcess) target(c column) target {
	t := target{addr: s.Addrs[c.server]}
	if c.server != plain {
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM([]byte(s.PEM))
		t.tls, t.pem = &tls.Config{RootCAs: roots, ServerName: "localhost", MinVersion: tls.VersionTLS12}, s.PEM
	}
	return t
}

// sink serves until its standard input ends.
func sink() error {
	certificate, encoded, err := selfSigned()
	if err != nil {
		return err
	}
	o := offer{Addrs: map[string]string{}, PEM: encoded}
	for _, name := range []string{plain, secure, slow} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		o.Addrs[name] = listener.Addr().String()
		if name != plain {
			listener = tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{certificate}})
		}
		var delay time.Duration
		if name == slow {
			delay = 10 * time.Millisecond
		}
		go func() {
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				go func() { _ = take(conn, delay) }()
			}
		}()
	}
	if err := json.NewEncoder(os.Stdout).Encode(o); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

var replies = map[string]string{
	"EHLO": "250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 10485760\r\n",
	"DATA": "354 go ahead\r\n",
	"QUIT": "221 2.0.0 bye\r\n",
}

// take answers one client. What is written together is answered together, after
// the delay.
func take(conn net.Conn, delay time.Duration) error {
	defer conn.Close()
	in, out := bufio.NewReaderSize(conn, 16<<10), bufio.NewWriter(conn)
	_, _ = out.WriteString("220 sink ESMTP\r\n")
	inBody := false
	for {
		if in.Buffered() == 0 && out.Buffered() > 0 {
			time.Sleep(delay)
			if err := out.Flush(); err != nil {
				return err
			}
		}
		line, err := in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) < 3 || inBody && !bytes.Equal(line, []byte(".\r\n")) {
			continue
		}
		if inBody {
			inBody = false
			_, _ = out.WriteString("250 2.0.0 Ok: queued as 4XyZ12\r\n")
			continue
		}
		if len(line) < 4 {
			return errors.New("not a command")
		}
		reply, ok := replies[string(line[:4])]
		if !ok {
			reply = "250 2.1.0 Ok\r\n"
		}
		_, _ = out.WriteString(reply)
		inBody = string(line[:4]) == "DATA"
	}
}

func selfSigned() (tls.Certificate, string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, "", err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost"}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, "", err
	}
	encoded := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, string(encoded), nil
}
