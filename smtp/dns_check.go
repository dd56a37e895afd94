package smtp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// A Resolver looks up TXT records, each with its strings joined. An error for a
// name that has none is a *[net.DNSError] with IsNotFound. *[net.Resolver] is
// one.
type Resolver interface {
	LookupTXT(ctx context.Context, name string) ([]string, error)
}

var _ Resolver = (*net.Resolver)(nil)

// A DNSFault is what is wrong with a published record.
type DNSFault uint8

// The faults.
const (
	RecordMissing    DNSFault = iota + 1 // there is none
	RecordAmbiguous                      // there is more than one, which counts as none
	RecordMalformed                      // receivers do not understand it
	RecordDifferent                      // it holds another key than ours, or a revoked one
	SenderNotListed                      // SPF does not name a sender of ours
	TooManyLookups                       // SPF needs more than ten look-ups (RFC 7208 §4.6.4)
	RecordMisaligned                     // what SPF or DKIM vouches for is not From's domain, as DMARC asks
	RecordWeak                           // valid, but protects nobody: a test mode, "p=none", "pct=0", "+all"
)

var faultNames = [...]string{"", "missing", "ambiguous", "malformed", "different", "not listed", "too many look-ups", "misaligned", "weak"}

// String returns the fault's name in lower-case words.
func (f DNSFault) String() string {
	if int(f) < len(faultNames) {
		return faultNames[f]
	}
	return "unknown"
}

// A DNSProblem is a fault of a record, found where mail would look for it.
type DNSProblem struct {
	Fault  DNSFault
	Want   DNSRecord // what [DNSSetup.Records] suggests
	Found  string    // the text that is published; empty: none, or several
	Detail string    // what of it, in words or a quoted term
}

// String describes the problem on one line.
func (p DNSProblem) String() string {
	s := p.Want.Kind.String() + " at " + p.Want.Name + ": " + p.Fault.String()
	if p.Detail != "" {
		s += ": " + p.Detail
	}
	return s
}

// Check looks up what is published and returns what is missing or wrong, in the
// order of [DNSSetup.Records]; nothing, if mail will be trusted as far as the
// DNS goes. It accepts what receivers accept, also if it is not what Records
// suggests: other senders in SPF, or named by an include; a DMARC record of a
// domain above. It does not ask about addresses: of "a", "mx", "exists" and
// "ptr" only the number counts.
//
// An error means that a look-up failed, or that a field of d is wrong; what was
// found is then unknown.
func (d DNSSetup) Check(ctx context.Context, r Resolver) ([]DNSProblem, error) {
	d, err := d.settle()
	if err != nil {
		return nil, err
	}
	records, err := d.records()
	if err != nil {
		return nil, err
	}
	var problems []DNSProblem
	for _, want := range records {
		var found []DNSProblem
		switch want.Kind {
		case SPFRecord:
			found, err = d.checkSPF(ctx, r, want)
		case KeyRecord:
			found, err = checkKey(ctx, r, want)
		case DMARCRecord:
			found, err = d.checkDMARC(ctx, r, want)
		}
		if err != nil {
			return nil, fmt.Errorf("smtp: looking up the %s record: %w", want.Kind, err)
		}
		problems = append(problems, found...)
	}
	return problems, nil
}

// lookup returns the records at name that are of a version, "v=spf1"; of any,
// if that is empty.
func lookup(ctx context.Context, r Resolver, name, version string) ([]string, error) {
	texts, err := r.LookupTXT(ctx, name)
	if err != nil {
		if dnsErr, ok := errors.AsType[*net.DNSError](err); ok && dnsErr.IsNotFound {
			return nil, nil
		}
		return nil, err
	}
	var found []string
	for _, text := range texts {
		if version == "" || hasVersion(text, version) {
			found = append(found, text)
		}
	}
	return found, nil
}

func hasVersion(text, version string) bool {
	text = strings.TrimSpace(text)
	if len(text) < len(version) || !strings.EqualFold(text[:len(version)], version) {
		return false
	}
	rest := text[len(version):]
	return rest == "" || strings.ContainsRune(" \t;", rune(rest[0]))
}

// only returns the one text there is, or the fault of having another number.
func only(want DNSRecord, texts []string) (string, []DNSProblem) {
	switch len(texts) {
	case 0:
		return "", []DNSProblem{{Fault: RecordMissing, Want: want}}
	case 1:
		return texts[0], nil
	}
	return "", []DNSProblem{{Fault: RecordAmbiguous, Want: want, Detail: fmt.Sprintf("%d records", len(texts))}}
}

