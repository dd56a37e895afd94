package provider_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/otpcourier/otpcourier/gateway/provider"
)

// http is refused where the field is not set, and taken where it is.
func TestPlaintext(t *testing.T) {
	t.Parallel()
	f := &fakeProvider{api: providerNamed(t, "traccar")}
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	c := f.config(t, s.URL, nil)
	if _, err := provider.New(c); err == nil || !strings.Contains(err.Error(), `Config.Values["url"]: is http`) {
		t.Errorf("error %v", err)
	}
	c.DangerouslyPlaintext = true
	if _, err := newChannel(t, c).Send(t.Context(), golden()); err != nil {
		t.Error(err)
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	good := func() provider.Config {
		return provider.Config{Provider: "textbee", Values: map[string]string{"device": "d", "key": "secret-key"}}
	}
	known := strings.Join(builtIns(t), ", ")
	const (
		values = "device, key, sim, url, webhook_secret"
		plain  = "is http, which shows codes and credentials to anyone on the way"
		prints = "textbee textbee provider.Channel{textbee} textbee"
	)
	set := func(name, value string) func(*provider.Config) {
		return func(c *provider.Config) { c.Values[name] = value }
	}
	for want, change := range map[string]func(*provider.Config){
		"":                                  func(*provider.Config) {},
		"Provider: is required, or Profile": func(c *provider.Config) { c.Provider = "" },
		"Provider: is set, and Profile as well": func(c *provider.Config) {
			c.Profile = readProfile(t, "sns-style")
		},
		"Profile: was not made by ParseProfile": func(c *provider.Config) {
			c.Provider, c.Profile = "", &provider.Profile{}
		},
		`Provider: "textbe" is not one of ` + known:     func(c *provider.Config) { c.Provider = "textbe" },
		`Provider: "../channel" is not one of ` + known: func(c *provider.Config) { c.Provider = "../channel" },
		"Timeout: -1ns is negative":                     func(c *provider.Config) { c.Timeout = -1 },

		`Values["key"]: is required by profile "textbee"`:    func(c *provider.Config) { delete(c.Values, "key") },
		`Values["device"]: is required by profile "textbee"`: set("device", ""),

		`Values["devcie"]: is none of profile "textbee", which has ` + values: set("devcie", "x"),
		`Values["key"]: has a control character, or white space at an end`:    set("key", "secret-key\r\nX-Admin: 1"),

		`Values["url"]: is not an absolute URL`: set("url", "textbee.example"),
		`Values["url"]: holds credentials`:      set("url", "https://user:secret-key@textbee.example"),
		`Values["url"]: ` + plain:               set("url", "http://textbee.example"),
		`Profile: plain: send.url: ` + plain: func(c *provider.Config) {
			c.Provider, c.Values = "", nil
			c.Profile = parse(t, `{"name": "plain", "send": {"url": "http://provider.example/"}}`)
		},
	} {
		c := good()
		change(&c)
		ch, err := provider.New(c)
		if err == nil {
			if shown := fmt.Sprintf("%v %+v %#v %v", ch, ch, ch, ch.LogValue()); shown != prints {
				t.Errorf("the Channel prints as %s", shown)
			}
			_ = ch.Close()
		}
		if err == nil && want != "" || err != nil && err.Error() != "provider: Config."+want {
			t.Errorf("error %v, want %q", err, want)
		}
		if shown := fmt.Sprintf("%v %+v %#v %v", c, c, c, c.LogValue()); strings.Contains(shown, "secret-key") {
			t.Errorf("the Config prints as %s", shown)
		}
	}
}
