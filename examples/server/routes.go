package main

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"net/url"
	"os"
	"strings"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/console"
	"github.com/otpcourier/otpcourier/gateway/provider"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smtp"
)

// An opener opens the channel of a route. An error repeats no URL, since it may
// hold a password.
type opener func(app string, r route, receipt channel.ReceiptFunc) (channel.Channel, channel.Address, error)

// openRoute opens real services.
func openRoute(env func(string) string, log *slog.Logger) opener {
	return func(app string, r route, receipt channel.ReceiptFunc) (channel.Channel, channel.Address, error) {
		u, err := url.Parse(r.URL)
		if err != nil {
			return nil, 0, errors.New("that is no URL")
		}
		password, given := u.User.Password()
		if !given {
			password = env("OTP_PASSWORD_" + strings.ToUpper(strings.ReplaceAll(app+"_"+r.Name, "-", "_")))
		}
		switch u.Scheme {
		case "console":
			var kind channel.Address
			err := kind.UnmarshalText([]byte(u.Opaque))
			return console.New(os.Stderr), kind, err
		case "provider":
			return openProvider(u.Opaque, r.Values, env, receipt, log.With("application", app, "route", r.Name))
		case "smpps":
			c, err := smpp.New(smpp.Config{Addr: u.Host, TLS: &tls.Config{}, SystemID: u.User.Username(),
				Password: password, Sender: u.Query().Get("sender"), Receipt: receipt})
			return c, channel.Phone, err
		case "smtp", "smtps":
			mode := smtp.StartTLS
			if u.Scheme == "smtps" {
				mode = smtp.ImplicitTLS
			}
			c, err := smtp.New(smtp.Config{Addr: u.Host, TLS: mode, Username: u.User.Username(), Password: password,
				From: u.Query().Get("from")})
			return c, channel.Email, err
		}
		return nil, 0, errors.New("the URL must begin with smpps:, smtp:, smtps:, provider: or console:phone")
	}
}

// openProvider opens a provider by its profile. Values that begin with "$" are names of
// variables.
func openProvider(name string, values map[string]string, env func(string) string, receipt channel.ReceiptFunc,
	log *slog.Logger) (channel.Channel, channel.Address, error) {
	profile, err := provider.BuiltIn(name)
	if err != nil {
		return nil, 0, err
	}
	all := map[string]string{}
	for value, text := range values {
		if variable, ok := strings.CutPrefix(text, "$"); ok {
			text = env(variable)
		}
		all[value] = text
	}
	c, err := provider.New(provider.Config{Profile: profile, Values: all, Receipt: receipt, Logger: log})
	return c, profile.Address(), err
}
