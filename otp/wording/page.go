package wording

import (
	"fmt"
	"html"
)

// page is the e-mail's HTML where a Wording has none of its own. It sets no
// colours, so that light and dark mode are the reader's; loads nothing; links
// to nothing; breaks what is wider than a phone; and holds the code in one
// element, which one tap selects, and which goes to the next line whole. The
// language and direction are said twice because web mail drops the html
// element. The arguments: language, direction, subject, and what stands
// before the code, the code, what stands after it, the other paragraphs.
const page = `<!doctype html>
<html lang="%[1]s" dir="%[2]s">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="supported-color-schemes" content="light dark">
<meta name="format-detection" content="telephone=no, date=no">
<title>%[3]s</title>
</head>
<body style="margin:0;padding:24px;font-family:system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;font-size:16px;line-height:1.5">
<div lang="%[1]s" dir="%[2]s" style="max-width:560px;margin:0 auto;overflow-wrap:anywhere;word-break:break-word">
<p style="margin:0">%[4]s<strong dir="ltr" style="display:inline-block;max-width:100%%;font-size:28px;line-height:1.25;letter-spacing:1px;-webkit-user-select:all;user-select:all">%[5]s</strong>%[6]s</p>
%[7]s</div>
</body>
</html>
`

const paragraph = "<p style=\"margin:16px 0 0\">%s</p>\n"

// html needs no html/template for page: all that comes from outside stands
// between tags, where escaping is the same everywhere, and that package's
// contextual escaping was two thirds of the time of a Render.
func (r *scratch) html() string {
	if r.words.html != nil {
		return r.execute("HTML", r.words.html)
	}
	f, b := &r.f, &r.buf
	b.Reset()
	for _, p := range f.Say.Rest {
		fmt.Fprintf(b, paragraph, html.EscapeString(p))
	}
	rest := b.String()
	b.Reset()
	fmt.Fprintf(b, page, f.Language, f.Dir, html.EscapeString(f.Subject), html.EscapeString(f.Say.Before),
		html.EscapeString(f.Code), html.EscapeString(f.Say.After), rest)
	return b.String()
}
