package wording_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/otpcourier/otpcourier/otp/wording"
)

func TestLink(t *testing.T) {
	t.Parallel()
	s := newSet(t, wording.Config{
		Link: "https://mybank.example/{{.Language}}/verify/{{.ChallengeID}}?id={{.ChallengeID}}&code={{.Code}}" +
			"#{{.Code}}",
		Wordings: map[string]wording.Wording{
			"fr": {HTML: `<p>{{.Code}} <a href="{{.Link}}">ouvrir</a></p>`, Text: "{{.Code}} {{.Link}}"},
		}})
	for _, lang := range wording.Languages() {
		for _, d := range []wording.Data{{Code: "482910", ChallengeID: "c-1_2"},
			{Code: `a&b=/?#%+"`, ChallengeID: `x/../y?"><script>&z=1#%41`}} {
			d.Language = lang
			text := render(t, s, d)
			id, c := url.QueryEscape(d.ChallengeID), url.QueryEscape(d.Code)
			want := "https://mybank.example/" + lang + "/verify/" + id + "?id=" + id + "&code=" + c + "#" + c
			if lang != "fr" && !strings.Contains(text.Body, "\n\n"+want+"\n\n") || !strings.Contains(text.Body, want) {
				t.Errorf("%s: no %s in %q", lang, want, text.Body)
			}
			if href := `href="` + strings.ReplaceAll(want, "&", "&amp;") + `"`; !strings.Contains(text.HTML, href) {
				t.Errorf("%s: no %s in %s", lang, href, text.HTML)
			}
			if strings.Contains(text.SMS+text.Subject, "https") {
				t.Errorf("%s: a link in %q, %q", lang, text.SMS, text.Subject)
			}
			u, err := url.Parse(want)
			if err != nil || u.Query().Get("id") != d.ChallengeID || u.Query().Get("code") != d.Code {
				t.Errorf("%s: %s is read as %v, %v", lang, want, u, err)
			}
		}
	}
	for _, id := range []string{"", "a b", "a\nb", "é", strings.Repeat("x", 129)} {
		_, err := s.Render(wording.Data{Code: code, Minutes: 5, ChallengeID: id})
		wantField(t, id, err, "Data.ChallengeID")
	}
}

func TestBadLink(t *testing.T) {
	t.Parallel()
	for name, link := range map[string]string{
		"http":               "http://mybank.example/?id={{.ChallengeID}}",
		"another scheme":     "javascript:alert('{{.ChallengeID}}')",
		"no scheme":          "mybank.example/?id={{.ChallengeID}}",
		"no host":            "https:///?id={{.ChallengeID}}",
		"no ID":              "https://mybank.example/?code={{.Code}}",
		"unknown field":      "https://mybank.example/?id={{.ID}}",
		"does not parse":     "https://mybank.example/?id={{.ChallengeID",
		"host of the data":   "https://{{.ChallengeID}}.example/",
		"host of a language": "https://{{.Language}}.mybank.example/?id={{.ChallengeID}}",
		"user":               "https://mybank.example@evil.example/?id={{.ChallengeID}}",
		"space":              "https://mybank.example/ ?id={{.ChallengeID}}",
		"line break":         "https://mybank.example/\n?id={{.ChallengeID}}",
		"long":               "https://mybank.example/?id={{.ChallengeID}}&" + strings.Repeat("x", 2000),
	} {
		_, err := wording.New(wording.Config{Brand: brand, Link: link})
		wantField(t, name, err, "Config.Link")
	}
}
