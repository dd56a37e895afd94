package smtp

import (
	"slices"
	"strconv"
	"strings"

	"github.com/otpcourier/otpcourier/channel"
)

// fields are a group of a report's fields by their names in lower case. If two
// have one name, the first counts.
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
// message/feedback-report, into its groups of fields. It is lenient and skips a
// line that is not a field.
func readGroups(body []byte) []fields {
	var (
		groups []fields
		group  fields
		last   string // the field of a folded line
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

// recipientGroups returns the groups of fields about a recipient in the text of
// a bounce. Some mail systems write a report there instead of in a part of its
// own.
func recipientGroups(text []byte) []fields {
	return slices.DeleteFunc(readGroups(text), func(group fields) bool {
		return group["final-recipient"] == "" || group["action"] == ""
	})
}

// statusReceipts returns a receipt for each recipient in a delivery report (RFC
// 3464 §2.3). The first group is about the whole mail and has no action.
func statusReceipts(groups []fields) []channel.Receipt {
	var receipts []channel.Receipt
	for _, group := range groups {
		var r channel.Receipt
		switch group.word("action") {
		case "failed", "failure", "fail", "error", "expired":
			r.State = channel.Failed
		case "delayed", "relayed", "expanded", "deliverable":
			r.State = channel.Sent
		case "delivered":
			r.State = channel.Delivered
		default:
			if !group.hasFailed() {
				continue
			}
			r.State = channel.Failed
		}
		var class channel.Class
		if r.Code, class = statusOf(group); r.State == channel.Failed {
			r.Class = class
		}
		receipts = append(receipts, r)
	}
	return receipts
}

// hasFailed reports whether a group about a recipient has a permanent status,
// and an action that is missing or unknown.
func (f fields) hasFailed() bool {
	isRecipient := f["final-recipient"] != "" || f["original-recipient"] != ""
	status := f.word("status")
	return isRecipient && isStatus(status) && status[0] == '5'
}

// statusOf returns the enhanced status code of a group, or "", and its class as
// a bounce. The more specific of the Status field and the remote server's reply
// counts.
func statusOf(group fields) (string, channel.Class) {
	status := group.word("status")
	if !isStatus(status) {
		status = ""
	}
	code, text := diagnosticOf(group)
	remote := enhancedAnywhere(code, text)
	best, other := status, remote
	if specificity(remote) > specificity(status) {
		best, other = remote, status
	}
	class := statusClass(best)
	if class != channel.InvalidRecipient {
		return best, class
	}
	switch {
	case reasonIn(text) != reasonNone: // a live address, by the words
		class = channel.Unreachable
	case code >= 400 && code < 500:
		class = channel.Temporary
	case specificity(other) == specificity(best) && statusClass(other) != channel.InvalidRecipient:
		class = channel.Unreachable
	}
	return best, class
}

// specificity returns how specific a status is: 5.0.0 less than 5.1.0, and
// 5.1.0 less than 5.1.1.
func specificity(status string) int {
	switch {
	case status == "":
		return 0
	case strings.HasSuffix(status, ".0.0"):
		return 1
	case strings.HasSuffix(status, ".0"):
		return 2
	}
	return 3
}

// diagnosticOf returns the reply in the field Diagnostic-Code: its code, or
// zero, and its text.
func diagnosticOf(group fields) (code int, text string) {
	kind, text, typed := strings.Cut(group["diagnostic-code"], ";")
	if !typed {
		kind, text = "smtp", kind
	}
	text = strings.TrimSpace(text)
	if !strings.EqualFold(strings.TrimSpace(kind), "smtp") || len(text) < 3 {
		return 0, text
	}
	code, err := strconv.Atoi(text[:3])
	if err != nil || code < 200 || code > 599 || len(text) > 3 && text[3] >= '0' && text[3] <= '9' {
		return 0, text
	}
	return code, text[3:]
}

// enhancedAnywhere returns the first enhanced status code in text that does not
// contradict the reply code; zero allows any.
func enhancedAnywhere(code int, text string) string {
	isPart := func(r rune) bool { return r == '.' || r >= '0' && r <= '9' }
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return !isPart(r) }) {
		word = strings.Trim(word, ".")
		if isStatus(word) && (code == 0 || int(word[0]-'0') == code/100) {
			return word
		}
	}
	return ""
}

// isStatus reports whether s is a code of RFC 3463.
func isStatus(s string) bool {
	return s != "" && strings.ContainsRune("245", rune(s[0])) && enhancedIn(int(s[0]-'0')*100, s) == s
}

// statusClass returns the class of a bounce: the class of the same status after
// RCPT. If the status is 4.x.x, a relay has given up after a temporary fault,
// and another relay may do better. A bounce without a reason concerns this
// mailbox.
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

// aboutSender reports whether the status means a bad sender address (5.1.7,
// 5.1.8), or the policy and the authentication of its domain (5.7.1, 5.7.26,
// 5.7.515 and others).
func (r reply) aboutSender() bool {
	return r.enhanced == "5.1.7" || r.enhanced == "5.1.8" || strings.HasPrefix(r.enhanced, "5.7.")
}

// complaintType returns the type of a complaint. It may be an unknown type, but
// not any text.
func complaintType(f fields) string {
	kind := f.word("feedback-type")
	if kind == "" || len(kind) > 32 ||
		strings.ContainsFunc(kind, func(r rune) bool { return r != '-' && (r < 'a' || r > 'z') }) {
		return "other"
	}
	return kind
}

// complaintReceipt returns the receipt for a complaint (RFC 5965 §7.3, RFC
// 6430): the complaint of a person proves delivery.
func complaintReceipt(kind string) channel.Receipt {
	r := channel.Receipt{State: channel.Sent, Code: kind}
	switch kind {
	case "abuse", "fraud", "opt-out", "opt-out-list", "not-spam":
		r.State = channel.Delivered
	}
	return r
}
