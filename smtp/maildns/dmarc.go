package maildns

import (
	"context"
	"strings"

	"golang.org/x/net/publicsuffix"
)

func (s *settings) checkDMARC(ctx context.Context, r Resolver, want Record) ([]Problem, error) {
	texts, inherited, err := s.findDMARC(ctx, r)
	if err != nil {
		return nil, err
	}
	found, problems := single(want, texts)
	if problems != nil {
		return problems, nil
	}
	add := func(f Fault, detail string) {
		if f != 0 {
			problems = append(problems, Problem{Fault: f, Want: want, Found: found, Detail: detail})
		}
	}
	tags, ok := readTags(found)
	fault, detail := policyFault(tags, inherited)
	if !ok {
		fault, detail = Malformed, ""
	}
	if add(fault, detail); fault == Malformed {
		return problems, nil
	}
	if s.DKIM != nil && strings.EqualFold(tags["adkim"], "s") && s.signing != s.From {
		add(Misaligned, "adkim=s, and DKIM signs for "+s.signing)
	}
	switch {
	case s.DKIM == nil && registrable(s.ReturnPath) != registrable(s.From):
		add(Misaligned, "the return path is at "+s.ReturnPath+": only mail that the relay signs for "+s.From+" passes")
	case strings.EqualFold(tags["aspf"], "s") && s.ReturnPath != s.From:
		add(Misaligned, "aspf=s, and the return path is at "+s.ReturnPath)
	}
	return problems, nil
}

// findDMARC looks at From's domain and then at its parents. That finds the same
// record as RFC 7489 §6.6.3 does with a list of public suffixes, unless a suffix
// has a record of its own. A record of a parent is inherited.
func (s *settings) findDMARC(ctx context.Context, r Resolver) (texts []string, inherited bool, err error) {
	domain, more := s.From, true
	for more && strings.Contains(domain, ".") {
		texts, err = lookup(ctx, r, "_dmarc."+domain, "v=DMARC1")
		if err != nil || len(texts) > 0 {
			return texts, domain != s.From, err
		}
		_, domain, more = strings.Cut(domain, ".")
	}
	return nil, false, nil
}

// policyFault returns the fault of a DMARC record's policy, zero for none.
func policyFault(tags map[string]string, inherited bool) (Fault, string) {
	policy := tags["p"]
	if sub, has := tags["sp"]; has && inherited {
		policy = sub
	}
	switch policy = strings.ToLower(policy); {
	case policy == "none":
		return Weak, "p=none: others may send in our name"
	case policy != "quarantine" && policy != "reject":
		return Malformed, ""
	case tags["pct"] == "0":
		return Weak, "pct=0: others may send in our name"
	}
	return 0, ""
}

// registrable returns the part of a domain that its owner has registered, by
// which DMARC finds domains aligned (RFC 7489 §3.2).
func registrable(domain string) string {
	if organization, err := publicsuffix.EffectiveTLDPlusOne(domain); err == nil {
		return organization
	}
	return domain
}