// readTags splits "k=v; k=v" (RFC 6376 §3.2). Names are case-sensitive there.
func readTags(text string) (map[string]string, bool) {
	tags := map[string]string{}
	for field := range strings.SplitSeq(text, ";") {
		if strings.TrimSpace(field) == "" {
			continue
		}
		name, value, found := strings.Cut(field, "=")
		name = strings.TrimSpace(name)
		if _, again := tags[name]; !found || again || name == "" {
			return nil, false
		}
		tags[name] = strings.TrimSpace(value)
	}
	return tags, true
}

// checkKey compares a published key with ours. The version may be left out
// (RFC 6376 §3.6.1), so all texts at the name count.
func checkKey(ctx context.Context, r Resolver, want DNSRecord) ([]DNSProblem, error) {
	texts, err := lookup(ctx, r, want.Name, "")
	if err != nil {
		return nil, err
	}
	found, problems := only(want, texts)
	if problems != nil {
		return problems, nil
	}
	problem := func(f DNSFault, detail string) []DNSProblem {
		return []DNSProblem{{Fault: f, Want: want, Found: found, Detail: detail}}
	}
	tags, ok := readTags(found)
	ours, _ := readTags(want.Text)
	kind, named := tags["k"]
	if !named {
		kind = "rsa"
	}
	version, versioned := tags["v"]
	key, keyed := tags["p"]
	switch {
	case !ok || versioned && version != "DKIM1" || !keyed:
		return problem(RecordMalformed, ""), nil
	case key == "":
		return problem(RecordDifferent, "the key is revoked"), nil
	case kind != ours["k"] || strings.Join(strings.Fields(key), "") != ours["p"]:
		return problem(RecordDifferent, "the key is not ours"), nil
	case !permits(tags, "h", "sha256"), !permits(tags, "s", "email"):
		return problem(RecordDifferent, "it is not for mail signed with SHA-256"), nil
	case permits(tags, "t", "y") && tags["t"] != "":
		return problem(RecordWeak, "t=y: receivers treat the mail as unsigned"), nil
	}
	return nil, nil
}

// permits reports whether a tag's list, where there is one, has value or "*".
func permits(tags map[string]string, tag, value string) bool {
	list, found := tags[tag]
	if !found {
		return true
	}
	for item := range strings.SplitSeq(list, ":") {
		if item = strings.TrimSpace(item); item == value || item == "*" {
			return true
		}
	}
	return false
}

// checkDMARC looks at From's domain and then at those above it. That finds what
// RFC 7489 §6.6.3 finds with a list of public suffixes, unless a suffix has a
// record of its own.
func (d DNSSetup) checkDMARC(ctx context.Context, r Resolver, want DNSRecord) ([]DNSProblem, error) {
	var (
		texts []string
		err   error
		above bool
	)
	for domain, more := d.From, true; more && strings.Contains(domain, "."); _, domain, more = strings.Cut(domain, ".") {
		if texts, err = lookup(ctx, r, "_dmarc."+domain, "v=DMARC1"); err != nil {
			return nil, err
		}
		if len(texts) > 0 {
			above = domain != d.From
			break
		}
	}
	found, problems := only(want, texts)
	if problems != nil {
		return problems, nil
	}
	problem := func(f DNSFault, detail string) []DNSProblem {
		return []DNSProblem{{Fault: f, Want: want, Found: found, Detail: detail}}
	}
	tags, ok := readTags(found)
	policy := tags["p"]
	if sub, has := tags["sp"]; has && above {
		policy = sub
	}
	switch policy = strings.ToLower(policy); {
	case policy == "none":
		problems = problem(RecordWeak, "p=none: others may send in our name")
	case policy != "quarantine" && policy != "reject":
		ok = false
	case tags["pct"] == "0":
		problems = problem(RecordWeak, "pct=0: others may send in our name")
	}
	if !ok {
		return problem(RecordMalformed, ""), nil
	}
	if d.DKIM != nil && strings.EqualFold(tags["adkim"], "s") && d.DKIM.domain != d.From {
		problems = append(problems, problem(RecordMisaligned, "adkim=s, and DKIM signs for "+d.DKIM.domain)...)
	}
	switch {
	case d.DKIM == nil && registrable(d.ReturnPath) != registrable(d.From):
		problems = append(problems, problem(RecordMisaligned, "the return path is at "+d.ReturnPath+": only mail that the relay signs for "+d.From+" passes")...)
	case strings.EqualFold(tags["aspf"], "s") && d.ReturnPath != d.From:
		problems = append(problems, problem(RecordMisaligned, "aspf=s, and the return path is at "+d.ReturnPath)...)
	}
	return problems, nil
}

// registrable returns what somebody can have registered of a domain, by which
// DMARC finds domains aligned (RFC 7489 §3.2).
func registrable(domain string) string {
	if organization, err := publicsuffix.EffectiveTLDPlusOne(domain); err == nil {
		return organization
	}
	return domain
}
