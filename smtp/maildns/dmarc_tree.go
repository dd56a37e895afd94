package maildns

import (
	"context"
	"strings"
)

// A tree is the result of RFC 9989 §4.10's tree walk from a domain up.
type tree struct {
	domain  string
	own     []string // the records of the domain itself
	records []treeRecord
	told    bool // a record marks the organization by "psd"
}

// A treeRecord is the only record of a domain.
type treeRecord struct {
	domain, text, psd string
}

// maxTreeQueries is the number of names that the walk looks up: the domain, and
// then names of at most seven labels.
const maxTreeQueries = 8

// walkTree looks for the records of a domain and of its parents. If a name has
// several records, it counts as having none.
func walkTree(ctx context.Context, r Resolver, domain string) (tree, error) {
	t := tree{domain: domain}
	labels := strings.Split(domain, ".")
	for first := true; len(labels) > 0; first = false {
		at := strings.Join(labels, ".")
		texts, err := lookup(ctx, r, "_dmarc."+at, isDMARC)
		if err != nil {
			return tree{}, err
		}
		if first {
			t.own = texts
		}
		if len(texts) == 1 {
			tags, _ := readDMARC(texts[0])
			psd := strings.ToLower(tags["psd"])
			t.records = append(t.records, treeRecord{at, texts[0], psd})
			if psd == "n" || psd == "y" && !first {
				t.told = true
				break
			}
		}
		labels = labels[max(1, len(labels)-(maxTreeQueries-1)):]
	}
	return t, nil
}

// organization returns the organizational domain (RFC 9989 §4.10.2).
func (t tree) organization() string {
	for _, r := range t.records {
		switch {
		case r.psd == "n":
			return r.domain
		case r.psd == "y" && r.domain != t.domain: // a public suffix: one label below it
			below := strings.TrimSuffix(t.domain, "."+r.domain)
			return below[strings.LastIndexByte(below, '.')+1:] + "." + r.domain
		}
	}
	if len(t.records) == 0 {
		return t.domain
	}
	return t.records[len(t.records)-1].domain
}

// policy returns the record for the domain, and the record's place: the domain's
// own record, or its organization's, or the public suffix's.
func (t tree) policy() (text, at string) {
	organization := t.organization()
	for _, at := range []string{t.domain, organization} {
		for _, r := range t.records {
			if r.domain == at {
				return r.text, at
			}
		}
	}
	if last := len(t.records) - 1; last >= 0 {
		return t.records[last].text, t.records[last].domain
	}
	return "", ""
}
