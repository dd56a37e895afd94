package maildns

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
)

// A host is what the DNS holds at a name.
type host struct {
	TXT     []string `json:"txt"`
	A       []string `json:"a"`
	MX      []string `json:"mx"`
	CNAME   string   `json:"cname"`
	Timeout bool     `json:"timeout"`
}

// A hosts is a Resolver that also looks up addresses and MX.
type hosts map[string]host

var (
	_ Resolver     = hosts(nil)
	_ MXResolver   = hosts(nil)
	_ HostResolver = hosts(nil)
)

func (h hosts) at(name string) (host, error) {
	for range 8 {
		found, ok := h[strings.ToLower(strings.TrimSuffix(name, "."))]
		switch {
		case !ok:
			return host{}, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
		case found.Timeout:
			return host{}, &net.DNSError{Err: "timeout", Name: name, IsTimeout: true}
		case found.CNAME == "":
			return found, nil
		}
		name = found.CNAME
	}
	return host{}, &net.DNSError{Err: "loop", Name: name}
}

func notFound(name string, n int, err error) error {
	if err == nil && n == 0 {
		return &net.DNSError{Err: "no such record", Name: name, IsNotFound: true}
	}
	return err
}

func (h hosts) LookupTXT(_ context.Context, name string) ([]string, error) {
	found, err := h.at(name)
	return found.TXT, notFound(name, len(found.TXT), err)
}

func (h hosts) LookupHost(_ context.Context, name string) ([]string, error) {
	found, err := h.at(name)
	return found.A, notFound(name, len(found.A), err)
}

func (h hosts) LookupMX(_ context.Context, name string) (all []*net.MX, err error) {
	found, err := h.at(name)
	for _, exchange := range found.MX {
		all = append(all, &net.MX{Host: exchange})
	}
	return all, notFound(name, len(all), err)
}

// dependsOnMail are tests of openspf whose error depends on the mail, such as on a
// macro, so that the record alone does not show it.
var dependsOnMail = []string{"include-at-limit"}

// The records of the openspf test suite (release 2014.04, testdata/openspf.LICENSE)
// that are an error for receivers are an error for Check, and the others are none.
func TestSPFAgreesWithOpenSPF(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("testdata/openspf.json")
	if err != nil {
		t.Fatal(err)
	}
	var sections []struct {
		Section string
		Tests   []struct {
			Name, Domain string
			Results      []string
		}
		Zone hosts
	}
	if err := json.Unmarshal(raw, &sections); err != nil {
		t.Fatal(err)
	}
	tests := 0
	for _, section := range sections {
		for _, tt := range section.Tests {
			if slices.Contains(dependsOnMail, tt.Name) || slices.Contains(tt.Results, "temperror") {
				continue
			}
			s := Setup{From: tt.Domain, Senders: []string{"ip4:192.0.2.1"}}
			problems, err := s.Check(t.Context(), section.Zone)
			if err != nil {
				if strings.Contains(err.Error(), "not a domain name") {
					continue
				}
				t.Errorf("%s, %s: %v", section.Section, tt.Name, err)
				continue
			}
			tests++
			var fault Fault
			detail := ""
			for _, p := range problems {
				if p.Want.Kind == SPF && p.Fault <= Malformed || p.Fault == TooManyLookups {
					fault, detail = p.Fault, p.Detail
				}
			}
			ok := false
			for _, result := range tt.Results {
				switch result {
				case "none":
					ok = ok || fault == Missing
				case "permerror":
					ok = ok || fault > Missing
				default:
					ok = ok || fault == 0
				}
			}
			if !ok {
				t.Errorf("%s, %s, %s: %v %s; want %v: %q", section.Section, tt.Name, tt.Domain, fault, detail,
					tt.Results,
					section.Zone[tt.Domain].TXT)
			}
		}
	}
	t.Logf("%d tests of openspf", tests)
}
