package provider

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"net/url"
	"strings"
	"testing"
)

func TestFilters(t *testing.T) {
	t.Parallel()
	get := fieldsOf(map[string]string{"a": "A", "key": "key", "text": `"ä" & <b>`, "n": "7", "bad": "7a"})
	for text, want := range map[string]string{
		"{{json text}}":               `\"ä\" \u0026 \u003cb\u003e`,
		"{{url text}}":                "%22%C3%A4%22+%26+%3Cb%3E",
		"{{hex a}}":                   "41",
		"{{base64 a+':'+key}}":        "QTprZXk=",
		"Basic {{base64 a+'|+ '}}":    "Basic QXwrIA==",
		"{{sha256 a}}":                "559aead08264d5795d3909718cdd05abd49572e84fe55590eef31a88a08fdffd",
		"{{md5 a}}":                   "7fc56270e7a70fa81a5935b72eacbe29",
		"{{url base64 text}}":         "IsOkIiAmIDxiPg%3D%3D",
		"{{none|'dflt'}}":             "dflt",
		"{{hmac key+a}}":              hmacFilter("key", "A"),
		"{{sha256 none}}x":            "x",
		"[MyBank] {{text}}":           `[MyBank] "ä" & <b>`,
		"<#> {{text}}":                `<#> "ä" & <b>`,
		`{"n":{{number n}}}`:          `{"n":7}`,
		`{"t":"{{text}}"}`:            `{"t":"\"ä\" \u0026 \u003cb\u003e"}`,
		"<t>{{text}}</t>":             "<t>&#34;ä&#34; &amp; &lt;b&gt;</t>",
		"https://h/?t={{text}}":       "https://h/?t=%22%C3%A4%22+%26+%3Cb%3E",
		"{{text}}?{{text}}":           `"ä" & <b>?"ä" & <b>`,
		`{"t":"{{base64 text}}"}`:     `{"t":"IsOkIiAmIDxiPg=="}`,
		`{"t":"{{json text}}"}`:       `{"t":"\"ä\" \u0026 \u003cb\u003e"}`,
		"{{number n}}":                "7",
		"{{ sha256   a }}":            "559aead08264d5795d3909718cdd05abd49572e84fe55590eef31a88a08fdffd",
		"{{hex a + key}}{{ a|'x y'}}": "416b6579A",
	} {
		tmpl, err := parseTemplate(text, anyField)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		got, err := tmpl.render(get)
		if got != want || err != nil {
			t.Errorf("%q: %q, %v, want %q", text, got, err, want)
		}
	}
	for _, text := range []string{
		"{{hmac a}}", "{{hmac base64 a+a}}", "{{base64 number n}}", "{{rot13 a}}", "{{'}}", "{{''}}", "{{a b}}", "{{}}",
		"{{a+}}",
	} {
		if tmpl, err := parseTemplate(text, func(s string) bool { return len(s) == 1 }); err == nil {
			t.Errorf("%q passes: %+v", text, tmpl)
		}
	}
	tmpl, err := parseTemplate(`{"n":{{number bad}}}`, anyField)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := tmpl.render(get); err == nil || strings.Contains(err.Error(), "7a") {
		t.Errorf("a number that is none: %q, %v", got, err)
	}
}

// The vector of RFC 4231, test case 2.
func TestHMACFilter(t *testing.T) {
	t.Parallel()
	const want = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
	if got := hmacFilter("Jefe", "what do ya want for nothing?"); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// A value never ends the string that it stands in: JSON or XML inside a
// parameter, a URL inside one.
func TestNestedInjection(t *testing.T) {
	t.Parallel()
	for _, evil := range []string{
		`","to":"+1`, `\`, `"`, "\n", "</Say><Hangup/>", "&to=1", "#x", "{{a}}", "a b+c", "%41", "'", "\u2028",
	} {
		get := fieldsOf(map[string]string{"v": evil, "callback_url": "https://otp.example.com/hook"})
		render := func(text string) string {
			tmpl, err := parseTemplate(text, anyField)
			if err != nil {
				t.Fatal(err)
			}
			s, err := tmpl.render(get)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		var object struct{ A, B string }
		if err := json.Unmarshal([]byte(render(`{"a":"{{v}}","b":"x{{v}}"}`)), &object); err != nil ||
			object.A != evil || object.B != "x"+evil {
			t.Errorf("%q as JSON: %q, %v", evil, object, err)
		}
		var element struct {
			A string `xml:"a,attr"`
			B string `xml:"b"`
		}
		if err := xml.Unmarshal([]byte(render(`<e a="{{v}}"><b>{{v}}</b></e>`)), &element); err != nil ||
			element.A != evil || element.B != evil {
			t.Errorf("%q as XML: %q, %v", evil, element, err)
		}
		for text, params := range map[string]int{
			"{{callback_url}}?token={{v}}&status=%25d": 2, "{{callback_url}}/a/b?token={{v}}": 1,
			"{{callback_url}}/{{v}}?token={{v}}": 1, "https://otp.example.com/hook?token={{v}}": 1,
		} {
			u, err := url.Parse(render(text))
			if err != nil || u.Host != "otp.example.com" || u.Query().Get("token") != evil || len(u.Query()) != params {
				t.Errorf("%q as a parameter of a URL: %v, %v", evil, u, err)
			}
		}
	}
	tmpl, err := parseTemplate("{{callback_url}}?id={{v}}", anyField)
	if err != nil {
		t.Fatal(err)
	}
	got, err := tmpl.render(fieldsOf(map[string]string{"callback_url": "https://h/?a=1", "v": "2"}))
	if got != "https://h/?a=1&id=2" || err != nil {
		t.Errorf("a URL that has a query: %s, %v", got, err)
	}
	if got, err = tmpl.render(fieldsOf(map[string]string{"v": "2"})); !errors.Is(err, errOmit) {
		t.Errorf("no URL: %q, %v", got, err)
	}
}
