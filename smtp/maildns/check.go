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

// An MXResolver is a Resolver that also looks up mail exchangers. With it, Check
// looks at the MX of the return path and at the hosts of "mx" in SPF.
// *[net.Resolver] is one.
type MXResolver interface {
	LookupMX(ctx context.Context, name string) ([]*net.MX, error)
}

// A HostResolver is a Resolver that also looks up addresses. With it, Check looks
// for the hosts of "a" in SPF. *[net.Resolver] is one.
type HostResolver interface {
	LookupHost(ctx context.Context, name string) ([]string, error)
}

var (
	_ Resolver     = (*net.Resolver)(nil)
	_ MXResolver   = (*net.Resolver)(nil)
	_ HostResolver = (*net.Resolver)(nil)
)

// A Fault says why a published record is wrong.
type Fault uint8

// The faults.
const (
	Missing        Fault = iota + 1 // there is no record
	Ambiguous                       // there is more than one, which counts as none
	Malformed                       // receivers do not understand it
	Different                       // it has another key than the signer's, or a revoked key
	NotListed                       // SPF does not name a host of Setup.Senders
	TooManyLookups                  // SPF needs more than ten look-ups (RFC 7208 §4.6.4)
	Misaligned                      // SPF or DKIM vouches for another domain than From's, as DMARC compares them
	Unauthorized                    // the domain for DMARC reports does not say that it wants them
	NoReports                       // DMARC names no usable mailbox, or not Setup.Reports
	Weak                            // valid, but protects nobody: a test mode, "p=none", "pct=0", "+all"
)

var faultNames = [...]string{
	"", "missing", "ambiguous", "malformed", "different", "not listed", "too many look-ups", "misaligned",
	"unauthorized", "no reports", "weak",
}

// String returns the fault's name in lower-case words.
func (f Fault) String() string {
	if int(f) < len(faultNames) {
		return faultNames[f]
	}
	return "unknown"
}

// A Problem is a fault of a record at the place where receivers look for it.
type Problem struct {
	Fault  Fault
	Want   Record // as [Setup.Records] suggests it
	Found  string // the published text; empty: none, or several
	Detail string // the wrong part of it, in words or as a quoted term
}

// String describes the problem on one line.
func (p Problem) String() string {
	s := p.Want.Kind.String() + " at " + p.Want.Name + ": " + p.Fault.String()
	if p.Detail != "" {
		s += ": " + p.Detail
	}
	return s
}

// Check looks up the published records and returns the missing and wrong ones,
// in the order of [Setup.Records]. If there are no problems, mail will be
// trusted as far as the DNS goes.
//
// Check accepts every record that receivers accept, also if Records suggests
// something else: for example further senders in SPF, senders named by an
// include, a DMARC record of a parent domain. If the Setup has Selectors, or the
// Resolver looks up MX, their problems come last.
//
// If a look-up fails, or a field of s is wrong, Check returns an error and no
// problems.
func (s Setup) Check(ctx context.Context, r Resolver) ([]Problem, error) {
	v, err := s.validate()
	if err != nil {
		return nil, err
	}
	var problems []Problem
	for _, want := range v.wanted() {
		var found []Problem
		switch want.Kind {
		case SPF:
			found, err = v.checkSPF(ctx, r, want)
		case DKIM:
			found, err = checkKey(ctx, r, want)
		case DMARC:
			found, err = v.checkDMARC(ctx, r, want)
		case MX:
			found, err = v.checkMX(ctx, r, want)
		}
		if err != nil {
			return nil, fmt.Errorf("maildns: looking up the %s record: %w", want.Kind, err)
		}
		problems = append(problems, found...)
	}
	return problems, nil
}

// lookup returns the records of a version at name. A nil isVersion accepts any.
func lookup(ctx context.Context, r Resolver, name string, isVersion func(text string) bool) ([]string, error) {
	texts, err := r.LookupTXT(ctx, name)
	if isNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var found []string
	for _, text := range texts {
		if isVersion == nil || isVersion(text) {
			found = append(found, text)
		}
	}
	return found, nil
}

func isNotFound(err error) bool {
	dnsErr, ok := errors.AsType[*net.DNSError](err)
	return ok && dnsErr.IsNotFound
}

// single returns the text, if there is exactly one, or a problem.
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
