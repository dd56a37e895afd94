package smtp

import (
	"strconv"
	"strings"

	"github.com/otpcourier/otpcourier/channel"
)

// fields are a group of a report's fields by their names in lower case. Of two
// with one name the first counts.
type fields map[string]string

// word returns a field's first word, in lower case and without a comment.
func (f fields) word(name string) string {
	value := strings.TrimSpace(f[name])
	if end := strings.IndexAny(value, " \t(;\r\n"); end >= 0 {
		value = value[:end]
	}
	return strings.ToLower(value)
}

// readGroups splits the body of message/delivery-status (RFC 3464 §2.1), or of
// message/feedback-report, into its groups of fields. It is lenient: a line
// that is no field is passed over.
func readGroups(body []byte) []fields {
	var (
		groups []fields
		group  fields
		last   string // the field that a folded line goes on with
	)
	for line := range strings.Lines(string(body)) {
		line = strings.TrimRight(line, "\r\n")
		name, value, found := strings.Cut(line, ":")
		switch {
		case strings.TrimSpace(line) == "":
			group, last = nil, ""
			continue
		case line[0] == ' ' || line[0] == '\t':
			if last != "" && len(group[last]) < maxFolded {
				group[last] += " " + strings.TrimSpace(line)
			}
			continue
		case !found:
			last = ""
			continue
		}
		if group == nil {
			if len(groups) == maxGroups {
				return groups
			}
			group = fields{}
			groups = append(groups, group)
		}
		last = strings.ToLower(strings.TrimSpace(name))
		if _, again := group[last]; again {
			last = ""
			continue
		}
		group[last] = strings.TrimSpace(value)
	}
	return groups
}

// statusReceipts returns a receipt for each recipient in a delivery report
// (RFC 3464 §2.3). The first group, which is about the mail as a whole, has no
// action.
func statusReceipts(groups []fields) []channel.Receipt {
	var receipts []channel.Receipt
	for _, group := range groups {
		r := channel.Receipt{Code: statusOf(group)}
		switch group.word("action") {
		case "failed":
			r.State, r.Class = channel.Failed, statusClass(r.Code)
		case "delayed", "relayed", "expanded":
			r.State = channel.Sent
		case "delivered":
			r.State = channel.Delivered
		default:
			continue
		}
		receipts = append(receipts, r)
	}
	return receipts
}

// statusOf returns the enhanced status code of a group; empty: it has none. If the
// Status field is unspecific, x.0.0, the reply of the remote server counts.
func statusOf(group fields) string {
	status := group.word("status")
	if !isStatus(status) {
		status = ""
	}
	if status != "" && !strings.HasSuffix(status, ".0.0") {
		return status
	}
	kind, text, _ := strings.Cut(group["diagnostic-code"], ";")
	text = strings.TrimSpace(text)
	if !strings.EqualFold(strings.TrimSpace(kind), "smtp") || len(text) < 4 {
		return status
	}
	code, err := strconv.Atoi(text[:3])
	if err != nil {
		return status
	}
	if better := enhancedIn(code, strings.TrimLeft(text[3:], " -")); better != "" {
		return better
	}
	return status
}

// isStatus reports whether s is a code of RFC 3463.
func isStatus(s string) bool {
	return s != "" && strings.ContainsRune("245", rune(s[0])) && enhancedIn(int(s[0]-'0')*100, s) == s
}

// statusClass says why a mail bounced, as the same status would mean it at
// RCPT. A relay that has given up on a temporary fault says 4.x.x: another may
// do better. A bounce without a reason counts as one of this mailbox.
func statusClass(status string) channel.Class {
	switch {
	case status == "" || status[0] == '2':
		return channel.Unreachable
	case status[0] == '4':
		return reply{code: 450, enhanced: status}.class(phaseRcpt)
	case strings.HasPrefix(status, "5.6."): // the content or its conversion
		return channel.Misconfigured
	}
	r := reply{code: 550, enhanced: status}
	if r.aboutSender() || strings.HasPrefix(status, "5.5.") {
		return channel.Misconfigured
	}
	return r.class(phaseRcpt)
}

// aboutSender reports a bad sender address (5.1.7, 5.1.8), or the policy and the
// authentication of its domain (5.7.1, 5.7.26, 5.7.515 and the like).
func (r reply) aboutSender() bool {
	return r.enhanced == "5.1.7" || r.enhanced == "5.1.8" || strings.HasPrefix(r.enhanced, "5.7.")
}

// complaintType returns the type of a complaint, of which there may be ones we
// do not know; but not just any text.
func complaintType(f fields) string {
	kind := f.word("feedback-type")
	if kind == "" || len(kind) > 32 ||
		strings.ContainsFunc(kind, func(r rune) bool { return r != '-' && (r < 'a' || r > 'z') }) {
		return "other"
	}
	return kind
}

// complaintReceipt returns the receipt for a complaint (RFC 5965 §7.3, RFC 6430):
// a person who complains has got the mail.
func complaintReceipt(kind string) channel.Receipt {
	r := channel.Receipt{State: channel.Sent, Code: kind}
	switch kind {
	case "abuse", "fraud", "opt-out", "opt-out-list", "not-spam":
		r.State = channel.Delivered
	}
	return r
}
