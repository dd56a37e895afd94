package web_test

import (
	"strings"
	"testing"

	"github.com/otpcourier/otpcourier/gateway/internal/web"
)

func TestParseURL(t *testing.T) {
	t.Parallel()
	for raw, ok := range map[string]bool{
		"https://api.sms-gate.app/3rdparty/v1": true, "https://host": true, "http://host": false, "host": false,
		"":                                 false,
		"https://user:" + secret + "@host": false, "https://host?key=" + secret: false, "https://host#x": false,
		"https://": false, "ftp://host": false, "https:host": false, "https://ho st/" + secret: false,
	} {
		_, err := web.ParseURL(raw, false)
		if (err == nil) != ok {
			t.Errorf("%s: error %v", raw, err)
		}
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("the error repeats the URL: %v", err)
		}
	}
	if _, err := web.ParseURL("http://192.0.2.1:8080", true); err != nil {
		t.Error(err)
	}
}
