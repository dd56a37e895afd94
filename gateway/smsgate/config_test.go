package smsgate_test

import (
	"strings"
	"testing"

	"github.com/otpcourier/otpcourier/gateway/smsgate"
)

func TestConfig(t *testing.T) {
	t.Parallel()
	good := smsgate.Config{Username: "u", Password: "p"}
	if g, err := smsgate.New(good); err != nil || g.String() != "sms-gate https://api.sms-gate.app/3rdparty/v1" {
		t.Errorf("%v, %v", g, err)
	} else {
		_ = g.Close()
	}
	for field, change := range map[string]func(*smsgate.Config){
		"Username":       func(c *smsgate.Config) { c.Username = "" },
		"Username ":      func(c *smsgate.Config) { c.Username = "a:b" },
		"Password":       func(c *smsgate.Config) { c.Password = "" },
		"URL":            func(c *smsgate.Config) { c.URL = "http://192.168.1.20:8080" },
		"URL ":           func(c *smsgate.Config) { c.URL = "https://u:p@sms.example.com/api/3rdparty/v1" },
		"SIM":            func(c *smsgate.Config) { c.SIM = 4 },
		"Priority":       func(c *smsgate.Config) { c.Priority = 128 },
		"ActiveWithin":   func(c *smsgate.Config) { c.ActiveWithin = -1 },
		"WebhookWindow":  func(c *smsgate.Config) { c.WebhookWindow = -1 },
		"Timeout":        func(c *smsgate.Config) { c.Timeout = -1 },
		"SigningKeys":    func(c *smsgate.Config) { c.SigningKeys = []string{""} },
		"Devices[0].ID":  func(c *smsgate.Config) { c.Devices = []smsgate.Device{{}} },
		"Devices[0].SIM": func(c *smsgate.Config) { c.Devices = []smsgate.Device{{ID: "a", SIM: 4}} },
		"Devices[0].Countries": func(c *smsgate.Config) {
			c.Devices = []smsgate.Device{{ID: "a", Countries: []string{"gb"}}}
		},
		"Devices[0].SigningKeys": func(c *smsgate.Config) {
			c.Devices = []smsgate.Device{{ID: "a", SigningKeys: []string{""}}}
		},
		"Devices[1].ID": func(c *smsgate.Config) {
			c.URL, c.Devices = "https://phone.example", []smsgate.Device{{ID: "a"}, {ID: "b"}}
		},
	} {
		c := good
		change(&c)
		if _, err := smsgate.New(c); err == nil ||
			!strings.HasPrefix(err.Error(), "smsgate: Config."+strings.TrimSpace(field)+": ") {
			t.Errorf("%s: error %v does not name it", field, err)
		}
	}
}
