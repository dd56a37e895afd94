package smtp

import (
	"errors"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/otpcourier/otpcourier/channel"
)

// boundary has "=_", which neither quoted-printable nor base64 can produce, so
// no body has it (RFC 2045 §6.7 recommends it).
const boundary = "=_otpcourier"

// maxHeader is the longest subject or name, in octets.
const maxHeader = 998

const noHeader = "holds a line end or another control character, is not UTF-8, or is over 998 octets"

var (
	errMessageID  = errors.New("Message.ID is not 1 to 36 of [A-Za-z0-9.-]")
	errSubject    = errors.New("the subject " + noHeader)
	errSenderName = errors.New("Message.Sender " + noHeader)
	errBody       = errors.New("Message.Body or Message.HTML holds NUL or is not UTF-8")
	errNoBody     = errors.New("Message.Body is empty")
	errNeedsUTF8  = errors.New("the e-mail address needs SMTPUTF8, which the relay lacks")
)

// isFeedbackID reports whether id has the form that Gmail requires, on one
// line.
func isFeedbackID(id string) bool {
	sender := id[strings.LastIndexByte(id, ':')+1:]
	return len(id) <= 60 && strings.Count(id, ":") <= 3 && len(sender) >= 5 && len(sender) <= 15 &&
		!strings.ContainsFunc(id, func(r rune) bool { return r != ':' && !isIDChar(r) })
}

