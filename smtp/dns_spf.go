package smtp

import (
	"context"
	"net/netip"
	"strings"
)

// maxSPFLookups is RFC 7208 §4.6.4's limit.
const maxSPFLookups = 10

// An spfWalk gathers what a record and those that it includes let send.
type spfWalk struct {
	resolver Resolver
	lookups  int
	terms    map[string]bool // mechanisms in lower case, without "+"
	prefixes []netip.Prefix  // of ip4 and ip6
	fault    DNSFault
	detail   string
}

func (d DNSSetup) checkSPF(ctx context.Context, r Resolver, want DNSRecord) ([]DNSProblem, error) {
	texts, err := lookup(ctx, r, want.Name, "v=spf1")
	if err != nil {
		return nil, err
	}
	found, problems := only(want, texts)
	if problems != nil {
		return problems, nil
	}
	w := &spfWalk{resolver: r, terms: map[string]bool{}}
	all, err := w.read(ctx, found)
	if err != nil {
		return nil, err
	}
	add := func(f DNSFault, detail string) {
		problems = append(problems, DNSProblem{Fault: f, Want: want, Found: found, Detail: detail})
	}
	if w.fault != 0 {
		add(w.fault, w.detail)
		return problems, nil
	}
	for _, sender := range d.Senders {
		if !w.lets(sender) {
			add(SenderNotListed, sender)
		}
	}
	if all != "-all" && all != "~all" {
		add(RecordWeak, `it does not end with "~all" or "-all": others may send in our name`)
	}
	return problems, nil
}

// read takes in a record and returns how it ends: "-all", or "" for not at all.
func (w *spfWalk) read(ctx context.Context, text string) (all string, err error) {
	redirect := ""
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
			return qualifier + "all", nil
		}
		if err := w.mechanism(ctx, qualifier, term); err != nil || w.fault != 0 {
			return "", err
		}
	}
	if redirect == "" {
		return "", nil
	}
	return w.follow(ctx, redirect)
}

// mechanism takes in one term that is neither "all" nor "redirect".
func (w *spfWalk) mechanism(ctx context.Context, qualifier, term string) error {
	name, value, valued := strings.Cut(term, ":")
	name, _, _ = strings.Cut(name, "/")
	lets := qualifier == "" || qualifier == "+"
	switch name {
	case "ip4", "ip6":
		prefix, err := spfPrefix(value)
		if err != nil {
			w.fault, w.detail = RecordMalformed, term
		} else if lets {
			w.prefixes = append(w.prefixes, prefix)
		}
		return nil
	case "a", "mx", "ptr", "exists":
		w.count()
	case "include":
		if !valued || value == "" {
			w.fault, w.detail = RecordMalformed, term
			return nil
		}
		if lets {
			w.terms[term] = true
		}
		_, err := w.follow(ctx, value)
		return err
	default: // an unknown modifier, "exp=", says nothing here; an unknown mechanism is an error
		if !strings.Contains(term, "=") {
			w.fault, w.detail = RecordMalformed, term
		}
		return nil
	}
	if lets {
		w.terms[term] = true
	}
	return nil
}

// follow takes in the record of another domain. One with a macro depends on the
// mail, and counts as a look-up only.
func (w *spfWalk) follow(ctx context.Context, domain string) (all string, err error) {
	if w.count(); w.fault != 0 || strings.Contains(domain, "%") {
		return "", nil
	}
	texts, err := lookup(ctx, w.resolver, domain, "v=spf1")
	if err != nil {
		return "", err
	}
	if len(texts) != 1 { // RFC 7208 §5.2, §6.1: an error for the whole
		w.fault, w.detail = RecordMalformed, domain+" has no single SPF record"
		return "", nil
	}
	return w.read(ctx, texts[0])
}

func (w *spfWalk) count() {
	if w.lookups++; w.lookups > maxSPFLookups && w.fault == 0 {
		w.fault = TooManyLookups
	}
}

// lets reports whether sender may send: by its own term, or within a network.
func (w *spfWalk) lets(sender string) bool {
	name, value, _ := strings.Cut(strings.ToLower(sender), ":")
	if name != "ip4" && name != "ip6" {
		return w.terms[strings.ToLower(sender)]
	}
	want, err := spfPrefix(value)
	if err != nil {
		return false
	}
	for _, have := range w.prefixes {
		if have.Bits() <= want.Bits() && have.Contains(want.Addr()) {
			return true
		}
	}
	return false
}
