package smtp

import (
	"context"
	"net/netip"
	"strings"
)

// maxSPFLookups is RFC 7208 §4.6.4's limit.
const maxSPFLookups = 10

// An spfRecord is a record, with those that it includes.
type spfRecord struct {
	terms    []spfTerm
	all      string     // how it ends, "-all"; "" for not at all
	redirect *spfRecord // what follows where it does not end
}

// An spfTerm is a mechanism that is not "all".
type spfTerm struct {
	lets     bool         // it lets send, rather than forbids
	name     string       // in lower case, with its domain: "mx:mybank.example"
	network  netip.Prefix // of ip4 and ip6
	included *spfRecord   // of include; nil where that depends on the mail
}

// An spfReader looks up what a record needs, up to the limit.
type spfReader struct {
	resolver Resolver
	lookups  int
	fault    DNSFault
	detail   string
}

func (d DNSSetup) checkSPF(ctx context.Context, resolver Resolver, want DNSRecord) ([]DNSProblem, error) {
	texts, err := lookup(ctx, resolver, want.Name, "v=spf1")
	if err != nil {
		return nil, err
	}
	found, problems := only(want, texts)
	if problems != nil {
		return problems, nil
	}
	r := &spfReader{resolver: resolver}
	record, err := r.read(ctx, want.Name, found)
	if err != nil {
		return nil, err
	}
	add := func(f DNSFault, detail string) {
		problems = append(problems, DNSProblem{Fault: f, Want: want, Found: found, Detail: detail})
	}
	if r.fault != 0 {
		add(r.fault, r.detail)
		return problems, nil
	}
	for _, sender := range d.Senders {
		if term, ok := newSPFTerm(strings.ToLower(sender), d.ReturnPath); !ok || !record.lets(term) {
			add(SenderNotListed, sender)
		}
	}
	if all := record.end(); all != "-all" && all != "~all" {
		add(RecordWeak, `it does not end with "~all" or "-all": others may send in our name`)
	}
	return problems, nil
}

// read takes in the record of a domain.
func (r *spfReader) read(ctx context.Context, domain, text string) (*spfRecord, error) {
	record, redirect := &spfRecord{}, ""
	for _, term := range strings.Fields(strings.ToLower(text))[1:] {
		qualifier := ""
		if strings.ContainsRune("+-~?", rune(term[0])) {
			qualifier, term = term[:1], term[1:]
		}
		if target, found := strings.CutPrefix(term, "redirect="); found && qualifier == "" {
			redirect = target
			continue
		}
		if term == "all" { // what follows is never reached
			record.all = qualifier + "all"
			return record, nil
		}
		t, err := r.mechanism(ctx, domain, term)
		if err != nil || r.fault != 0 {
			return record, err
		}
		t.lets = qualifier == "" || qualifier == "+"
		record.terms = append(record.terms, t)
	}
	if redirect == "" {
		return record, nil
	}
	var err error
	record.redirect, err = r.follow(ctx, redirect)
	return record, err
}

// mechanism takes in one term that is neither "all" nor "redirect".
func (r *spfReader) mechanism(ctx context.Context, domain, term string) (spfTerm, error) {
	t, ok := newSPFTerm(term, domain)
	if !ok {
		r.fault, r.detail = RecordMalformed, term
		return t, nil
	}
	var err error
	switch kind, value, _ := strings.Cut(t.name, ":"); kind {
	case "a", "mx", "ptr", "exists":
		r.count()
	case "include":
		t.included, err = r.follow(ctx, value)
	}
	return t, err
}

// newSPFTerm reads a term in the record of a domain, which a bare "a" or "mx"
// means. An unknown modifier, "exp=", says nothing here; an unknown mechanism is
// an error.
func newSPFTerm(term, domain string) (t spfTerm, ok bool) {
	kind, value, valued := strings.Cut(term, ":")
	kind, _, _ = strings.Cut(kind, "/")
	t.name = term
	switch kind {
	case "ip4", "ip6":
		prefix, err := spfPrefix(value)
		t.network = prefix
		return t, err == nil
	case "a", "mx":
		if !valued {
			t.name = kind + ":" + domain + term[len(kind):]
		}
		return t, true
	case "ptr", "exists":
		t.name = kind + ":" + value
		return t, true
	case "include":
		return t, value != ""
	}
	return t, strings.Contains(term, "=")
}

// follow takes in the record of another domain. One with a macro depends on the
// mail, and counts as a look-up only.
func (r *spfReader) follow(ctx context.Context, domain string) (*spfRecord, error) {
	if r.count(); r.fault != 0 || strings.Contains(domain, "%") {
		return nil, nil
	}
	texts, err := lookup(ctx, r.resolver, domain, "v=spf1")
	if err != nil {
		return nil, err
	}
	if len(texts) != 1 { // RFC 7208 §5.2, §6.1: an error for the whole
		r.fault, r.detail = RecordMalformed, domain+" has no single SPF record"
		return nil, nil
	}
	return r.read(ctx, domain, texts[0])
}

func (r *spfReader) count() {
	if r.lookups++; r.lookups > maxSPFLookups && r.fault == 0 {
		r.fault = TooManyLookups
	}
}

// end returns the "all" that is reached last.
func (r *spfRecord) end() string {
	for r.redirect != nil {
		r = r.redirect
	}
	return r.all
}

// lets reports whether a sender may send, which the first term decides that is
// about it.
func (r *spfRecord) lets(sender spfTerm) bool {
	for ; r != nil; r = r.redirect {
		for _, t := range r.terms {
			if t.isAbout(sender) {
				return t.lets
			}
		}
	}
	return false
}

// isAbout reports whether the term covers sender, or forbids a part of it. An
// included record covers those that it lets send, and decides of no others (RFC
// 7208 §5.2).
func (t spfTerm) isAbout(sender spfTerm) bool {
	switch {
	case t.network.IsValid() && sender.network.IsValid():
		covers := t.network.Bits() <= sender.network.Bits()
		return t.network.Overlaps(sender.network) && (covers || !t.lets)
	case t.name == sender.name:
		return true
	case strings.HasPrefix(t.name, "a:"), strings.HasPrefix(t.name, "mx:"):
		host, _, _ := strings.Cut(t.name, "/") // and its neighbours
		return host == sender.name
	}
	return t.included.lets(sender)
}
