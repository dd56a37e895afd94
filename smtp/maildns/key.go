package maildns

import (
	"cmp"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"strings"
)

// checkKey compares a published key with the signer's. The version may be left
// out (RFC 6376 §3.6.1), so all texts at the name count.
func checkKey(ctx context.Context, r Resolver, want Record) ([]Problem, error) {
	texts, err := lookup(ctx, r, want.Name, nil)
	if err != nil {
		return nil, err
	}
	found, problems := single(want, texts)
	if problems != nil {
		return problems, nil
	}
	if fault, detail := keyFault(found, want.Text); fault != 0 {
		return []Problem{{Fault: fault, Want: want, Found: found, Detail: detail}}, nil
	}
	return nil, nil
}

// minRSA is the length under which receivers ignore an RSA key, in bits (RFC 8301
// §3.2).
const minRSA = 1024

// keyFault returns the fault of a key record, or zero. If want is empty, any
// key is right.
func keyFault(found, want string) (Fault, string) {
	tags, ok := readTags(found)
	kind, named := tags["k"]
	if !named {
		kind = "rsa"
	}
	version, versioned := tags["v"]
	key, keyed := tags["p"]
	if !ok || versioned && (version != "DKIM1" || !startsWithTag(found, "v")) || !keyed {
		return Malformed, ""
	}
	if key == "" {
		return Different, "the key is revoked"
	}
	public, err := parseKey(kind, key)
	if want != "" {
		ours, _ := readTags(want)
		our, _ := parseKey(ours["k"], ours["p"])
		if err != nil || kind != ours["k"] || !sameKey(public, our) {
			return Different, "the key is not ours"
		}
	}
	rsaKey, isRSA := public.(*rsa.PublicKey)
	switch {
	case err != nil:
		return Malformed, "the key cannot be read"
	case !permits(tags, "h", "sha256"), !permits(tags, "s", "email"):
		return Different, "it is not for mail signed with SHA-256"
	case permits(tags, "t", "y") && tags["t"] != "":
		return Weak, "t=y: receivers treat the mail as unsigned"
	case isRSA && rsaKey.N.BitLen() < minRSA:
		return Weak, "an RSA key of fewer than 1024 bits"
	}
	return 0, ""
}

// startsWithTag reports whether the first tag of a record has the name.
func startsWithTag(text, name string) bool {
	first, _, _ := strings.Cut(text, "=")
	return strings.TrimSpace(first) == name
}

var errKey = errors.New("no key of DKIM")

// parseKey reads the p tag of a key record. An RSA key is published as a
// SubjectPublicKeyInfo or, by RFC 6376, as an RSAPublicKey (erratum 3017).
func parseKey(kind, text string) (crypto.PublicKey, error) {
	raw, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		return nil, err
	}
	switch kind {
	case "ed25519":
		if len(raw) != ed25519.PublicKeySize {
			return nil, errKey
		}
		return ed25519.PublicKey(raw), nil
	case "rsa":
		if public, err := x509.ParsePKCS1PublicKey(raw); err == nil {
			return public, nil
		}
		public, err := x509.ParsePKIXPublicKey(raw)
		if key, ok := public.(*rsa.PublicKey); ok {
			return key, nil
		}
		return nil, cmp.Or(err, errKey)
	}
	return nil, errKey
}

func sameKey(one, two crypto.PublicKey) bool {
	switch one := one.(type) {
	case *rsa.PublicKey:
		return one.Equal(two)
	case ed25519.PublicKey:
		return one.Equal(two)
	}
	return false
}

// permits reports whether a tag's list has value or "*". A missing tag permits
// everything.
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
