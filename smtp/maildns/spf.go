package maildns

import (
	"cmp"
	"context"
	"net/netip"
	"strings"
)

// maxSPFLookups is RFC 7208 §4.6.4's limit.
const maxSPFLookups = 10

// maxSPFVoids is the largest number of missing names that receivers look up.
const maxSPFVoids = 2

// An spfRecord is a record with its included records.
type spfRecord struct {
	terms    []spfTerm
	all      string     // the last term, "-all"; empty: none
	redirect *spfRecord // the record that decides if no term matches; nil: none
}

// An spfTerm is a mechanism other than "all".
type spfTerm struct {
	pass     bool         // matching hosts may send
	name     string       // in lower case, with its domain: "mx:mybank.example"
	network  netip.Prefix // of ip4 and ip6
	included *spfRecord   // of include; nil if a macro makes it depend on the mail
}

// An spfReader reads a record and its referenced records, up to the limit of
// look-ups.
type spfReader struct {
	resolver Resolver
	lookups  int
	voids    int // missing names
	fault    Fault
	detail   string
}

func (s *settings) checkSPF(ctx context.Context, resolver Resolver, want Record) ([]Problem, error) {
	texts, err := lookup(ctx, resolver, want.Name, isSPF)
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
		d, ok := parseDirective(strings.ToLower(sender))
		if !ok || !record.passes(newSPFTerm(d, s.ReturnPath)) {
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
	record := &spfRecord{}
	parsed, wrong := parseSPF(text)
	if wrong != "" {
		r.fault, r.detail = Malformed, wrong
		return record, nil
	}
	for _, d := range parsed.directives {
		if d.name == "all" { // later terms are never reached
			record.all = d.text
			return record, nil
		}
		t, err := r.mechanism(ctx, domain, d)
		if err != nil || r.fault != 0 {
			return record, err
		}
		record.terms = append(record.terms, t)
	}
	if parsed.redirect == "" {
		return record, nil
	}
	var err error
	record.redirect, err = r.include(ctx, parsed.redirect)
	return record, err
}

// mechanism reads one term other than "all", and its references.
func (r *spfReader) mechanism(ctx context.Context, domain string, d spfDirective) (spfTerm, error) {
	t := newSPFTerm(d, domain)
	var err error
	switch d.name {
	case "a", "mx", "ptr", "exists":
		r.count()
		err = r.resolve(ctx, d.name, cmp.Or(d.domain, domain))
	case "include":
		t.included, err = r.include(ctx, d.domain)
	}
	return t, err
}

// newSPFTerm returns a mechanism in the record of a domain. A bare "a" or "mx"
// means that domain.
func newSPFTerm(d spfDirective, domain string) spfTerm {
	t := spfTerm{pass: d.qualifier == '+', network: d.network}
	t.name = strings.TrimLeft(d.text, "+-~?")
	if d.name == "a" || d.name == "mx" {
		t.name = d.name + ":" + strings.TrimSuffix(cmp.Or(d.domain, domain), ".") + d.cidr
	}
	return t
}

// include reads the record of another domain. If the name has a macro, the
// record depends on the mail, and only counts as a look-up.
func (r *spfReader) include(ctx context.Context, domain string) (*spfRecord, error) {
	if r.count(); r.fault != 0 || strings.Contains(domain, "%") {
		return nil, nil
	}
	texts, err := lookup(ctx, r.resolver, strings.TrimSuffix(domain, "."), isSPF)
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

// resolve looks up the names of a mechanism, if the resolver can. Receivers
// give up at the third missing name, and at more than ten hosts of one "mx"
// (RFC 7208 §4.6.4). A name with a macro depends on the mail.
func (r *spfReader) resolve(ctx context.Context, kind, domain string) error {
	found, err := 1, error(nil)
	switch hosts, mails := r.resolver.(HostResolver); {
	case r.fault != 0, strings.Contains(domain, "%"):
	case kind == "a" && mails:
		found, err = count(hosts.LookupHost(ctx, domain))
	}
	if exchanges, ok := r.resolver.(MXResolver); ok && kind == "mx" && r.fault == 0 && !strings.Contains(domain, "%") {
		found, err = count(exchanges.LookupMX(ctx, domain))
	}
	switch {
	case err != nil:
		return err
	case found == 0:
		if r.voids++; r.voids > maxSPFVoids {
			r.fault, r.detail = TooManyLookups, "more than two names do not exist, the last is "+domain
		}
	case kind == "mx" && found > maxSPFLookups:
		r.fault, r.detail = TooManyLookups, "mx:"+domain+" has more than ten hosts"
	}
	return nil
}

// count returns the number of a look-up's results. A missing name is no error.
func count[T any](results []T, err error) (int, error) {
	if isNotFound(err) {
		return 0, nil
	}
	return len(results), err
}

// end returns the "all" that applies if no term matches.
func (r *spfRecord) end() string {
	for r.redirect != nil {
		r = r.redirect
	}
	return r.all
}

// passes reports whether a sender may send: the first matching term decides.
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
