package smtp

import (
	"bufio"
	"bytes"
	"html"
	"net/textproto"
	"strings"

	"github.com/otpcourier/otpcourier/channel"
)

// field returns a field of the mail's own header, in lower case, or "".
func (rep *report) field(name string) string {
	lines := bytes.NewReader(append(rep.header, "\r\n\r\n"...))
	header, _ := textproto.NewReader(bufio.NewReader(lines)).ReadMIMEHeader()
	return strings.ToLower(header.Get(name))
}

// isBounce reports whether a mail system has written the mail, and not a person or
// an absence notice: it has no sender, or a mail system's name as the sender.
func (rep *report) isBounce() bool {
	if rep.field("x-failed-recipients") != "" {
		return true
	}
	if strings.Contains(rep.field("content-type"), "disposition-notification") {
		return false
	}
	from := rep.field("from")
	for _, system := range []string{
		"mailer-daemon", "postmaster", "mail delivery", "mailerdaemon", "mail-daemon", "microsoftexchange",
		"mdaemon", "bounce@", "mailsystem", "noreply-bounce", "post_master",
	} {
		if strings.Contains(from, system) {
			return true
		}
	}
	path := strings.ReplaceAll(rep.field("return-path"), " ", "")
	return (path == "<>" || path == "") && isBounceSubject(rep.field("subject"))
}

func isBounceSubject(subject string) bool {
	if strings.HasPrefix(subject, "re:") || strings.HasPrefix(subject, "aw:") { // an answer of a person
		return false
	}
	for _, words := range []string{
		"undeliver", "failure notice", "returned mail", "delivery status", "delivery fail", "delivery has failed",
		"mail delivery", "mail failure", "delivery problem", "not delivered", "nondeliver", "non-deliver",
		"unzustellbar",
	} {
		if strings.Contains(subject, words) {
			return true
		}
	}
	return false
}

// isJMRP reports whether the mail is a complaint of Microsoft's Junk Mail Reporting
// Program. It encloses the mail, and has a header with its recipient.
func (rep *report) isJMRP() bool {
	if len(rep.enclosed) == 0 {
		return false
	}
	if rep.field("x-hmxmroriginalrecipient") != "" ||
		bytes.Contains(bytes.ToLower(rep.original), []byte("x-hmxmroriginalrecipient:")) {
		return true
	}
	return strings.Contains(rep.field("from"), "staff@hotmail.com") &&
		strings.HasPrefix(rep.field("subject"), "complaint about message from")
}

// The words of bounces in prose, in lower case: of qmail and Yahoo, Exim, Exchange,
// Google, Postfix and sendmail.
var (
	delayWords = []string{
		"this is a warning message only", "you do not need to resend", "delivery is delayed", "delivery delayed",
		"has been delayed", "is being delayed", "will be retried", "will continue to try", "still being retried",
		"will keep trying", "not yet been delivered", "has not yet been", "temporarily deferred", "temporary problem",
		"delivery incomplete", "gmail will retry",
	}
	failureWords = []string{
		"this is a permanent error", "i've given up", "i'm not going to try again", "permanent fatal error",
		"failed permanently", "could not be delivered", "couldn't be delivered", "wasn't delivered",
		"was not delivered", "unable to deliver your message", "did not reach", "permanent error",
		"delivery to the following recipient failed", "delivery to the following recipients failed",
		"undeliverable", "has been rejected", "was rejected by", "delivery has failed", "delivery failed",
		"cannot be delivered", "error delivering your mail", "while attempting to deliver", "while trying to deliver",
		"had delivery errors", "unable to deliver message to",
	}
	unknownWords = []string{
		"user unknown", "unknown user", "no such user", "no mailbox here by that name", "unknown recipient",
		"recipient unknown", "address couldn't be found", "address could not be found", "mailbox not found",
		"no such recipient", "user doesn't have a yahoo", "doesn't have a yahoo.com account", "recipnotfound",
		"does not exist", "doesn't exist", "no such mailbox", "wasn't found at", "unrouteable address",
		"invalid recipient", "address does not exist", "no such person",
	}
	copyMarks = []string{
		"--- below this line is a copy of the message", "this is a copy of the message", "----- original message",
		"-----original message", "--- original message", "original message headers", "--- the original message",
		"diagnostic information for administrators", "content-type: message/rfc822", "----- message header follows",
		"the following is a copy", "is a copy of the original message", "message headers follow", "message follows",
		"--- returned message",
	}
)

// proseReceipts returns the receipt for a bounce in prose, if it certainly says
// that the mail failed or is delayed. named says that a header lists failed
// recipients, as Exim and Google do.
func proseReceipts(text string, named bool) []channel.Receipt {
	text = strings.ToLower(html.UnescapeString(withoutTags(text)))
	text = strings.Join(strings.Fields(strings.ReplaceAll(text, "\u2019", "'")), " ")
	for _, mark := range copyMarks {
		if before, _, found := strings.Cut(text, mark); found && len(before) > 0 {
			text = before
		}
	}
	status := enhancedAnywhere(0, withoutDomains(text))
	isPermanent := status != "" && status[0] == '5'
	switch isDelay, isFailure := holds(text, delayWords), named || isPermanent || holds(text, failureWords); {
	case isDelay:
		return []channel.Receipt{{State: channel.Sent, Code: status}}
	case !isFailure:
		return nil
	}
	r := channel.Receipt{State: channel.Failed, Class: statusClass(status), Code: status}
	condemns := r.Class == channel.InvalidRecipient ||
		(status == "" || specificity(status) == 1 && status[0] == '5') && holds(text, unknownWords)
	switch {
	case condemns && reasonIn(text) == reasonNone && !holdsTemporary(text):
		r.Class = channel.InvalidRecipient
	case condemns:
		r.Class = channel.Unreachable
	}
	return []channel.Receipt{r}
}

// holdsTemporary reports whether text has a temporary reply next to a permanent
// one.
func holdsTemporary(text string) bool {
	for word := range strings.FieldsSeq(withoutDomains(text)) {
		word = strings.Trim(word, "(#):;,.")
		if isStatus(word) && word[0] == '4' || word == "421" || word == "450" || word == "451" || word == "452" {
			return true
		}
	}
	return false
}

// withoutDomains drops words in which an IP address or a version may look like a
// status.
func withoutDomains(text string) string {
	var b strings.Builder
	for word := range strings.FieldsSeq(text) {
		if strings.Count(word, ".") <= 3 && !strings.ContainsAny(word, "@/[") {
			b.WriteString(word + " ")
		}
	}
	return b.String()
}

// withoutTags drops words like HTML tags, but not addresses.
func withoutTags(text string) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "<")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		tag, after, closed := strings.Cut(rest, ">")
		if !closed || strings.Contains(tag, "@") || len(tag) > maxHeader {
			b.WriteByte('<')
			text = rest
			continue
		}
		b.WriteByte(' ')
		text = after
	}
}
