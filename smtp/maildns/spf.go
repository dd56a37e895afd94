package maildns

import (
	"context"
	"net/netip"
	"strings"
)

// maxSPFLookups is RFC 7208 §4.6.4's limit.
const maxSPFLookups = 10

// An spfRecord is a record, with the records that it includes.
type spfRecord struct {
	terms    []spfTerm
	all      string     // the term that ends it, "-all"; empty: none
	redirect *spfRecord // the record that decides if no term matches; nil: none
}

// An spfTerm is a mechanism that is not "all".
type spfTerm struct {
	pass     bool         // a host that it matches may send
	name     string       // in lower case, with its domain: "mx:mybank.example"
	network  netip.Prefix // of ip4 and ip6
	included *spfRecord   // of include; nil if a macro makes it depend on the mail
}

// An spfReader reads a record and those that it refers to, up to the limit of
// look-ups.
type spfReader struct {
	resolver Resolver
	lookups  int
	fault    Fault
	detail   string
}

func (s *settings) checkSPF(ctx context.Context, resolver Resolver, want Record) ([]Problem, error) {
	texts, err := lookup(ctx, resolver, want.Name, "v=spf1")
	if err != nil {
		return nil, err
	}
	found, problems := single(want, texts)
	if problems != nil {
		return problems, nil
	}
	r := &spfReader{resolver: resolver}
	record, err := r.read(ctx, want.Name, found)
	if err != nil {
		return nil, err
	}
	add := func(f Fault, detail string) {
		problems = append(problems, Problem{Fault: f, Want: want, Found: found, Detail: detail})
	}
	if r.fault != 0 {
		add(r.fault, r.detail)
		return problems, nil
	}
	for _, sender := range s.Senders {
		if term, ok := newSPFTerm(strings.ToLower(sender), s.ReturnPath); !ok || !record.passes(term) {
			add(NotListed, sender)
		}
	}
	if all := record.end(); all != "-all" && all != "~all" {
		add(Weak, `it does not end with "~all" or "-all": others may send in our name`)
	}
	return problems, nil
}

// read parses the record of a domain.
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
		t.pass = qualifier == "" || qualifier == "+"
		record.terms = append(record.terms, t)
	}
	if redirect == "" {
		return record, nil
	}
	var err error
	record.redirect, err = r.include(ctx, redirect)
	return record, err
}

// mechanism parses one term that is neither "all" nor "redirect".
func (r *spfReader) mechanism(ctx context.Context, domain, term string) (spfTerm, error) {
	t, ok := newSPFTerm(term, domain)
	if !ok {
		r.fault, r.detail = Malformed, term
		return t, nil
	}
	var err error
	switch kind, value, _ := strings.Cut(t.name, ":"); kind {
	case "a", "mx", "ptr", "exists":
		r.count()
	case "include":
		t.included, err = r.include(ctx, value)
	}
	return t, err
}

// newSPFTerm parses a term in the record of a domain. A bare "a" or "mx" means
// that domain. An unknown modifier, such as "exp=", is ignored; an unknown
// mechanism is an error.
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

// include reads the record of another domain. If the name holds a macro, the
// record depends on the mail, and only counts as a look-up.
func (r *spfReader) include(ctx context.Context, domain string) (*spfRecord, error) {
	if r.count(); r.fault != 0 || strings.Contains(domain, "%") {
		return nil, nil
	}
	texts, err := lookup(ctx, r.resolver, domain, "v=spf1")
	if err != nil {
		return nil, err
	}
	if len(texts) != 1 { // RFC 7208 §5.2, §6.1: an error for the whole
		r.fault, r.detail = Malformed, domain+" has no single SPF record"
		return nil, nil
	}
	return r.read(ctx, domain, texts[0])
}

func (r *spfReader) count() {
	if r.lookups++; r.lookups > maxSPFLookups && r.fault == 0 {
		r.fault = TooManyLookups
	}
}

// end returns the "all" that is reached if no term matches.
func (r *spfRecord) end() string {
	for r.redirect != nil {
		r = r.redirect
	}
	return r.all
}

// passes reports whether a sender may send: the first term that matches it
// decides.
func (r *spfRecord) passes(sender spfTerm) bool {
	for ; r != nil; r = r.redirect {
		for _, t := range r.terms {
			if t.matches(sender) {
				return t.pass
			}
		}
	}
	return false
}

// matches reports whether the term covers sender, or forbids a part of it. An
// include matches the senders that pass the included record, and no others (RFC
// 7208 §5.2).
func (t spfTerm) matches(sender spfTerm) bool {
	switch {
	case t.network.IsValid() && sender.network.IsValid():
		covers := t.network.Bits() <= sender.network.Bits()
		return t.network.Overlaps(sender.network) && (covers || !t.pass)
	case t.name == sender.name:
		return true
	case strings.HasPrefix(t.name, "a:"), strings.HasPrefix(t.name, "mx:"):
		host, _, _ := strings.Cut(t.name, "/") // and its neighbours
		return host == sender.name
	}
	return t.included.passes(sender)
}
