package wording

import "html"

// html avoids html/template if a Wording has no HTML of its own. All outside
// data stands between tags or is a URL in quotes, where escaping is the same
// everywhere. That package's contextual escaping was two thirds of the time of
// a Render.
//
// The page sets no colours, so that the reader chooses light or dark mode. It
// loads nothing and links only to Config.Link. It breaks lines wider than a
// phone. The code is in one element, which one tap selects, and which moves to
// the next line whole. The language and direction are given twice because web
// mail drops the html element.
func (r *scratch) html() string {
	if r.words.html != nil {
		return r.execute("HTML", r.words.html)
	}
	f := &r.f
	r.buf.Reset()
	r.write(`<!doctype html>
<html lang="`, f.Language, `" dir="`, f.Dir, `">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="supported-color-schemes" content="light dark">
<meta name="format-detection" content="telephone=no, date=no">
<title>`, html.EscapeString(f.Subject), `</title>
</head>
<body style="margin:0;padding:24px;font-family:system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;font-size:16px;`+
		`line-height:`, r.words.lineHeight, `">
<div lang="`, f.Language, `" dir="`, f.Dir, `" style="max-width:560px;margin:0 auto;overflow-wrap:anywhere;`+
		`word-break:break-word">
<p style="margin:0">`, tagged(html.EscapeString(f.Say.Before)),
		`<strong dir="ltr" style="display:inline-block;max-width:100%;font-size:28px;line-height:1.25;letter-spacing:1px;`+
			`-webkit-user-select:all;user-select:all">`, html.EscapeString(r.code), `</strong>`,
		tagged(html.EscapeString(f.Say.After)), "</p>\n")
	if f.Link != "" {
		link := html.EscapeString(f.Link)
		r.write(paragraph, `<a dir="ltr" href="`, link, `">`, link, "</a></p>\n")
	}
	for _, p := range f.Say.Rest {
		r.write(paragraph, tagged(html.EscapeString(p)), "</p>\n")
	}
	r.write("</div>\n</body>\n</html>\n")
	return r.buf.String()
}

const paragraph = `<p style="margin:16px 0 0">`

func (r *scratch) write(pieces ...string) {
	for _, piece := range pieces {
		r.buf.WriteString(piece)
	}
}
