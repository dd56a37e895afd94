package gateway_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/channeltest"
	"github.com/otpcourier/otpcourier/gateway/provider"
	"github.com/otpcourier/otpcourier/gateway/smsgate"
)

// clientCertificate makes a certificate for a client, and its authority.
func clientCertificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true, IsCA: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	authority := x509.NewCertPool()
	authority.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, authority
}

// A server may ask for a client certificate: Config.Client presents it.
func TestClientCertificate(t *testing.T) {
	t.Parallel()
	certificate, authority := clientCertificate(t)
	stranger, _ := clientCertificate(t)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusAccepted)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // strangers are turned away
	s.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: authority, MinVersion: tls.VersionTLS12}
	s.StartTLS()
	t.Cleanup(s.Close)
	trusting := s.Client().Transport.(*http.Transport)

	for name, row := range map[string]struct {
		certificates []tls.Certificate
		accepted     bool
	}{
		"ours":       {[]tls.Certificate{certificate}, true},
		"a stranger": {[]tls.Certificate{stranger}, false},
		"none":       {nil, false},
	} {
		transport := trusting.Clone()
		transport.TLSClientConfig.Certificates = row.certificates
		t.Cleanup(transport.CloseIdleConnections)
		client := &http.Client{Transport: transport}
		phone, err := smsgate.New(smsgate.Config{
			URL: s.URL + "/api/3rdparty/v1", Username: "user", Password: "secret", Client: client,
			Devices: []smsgate.Device{{ID: "pixel"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = phone.Close() })
		traccar, err := provider.New(provider.Config{
			Provider: "traccar", Client: client, Values: map[string]string{"url": s.URL, "key": "key"},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = traccar.Close() })
		for what, c := range map[string]channel.Channel{"smsgate": phone, "provider": traccar} {
			m := channeltest.Message(channel.Phone, "c4n7.1")
			m.To.Phone = "+19162255887"
			// The class of a refusal depends on when TLS 1.3 reports it.
			if _, err := c.Send(t.Context(), m); row.accepted != (err == nil) {
				t.Errorf("%s with the certificate %q: %v", what, name, err)
			}
		}
	}
}
