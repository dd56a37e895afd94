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
	"github.com/otpcourier/otpcourier/gateway"
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
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
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

// A proxy may ask for a client certificate: who has the right one gets through.
func TestMutualTLS(t *testing.T) {
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
		gate, err := gateway.NewSMSGate(gateway.SMSGateConfig{
			URL: s.URL + "/api/3rdparty/v1", Username: gateUser, Password: gatePassword, Devices: oneDevice, Client: client,
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = gate.Close() })
		for what, c := range map[string]channel.Channel{
			"SMSGate": gate,
			"Channel": newProfileChannel(t, providerNamed(t, "traccar").config(t, s.URL, client)),
		} {
			// Which class the others' error has depends on when TLS 1.3 tells them.
			if _, err := c.Send(t.Context(), codeTo("c4n7.1", ann)); row.accepted != (err == nil) {
				t.Errorf("%s with the certificate %q: %v", what, name, err)
			}
		}
	}
}
