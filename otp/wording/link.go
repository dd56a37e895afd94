package wording

import (
	"net/url"
	"strings"
	"text/template"
)

// linkFields is the data of Config.Link, escaped for a URL.
type linkFields struct{ ChallengeID, Code, Language string }

// parseLink checks Config.Link by two samples; nil means no link.
func parseLink(source string) (*template.Template, error) {
	if source == "" {
		return nil, nil
	}
	bad := func(reason string, err error) (*template.Template, error) {
		return nil, &Error{Field: "Config.Link", Reason: reason, Err: err}
	}
	t, err := template.New("Link").Option("missingkey=error").Parse(source)
	if err != nil {
		return bad("does not parse", err)
	}
	host := ""
	for _, sample := range []linkFields{{"c1", "482910", "en"}, {"x/y&z", "A7QX2P", "zh-Hant"}} {
		link, err := fillLink(t, sample)
		if err != nil {
			return bad("does not execute", err)
		}
		u, err := url.Parse(link)
		switch {
		case err != nil || !isGraphic(link):
			return bad("is not a URL", nil) // the cause would quote it
		case u.Scheme != "https" || u.Host == "" || u.User != nil:
			return bad("is not an https URL of a host", nil)
		case !strings.Contains(link, url.QueryEscape(sample.ChallengeID)):
			return bad("does not hold {{.ChallengeID}}", nil)
		case len(link) > maxLink:
			return bad("is over 2000 characters long", nil)
		case host != "" && host != u.Host:
			return bad("has a host that depends on the data", nil)
		}
		host = u.Host
	}
	return t, nil
}

// fillLink returns the URL for f.
func fillLink(t *template.Template, f linkFields) (string, error) {
	// Without spaces, this escape is right in a path and in a query.
	f.ChallengeID, f.Code = url.QueryEscape(f.ChallengeID), url.QueryEscape(f.Code)
	var b strings.Builder
	if err := t.Execute(&b, f); err != nil {
		return "", err
	}
	return b.String(), nil
}
