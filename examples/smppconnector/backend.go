package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"sync"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/provider"
	"github.com/otpcourier/otpcourier/gateway/smsgate"
	"github.com/otpcourier/otpcourier/smtp"
)

// A demoChannel shows messages instead of sending them. The last digit of a number
// decides the result of its message, so that every status of the guide can be tried.
type demoChannel struct {
	mu  sync.Mutex
	out io.Writer // the screens of the phones, not a log
}

func (d *demoChannel) Send(_ context.Context, m *channel.Message) (channel.Submission, error) {
	refused := func(c channel.Class) error { return &channel.Error{Class: c, Op: "demo"} }
	switch m.To.Phone[len(m.To.Phone)-1] {
	case '7':
		return channel.Submission{}, refused(channel.Unreachable) // an Android phone
	case '8':
		return channel.Submission{}, refused(channel.Temporary)
	case '9':
		return channel.Submission{}, refused(channel.Throttled)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	text := strings.ReplaceAll(m.Text, "\n", "\n   │ ")
	fmt.Fprintf(d.out, "   ┌ %s, %s\n   │ %s\n", m.Sender, m.Language, text)
	return channel.Submission{State: channel.Delivered}, nil
}

// openChannel opens the channel named on the command line, and returns a function
// that closes it.
func (c *connector) openChannel(kind string, o *options, env func(string) string, out io.Writer) (func() error, error) {
	switch kind {
	case "demo":
		c.channel = &demoChannel{out: out}
		return func() error { return nil }, nil
	case "provider":
		return c.openProvider(o)
	case "email":
		return c.openEmail(o, env)
	case "phone":
		return c.openPhone(o, env)
	}
	return nil, fmt.Errorf("-channel: %q is not one of demo, provider, email, phone", kind)
}

// openProvider opens a provider's HTTP API. It polls for states.
func (c *connector) openProvider(o *options) (func() error, error) {
	data, err := os.ReadFile(o.values)
	if err != nil {
		return nil, fmt.Errorf("-values: %w", err)
	}
	config := provider.Config{Provider: o.provider, Client: o.client(), Receipt: c.receipt}
	if err := json.Unmarshal(data, &config.Values); err != nil {
		return nil, errors.New("-values: the file is not a JSON object of strings")
	}
	v, err := provider.New(config)
	if err != nil {
		return nil, err
	}
	c.channel = v
	return v.Close, nil
}

// openEmail opens a mail relay. The codes go to the address that -mail-to makes of a
// number.
func (c *connector) openEmail(o *options, env func(string) string) (func() error, error) {
	u, err := url.Parse(o.smtp)
	if err != nil || u.Port() == "" || u.Scheme != "smtp" && u.Scheme != "smtps" {
		return nil, errors.New("-smtp must be smtp://user@host:587?from=codes@example.com, or smtps: for port 465")
	}
	mode := smtp.StartTLS
	if u.Scheme == "smtps" {
		mode = smtp.ImplicitTLS
	}
	if o.mailTo == "" {
		return nil, errors.New("-mail-to is needed")
	}
	v, err := smtp.New(smtp.Config{
		Addr: u.Host, TLS: mode, TLSConfig: &tls.Config{RootCAs: o.roots}, From: u.Query().Get("from"),
		Username: u.User.Username(), Password: env("SMTP_PASSWORD"),
	})
	if err != nil {
		return nil, err
	}
	c.channel = v
	c.address = func(number string) channel.Recipient {
		return channel.Recipient{
			Phone: number, Email: strings.ReplaceAll(o.mailTo, "{number}", strings.TrimPrefix(number, "+")),
		}
	}
	return v.Close, nil
}

// openPhone opens an Android phone with the SMSGate app, see examples/androidgateway.
func (c *connector) openPhone(o *options, env func(string) string) (func() error, error) {
	v, err := smsgate.New(smsgate.Config{
		URL: env("SMSGATE_URL"), Username: env("SMSGATE_USERNAME"), Password: env("SMSGATE_PASSWORD"),
		Client: o.client(), Receipt: c.receipt,
	})
	if err != nil {
		return nil, err
	}
	c.channel = v
	return v.Close, nil
}
