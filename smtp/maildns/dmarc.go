package maildns

import (
	"context"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"

	"github.com/otpcourier/otpcourier/smtp/internal/addrspec"
)

// isDMARC reports whether receivers treat text as a record of DMARC: its first
// tag is the version, in capitals (RFC 9989 §4.7).
func isDMARC(text string) bool {
	name, rest, found := strings.Cut(text, "=")
	value, _, _ := strings.Cut(rest, ";")
	return found && strings.EqualFold(strings.TrimRight(name, " \t"), "v") && strings.Trim(value, " \t") == "DMARC1"
}

// readDMARC returns the tags of a record, their names in lower case.
func readDMARC(text string) (map[string]string, bool) {
	tags := map[string]string{}
	for field := range strings.SplitSeq(text, ";") {
		if strings.TrimSpace(field) == "" {
			continue
		}
		name, value, found := strings.Cut(field, "=")
		name = strings.ToLower(strings.TrimSpace(name))
		isLetter := func(r rune) bool { return r >= 'a' && r <= 'z' }
		if _, again := tags[name]; !found || again || name == "" ||
			strings.ContainsFunc(name, func(r rune) bool { return !isLetter(r) }) {
			return nil, false
		}
		tags[name] = strings.TrimSpace(value)
	}
	return tags, true
}

func (s *settings) checkDMARC(ctx context.Context, r Resolver, want Record) ([]Problem, error) {
	tree, err := walkTree(ctx, r, s.From)
	if err != nil {
		return nil, err
	}
	if len(tree.own) > 1 {
		_, problems := single(want, tree.own)
		return problems, nil
	}
	found, at := tree.policy()
	if found == "" {
		return []Problem{{Fault: Missing, Want: want}}, nil
	}
	c := dmarcCheck{settings: s, resolver: r, want: want, found: found, at: at, tree: tree}
	tags, ok := readDMARC(found)
	fault, detail := policyFault(tags, at != s.From)
	if !ok {
		fault, detail = Malformed, ""
	}
	if c.add(fault, detail); fault == Malformed {
		return c.problems, nil
	}
	if err := c.alignment(ctx, tags); err != nil {
		return nil, err
	}
	err = c.reports(ctx, tags)
	return c.problems, err
}

// A dmarcCheck is the check of a record.
type dmarcCheck struct {
	*settings
	resolver Resolver
	want     Record
	found    string
	at       string // the domain of the record
	tree     tree
	problems []Problem
}

func (c *dmarcCheck) add(f Fault, detail string) {
	if f != 0 {
		c.problems = append(c.problems, Problem{Fault: f, Want: c.want, Found: c.found, Detail: detail})
	}
}

// alignment checks that a signature or the return path counts for From.
func (c *dmarcCheck) alignment(ctx context.Context, tags map[string]string) error {
	if c.DKIM != nil && strings.EqualFold(tags["adkim"], "s") && c.signing != c.From {
		c.add(Misaligned, "adkim=s, and DKIM signs for "+c.signing)
	}
	aligned, err := c.isAligned(ctx, c.ReturnPath)
	switch {
	case err != nil:
		return err
	case c.DKIM == nil && len(c.Selectors) == 0 && !aligned:
		c.add(Misaligned,
			"the return path is at "+c.ReturnPath+": only mail that the relay signs for "+c.From+" passes")
	case strings.EqualFold(tags["aspf"], "s") && c.ReturnPath != c.From:
		c.add(Misaligned, "aspf=s, and the return path is at "+c.ReturnPath)
	}
	return nil
}

// isAligned reports whether the domain belongs to From's organization, by the
// tree walk of RFC 9989 §4.10. Receivers of RFC 7489 use the list of public
// suffixes instead, which counts, too, unless a record of the tree marks the
// organization.
func (c *dmarcCheck) isAligned(ctx context.Context, domain string) (bool, error) {
	other, err := walkTree(ctx, c.resolver, domain)
	if err != nil || other.organization() == c.tree.organization() {
		return err == nil, err
	}
	return !other.told && !c.tree.told && registrable(domain) == registrable(c.From), nil
}

