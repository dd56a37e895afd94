package maildns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
)

// A Resolver looks up TXT records and returns each with its strings joined. If
// the name has none, the error must be a *[net.DNSError] with IsNotFound.
// *[net.Resolver] is a Resolver.
type Resolver interface {
	LookupTXT(ctx context.Context, name string) ([]string, error)
}

var _ Resolver = (*net.Resolver)(nil)

// A Fault is the way in which a published record is wrong.
type Fault uint8

// The faults.
const (
	Missing        Fault = iota + 1 // there is none
	Ambiguous                       // there is more than one, which counts as none
	Malformed                       // receivers do not understand it
	Different                       // it holds another key than the signer's, or a revoked one
	NotListed                       // SPF does not name a host of Setup.Senders
	TooManyLookups                  // SPF needs more than ten look-ups (RFC 7208 §4.6.4)
	Misaligned                      // SPF or DKIM vouches for another domain than From's, as DMARC compares them
	Weak                            // valid, but protects nobody: a test mode, "p=none", "pct=0", "+all"
)

var faultNames = [...]string{
	"", "missing", "ambiguous", "malformed", "different", "not listed", "too many look-ups", "misaligned", "weak",
}

// String returns the fault's name in lower-case words.
func (f Fault) String() string {
	if int(f) < len(faultNames) {
		return faultNames[f]
	}
	return "unknown"
}

// A Problem is a fault of a record, found where receivers would look for it.
type Problem struct {
	Fault  Fault
	Want   Record // as [Setup.Records] suggests it
	Found  string // the text that is published; empty: none, or several
	Detail string // the part of it that is wrong, in words or as a quoted term
}

// String describes the problem on one line.
func (p Problem) String() string {
	s := p.Want.Kind.String() + " at " + p.Want.Name + ": " + p.Fault.String()
	if p.Detail != "" {
		s += ": " + p.Detail
	}
	return s
}

// Check looks up the published records and returns those that are missing or
// wrong, in the order of [Setup.Records]. If there are no problems, mail will be
// trusted as far as the DNS goes.
//
// Check accepts every record that receivers accept, also if Records suggests something
// else: further senders in SPF, senders named by an include, a DMARC record of a
// parent domain. It resolves no addresses: "a", "mx", "exists" and "ptr" only
// count as look-ups.
//
// If a look-up fails, or a field of s is wrong, Check returns an error and no
// problems.
func (s Setup) Check(ctx context.Context, r Resolver) ([]Problem, error) {
	v, err := s.validate()
	if err != nil {
		return nil, err
	}
	var problems []Problem
	for _, want := range v.records {
		var found []Problem
		switch want.Kind {
		case SPF:
			found, err = v.checkSPF(ctx, r, want)
		case DKIM:
			found, err = checkKey(ctx, r, want)
		case DMARC:
			found, err = v.checkDMARC(ctx, r, want)
		}
		if err != nil {
			return nil, fmt.Errorf("maildns: looking up the %s record: %w", want.Kind, err)
		}
		problems = append(problems, found...)
	}
	return problems, nil
}

// lookup returns the records at name that are of a version, "v=spf1". An empty
// version stands for any.
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

// single returns the text, if there is exactly one, or the problem of having
// none or several.
func single(want Record, texts []string) (string, []Problem) {
	switch len(texts) {
	case 0:
		return "", []Problem{{Fault: Missing, Want: want}}
	case 1:
		return texts[0], nil
	}
	return "", []Problem{{Fault: Ambiguous, Want: want, Detail: fmt.Sprintf("%d records", len(texts))}}
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
