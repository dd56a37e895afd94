package transport

import (
	"crypto/tls"
	"errors"
)

// ClientTLS returns a copy of c with at least TLS 1.2. Unless c names a server,
// the certificate must be for host. A nil c means the system's roots. A
// MaxVersion below TLS 1.2 is an error of the field.
func (v *Validator) ClientTLS(field string, c *tls.Config, host string) *tls.Config {
	c, err := atLeastTLS12(c)
	v.Error(field, err)
	if c.ServerName == "" {
		c.ServerName = host
	}
	return c
}

// ServerTLS returns a copy of c with at least TLS 1.2. It is an error of the
// field if c is nil or has no certificate, or if its MaxVersion is below TLS
// 1.2.
func (v *Validator) ServerTLS(field string, c *tls.Config) *tls.Config {
	switch {
	case c == nil:
		v.Error(field, errors.New("is required"))
	case len(c.Certificates) == 0 && c.GetCertificate == nil && c.GetConfigForClient == nil:
		v.Error(field, errors.New("has no certificate"))
	}
	c, err := atLeastTLS12(c)
	v.Error(field, err)
	return c
}

func atLeastTLS12(c *tls.Config) (*tls.Config, error) {
	if c == nil {
		return &tls.Config{MinVersion: tls.VersionTLS12}, nil
	}
	c = c.Clone()
	c.MinVersion = max(c.MinVersion, tls.VersionTLS12)
	if c.MaxVersion != 0 && c.MaxVersion < tls.VersionTLS12 {
		return c, errOldTLS
	}
	return c, nil
}

var errOldTLS = errors.New("MaxVersion is below TLS 1.2")