// fitsHeader reports whether s has no character that would end a header, or
// hide in it.
func fitsHeader(s string) bool {
	return len(s) <= maxHeader && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

// compose writes m as mail to the address to, in the form of RFC 5322: text and
// HTML as multipart/alternative (RFC 2046 §5.1.4), or the text alone. Apart
// from the mail it allocates little.
func (s *settings) compose(m *channel.Message, to string, now time.Time) (composed, error) {
	from := s.from
	if from.name == "" {
		from.name = m.Sender
	}
	if err := check(m, from.name); err != nil {
		return composed{}, err
	}
	subject := s.subject(m)
	if !fitsHeader(subject) {
		return composed{}, errSubject
	}
	id := messageID(m.ID, s.domain)
	b := make([]byte, 0, 1024+3*(len(m.Subject)+len(m.Body)+len(m.HTML))/2)
	b = append(b, "Date: "...)
	b = now.AppendFormat(b, time.RFC1123Z)
	b = append(b, "\r\nFrom: "...)
	b = appendMailbox(b, from)
	if s.replyTo.address != "" {
		b = append(b, "\r\nReply-To: "...)
		b = appendMailbox(b, s.replyTo)
	}
	b = append(b, "\r\nTo: <"...)
	b = append(b, to...)
	b = append(b, ">\r\nMessage-ID: <"...)
	b = append(b, id...)
	b = append(b, ">\r\nSubject: "...)
	b = appendUnstructured(b, subject)
	b = append(b, "\r\nMIME-Version: 1.0\r\n"...)
	b = append(b, "Auto-Submitted: auto-generated\r\n"...) // RFC 3834 §5
	b = append(b, "X-Auto-Response-Suppress: All\r\n"...)  // [MS-OXCMAIL] §2.2.3.2.14
	if s.FeedbackID != "" {
		b = append(b, "Feedback-ID: "...)
		b = append(b, s.FeedbackID...)
		b = append(b, '\r', '\n')
	}
	if isLanguageTag(m.Language) {
		b = append(b, "Content-Language: "...) // RFC 3282
		b = append(b, m.Language...)
		b = append(b, '\r', '\n')
	}
	return composed{id: id, data: appendContent(b, m)}, nil
}

// subject returns the subject, with the code if the Config says so.
func (s *settings) subject(m *channel.Message) string {
	switch {
	case !s.CodeInSubject || m.Code == "" || holdsWord(m.Subject, m.Code):
		return m.Subject
	case m.Subject == "":
		return m.Code
	}
	return m.Code + " - " + m.Subject
}

// holdsWord reports whether text has word, and not as part of a longer word: a
// code may be in the number of an order. Scripts without spaces end a word,
// too.
func holdsWord(text, word string) bool {
	isBreak := func(r rune) bool { return !unicode.IsDigit(r) && (r > unicode.MaxASCII || !unicode.IsLetter(r)) }
	for w := range strings.FieldsFuncSeq(text, isBreak) {
		if w == word {
			return true
		}
	}
	return false
}

func check(m *channel.Message, name string) error {
	switch {
	case !isMessageID(m.ID):
		return errMessageID
	case !fitsHeader(name):
		return errSenderName
	case m.Body == "":
		return errNoBody
	}
	for _, body := range [...]string{m.Body, m.HTML} {
		if strings.IndexByte(body, 0) >= 0 || !utf8.ValidString(body) {
			return errBody
		}
	}
	return nil
}

func appendContent(b []byte, m *channel.Message) []byte {
	const plain, html = "Content-Type: text/plain; charset=utf-8\r\n", "Content-Type: text/html; charset=utf-8\r\n"
	if m.HTML == "" {
		return appendBody(append(b, plain...), m.Body)
	}
	b = append(b, "Content-Type: multipart/alternative; boundary=\""+boundary+"\"\r\n\r\n--"+boundary+"\r\n"+plain...)
	b = appendBody(b, m.Body)
	b = append(b, "\r\n--"+boundary+"\r\n"+html...)
	b = appendBody(b, m.HTML)
	return append(b, "\r\n--"+boundary+"--\r\n"...)
}

// appendMailbox appends `"Name" <address>`, or "<address>", folded.
func appendMailbox(b []byte, m mailbox) []byte {
	switch {
	case m.name == "":
	case isQuotable(m.name) && column(b)+len(m.name)+2 <= lineLimit:
		b = append(b, '"')
		b = append(b, m.name...)
		b = append(b, '"')
	default:
		b = appendEncodedWords(b, m.name)
	}
	if m.name != "" {
		if column(b)+len(" <>")+len(m.address) > lineLimit {
			b = append(b, '\r', '\n')
		}
		b = append(b, ' ')
	}
	b = append(b, '<')
	b = append(b, m.address...)
	return append(b, '>')
}

// isQuotable reports whether name may stand between quotes. A name with "=?"
// may not, because some readers decode it even there.
func isQuotable(name string) bool {
	return isPlain(name) && !strings.ContainsAny(name, `"\`)
}

// isPlain reports whether text needs no encoding in a header.
func isPlain(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return false
		}
	}
	return !strings.Contains(text, "=?")
}

// appendUnstructured appends a subject. If a reader restores the same text, it
// is folded at spaces, otherwise it becomes encoded words.
func appendUnstructured(b []byte, text string) []byte {
	if !isPlain(text) || !isFoldable(text) {
		return appendEncodedWords(b, text)
	}
	start, column := len(b), column(b)
	for word := range strings.SplitSeq(text, " ") {
		switch {
		case len(b) == start:
		case column+1+len(word) > lineLimit:
			b = append(b, "\r\n "...)
			column = 1
		default:
			b = append(b, ' ')
			column++
		}
		b = append(b, word...)
		column += len(word)
	}
	return b
}

// isFoldable reports whether text is words of moderate length with single
// spaces between them.
func isFoldable(text string) bool {
	for word := range strings.SplitSeq(text, " ") {
		if len(word) > 60 || word == "" && text != "" {
			return false
		}
	}
	return true
}

func isMessageID(id string) bool {
	return id != "" && len(id) <= 36 && !strings.ContainsFunc(id, func(r rune) bool { return r == '_' || !isIDChar(r) })
}

// messageID makes the Message-ID of a Message.ID. Each try has the same, so
// that mail systems recognize a duplicate. Dots that RFC 5322 does not allow
// become underscores.
func messageID(id, domain string) string { return dotAtom(id) + "@" + domain }

func dotAtom(id string) string {
	if id[0] == '.' || id[len(id)-1] == '.' || strings.Contains(id, "..") {
		return strings.ReplaceAll(id, ".", "_")
	}
	return id
}

// isLanguageTag reports whether tag has the form of BCP 47. A malformed tag is
// left out: it is no reason to keep a code from its owner.
func isLanguageTag(tag string) bool {
	return tag != "" && len(tag) <= 35 && !strings.ContainsFunc(tag, func(r rune) bool {
		return r == '.' || r == '_' || !isIDChar(r)
	})
}
