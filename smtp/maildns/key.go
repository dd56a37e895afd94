package maildns

import (
	"context"
	"strings"
)

// checkKey compares a published key with the signer's. The version may be left
// out (RFC 6376 §3.6.1), so all texts at the name count.
func checkKey(ctx context.Context, r Resolver, want Record) ([]Problem, error) {
	texts, err := lookup(ctx, r, want.Name, "")
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

// keyFault returns the fault of a key record, zero for none.
func keyFault(found, want string) (Fault, string) {
	tags, ok := readTags(found)
	ours, _ := readTags(want)
	kind, named := tags["k"]
	if !named {
		kind = "rsa"
	}
	version, versioned := tags["v"]
	key, keyed := tags["p"]
	switch {
	case !ok || versioned && version != "DKIM1" || !keyed:
		return Malformed, ""
	case key == "":
		return Different, "the key is revoked"
	case kind != ours["k"] || strings.Join(strings.Fields(key), "") != ours["p"]:
		return Different, "the key is not ours"
	case !permits(tags, "h", "sha256"), !permits(tags, "s", "email"):
		return Different, "it is not for mail signed with SHA-256"
	case permits(tags, "t", "y") && tags["t"] != "":
		return Weak, "t=y: receivers treat the mail as unsigned"
	}
	return 0, ""
}

// permits reports whether a tag's list holds value or "*". A tag that is absent
// permits everything.
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