// reports checks that reports reach Setup.Reports.
func (c *dmarcCheck) reports(ctx context.Context, tags map[string]string) error {
	rua, asked := tags["rua"]
	mailboxes, wrong := readURIs(rua)
	switch {
	case asked && wrong != "":
		c.add(NoReports, "rua holds "+wrong)
	case c.Reports != "" && !asked:
		c.add(NoReports, "it has no rua")
	case c.Reports != "" && !names(mailboxes, c.Reports):
		c.add(NoReports, "rua does not name "+c.Reports)
	}
	forensic, _ := readURIs(tags["ruf"])
	seen := map[string]bool{}
	for _, mailbox := range append(mailboxes, forensic...) {
		_, domain, _ := strings.Cut(strings.ToLower(mailbox), "@")
		if seen[domain] {
			continue
		}
		seen[domain] = true
		if err := c.authorization(ctx, domain); err != nil {
			return err
		}
	}
	return nil
}

func names(mailboxes []string, one string) bool {
	return slices.ContainsFunc(mailboxes, func(m string) bool { return strings.EqualFold(m, one) })
}

// authorization checks that a domain outside the organization wants the reports
// (RFC 9990 §4).
func (c *dmarcCheck) authorization(ctx context.Context, domain string) error {
	own, err := c.isAligned(ctx, domain)
	if err != nil || own {
		return err
	}
	for _, name := range []string{c.at, "*"} {
		texts, err := lookup(ctx, c.resolver, name+"._report._dmarc."+domain, isDMARC)
		if err != nil || len(texts) > 0 {
			return err
		}
	}
	c.add(Unauthorized, "there is no "+c.at+"._report._dmarc."+domain)
	return nil
}

// readURIs returns the mailboxes of a rua tag, and the first part in another
// form than "mailto:" and an address.
func readURIs(list string) (mailboxes []string, wrong string) {
	for uri := range strings.SplitSeq(list, ",") {
		uri = strings.TrimSpace(uri)
		mailbox, size, sized := strings.Cut(uri, "!")
		if len(mailbox) < len("mailto:") || !strings.EqualFold(mailbox[:len("mailto:")], "mailto:") {
			return mailboxes, quoted(uri)
		}
		mailbox = mailbox[len("mailto:"):]
		number := strings.TrimRight(strings.ToLower(size), "kmgt")
		if _, err := addrspec.ASCII(mailbox); err != nil ||
			sized && (number == "" || !isDigits(number) || len(size)-len(number) > 1) {
			return mailboxes, quoted(uri)
		}
		mailboxes = append(mailboxes, mailbox)
	}
	return mailboxes, ""
}

func quoted(uri string) string {
	if uri == "" {
		return "an empty address"
	}
	return `"` + uri + `"`
}

// policyFault returns the fault of a DMARC record's policy, or zero.
func policyFault(tags map[string]string, inherited bool) (Fault, string) {
	isPolicy := func(tag string) bool {
		policy, has := tags[tag]
		return !has && tag != "p" || slices.Contains([]string{"none", "quarantine", "reject"}, strings.ToLower(policy))
	}
	if !isPolicy("p") || !isPolicy("sp") || !isPolicy("np") {
		// RFC 9989 §4.7: with a mailbox for reports it counts as p=none,
		// otherwise it is ignored.
		if mailboxes, _ := readURIs(tags["rua"]); len(mailboxes) > 0 {
			return Weak, "without a valid p, sp and np it counts as p=none"
		}
		return Malformed, ""
	}
	policy := tags["p"]
	if sub, has := tags["sp"]; has && inherited {
		policy = sub
	}
	switch {
	case strings.EqualFold(policy, "none"):
		return Weak, "p=none: others may send in our name"
	case strings.EqualFold(tags["t"], "y"):
		return Weak, "t=y: receivers do not apply the policy in full"
	case tags["pct"] == "0":
		return Weak, "pct=0: others may send in our name"
	}
	return 0, ""
}

// registrable returns the registered part of a domain, by which DMARC compared
// domains before RFC 9989.
func registrable(domain string) string {
	if organization, err := publicsuffix.EffectiveTLDPlusOne(domain); err == nil {
		return organization
	}
	return domain
}
