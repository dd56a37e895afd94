package gatewaytest

import (
	"crypto/tls"
	"testing"
	"testing/synctest"
	"time"
)

// Nobody waits for the other end to notice that a connection is closed.
func TestPipeCloses(t *testing.T) {
	t.Parallel()
	certificate, roots := selfSigned()
	synctest.Test(t, func(t *testing.T) {
		l := newPipeListener()
		accepted := make(chan *tls.Conn, 1)
		go func() {
			c, err := l.Accept()
			if err != nil {
				t.Error(err)
				return
			}
			s := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{certificate}, SessionTicketsDisabled: true})
			if err := s.HandshakeContext(t.Context()); err != nil {
				t.Error(err)
			}
			accepted <- s
		}()
		c, err := l.dial(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		client := tls.Client(c, &tls.Config{RootCAs: roots, ServerName: pipeHost, MinVersion: tls.VersionTLS12})
		if err := client.HandshakeContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		server, began := <-accepted, time.Now()
		_ = client.Close() // nobody reads
		_ = server.Close()
		if took := time.Since(began); took != 0 {
			t.Errorf("closing took %v", took)
		}
	})
}
