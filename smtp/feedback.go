package smtp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/mail"
	"strings"
	"time"

	"github.com/emersion/go-message"

	"github.com/otpcourier/otpcourier/channel"
)

// Errors of [ParseFeedback], together with [ErrNoToken] and [ErrForgedToken].
// Another try with the same mail gives the same error.
var (
	// ErrNotFeedback means that the mail is neither a bounce nor a complaint,
	// for example an answer, an absence notice or a read receipt.
	ErrNotFeedback = errors.New("smtp: not a delivery report or complaint")

	// ErrFeedbackLimit means that the mail is over 1 MiB, or has more parts, or
	// more levels of parts, than a report has.
	ErrFeedbackLimit = errors.New("smtp: feedback is too large or too deep")
)

var errNoVERP = errors.New("smtp: ParseFeedback needs a VERP that NewVERP made")

const (
	maxFeedback = 1 << 20 // octets; a returned mail of ours has some thousand
	maxReport   = 64 << 10
	maxDepth    = 4 // multiparts within multiparts
	maxParts    = 32
	maxGroups   = 32      // of fields in a delivery report
	maxFolded   = 1 << 10 // octets of a field, after which further folded lines are ignored
	maxProse    = 32 << 10
)

// A FeedbackKind tells complaints from bounces.
type FeedbackKind uint8

// The kinds of feedback.
const (
	DeliveryReport FeedbackKind = iota + 1 // a mail bounced, was delayed or was delivered (RFC 3464)
	Complaint                              // a reader reports abuse (RFC 5965)
	UnknownForm                            // a bounce in prose, or a report without a recipient
)

// String returns the kind's name in lower-case words.
func (k FeedbackKind) String() string {
	switch k {
	case DeliveryReport:
		return "delivery report"
	case Complaint:
		return "complaint"
	case UnknownForm:
		return "unknown form"
	}
	return "none"
}

// Feedback is a delivery report or a complaint about a message.
type Feedback struct {
	Kind FeedbackKind

	// MessageID is the Message.ID from the return path.
	MessageID string

	// ComplaintType is the complaint's Feedback-Type, such as "abuse" or "fraud",
	// in lower case. Stop mail to a person who complains of abuse.
	ComplaintType string

	// Receipts has one receipt for each recipient in a report, and one for a
	// complaint. If mail is forwarded, a report may have several recipients. A
	// bounce in prose has a receipt if it certainly says that the mail failed or
	// is delayed, and otherwise none. No receipt holds an address. Code is the
	// enhanced status code, or the complaint's type. At is the date of the
	// feedback, or zero. The State is:
	//
	//   - bounced: Failed, with the class for the status. The class is
	//     InvalidRecipient only if the more specific of status and diagnostic
	//     says so, and neither speaks of a limit, a full mailbox or a policy
	//   - delayed, relayed or expanded to a list: Sent
	//   - delivered: Delivered
	//   - a complaint that only a reader can make: Delivered; another: Sent
	Receipts []channel.Receipt
}

// Deliver passes the receipts to a handler, for example from
// [channel.Receipts.For]. If it returns an error, keep the mail and deliver it
// again: a repeated receipt does no harm.
func (f Feedback) Deliver(ctx context.Context, handle channel.ReceiptFunc) error {
	for _, r := range f.Receipts {
		if err := handle(ctx, r); err != nil {
			return fmt.Errorf("smtp: %s on message %s: %w", f.Kind, f.MessageID, err)
		}
	}
	return nil
}

// ParseFeedback reads one mail, with its headers, from the mailbox of v's return
// paths. Anybody can write to it, so ParseFeedback believes a mail only about
// the message in its return path. It looks for the return path in the mail's own
// headers and in our headers that the report repeats.
//
// If the mail system gives you the envelope's recipient separately, put it
// before the mail as a header, "Delivered-To: <" + recipient + ">\r\n".
//
// A bounce in prose gives a Feedback of the kind UnknownForm with the MessageID.
// It has a receipt only if its words are certain: those of Exim, qmail,
// Exchange, Google, Yahoo, Postfix, sendmail and OpenSMTPD are known.
//
// The error is [ErrNotFeedback], [ErrFeedbackLimit], [ErrNoToken] or
// [ErrForgedToken], for [errors.Is], or r's own. It never repeats the mail.
func ParseFeedback(r io.Reader, v *VERP) (Feedback, error) {
	if !v.made() {
		return Feedback{}, errNoVERP
	}
	raw, err := io.ReadAll(io.LimitReader(r, maxFeedback+1))
	if err != nil {
		return Feedback{}, fmt.Errorf("smtp: reading feedback: %w", err)
	}
	if len(raw) > maxFeedback {
		return Feedback{}, ErrFeedbackLimit
	}
	rep, err := readReport(cleanHeader(withLF(raw)))
	if err != nil {
		return Feedback{}, err
	}
	f := rep.feedback()
	if f.Kind == 0 {
		return Feedback{}, ErrNotFeedback
	}
	if f.MessageID, err = rep.messageID(v); err != nil {
		return Feedback{}, err
	}
	for i := range f.Receipts {
		f.Receipts[i].MessageID, f.Receipts[i].At = f.MessageID, rep.date
	}
	return f, nil
}

// A report is a mail in its parts.
type report struct {
	date      time.Time
	header    []byte   // the mail's own
	status    []fields // of message/delivery-status
	complaint fields   // of message/feedback-report
	original  []byte   // the header of the mail that the report is about
	enclosed  [][]byte // whole mails
	prose     []byte   // the text
	parts     int
}

func readReport(raw []byte) (*report, error) {
	entity, err := message.Read(bytes.NewReader(raw))
	if entity == nil || err != nil && !isForeign(err) {
		return nil, ErrNotFeedback
	}
	rep := &report{header: headerOf(raw)}
	if date, err := mail.ParseDate(entity.Header.Get("Date")); err == nil {
		rep.date = date
	}
	if err := rep.walk(entity, 0); err != nil {
		return nil, err
	}
	if rep.isEmpty() {
		rep.open()
	}
	if rep.isEmpty() {
		rep.salvage(raw)
	}
	return rep, nil
}

// isEmpty reports whether the mail has neither a report nor a complaint.
func (rep *report) isEmpty() bool { return rep.status == nil && rep.complaint == nil }

// open looks for a report in the enclosed mails, for example of a forwarding
// gateway.
func (rep *report) open() {
	for _, raw := range rep.enclosed {
		inner := &report{parts: rep.parts}
		entity, err := message.Read(bytes.NewReader(cleanHeader(raw)))
		if entity == nil || err != nil && !isForeign(err) || inner.walk(entity, 1) != nil || inner.isEmpty() {
			continue
		}
		rep.status, rep.complaint = inner.status, inner.complaint
		rep.original = append(append(headerOf(raw), "\r\n"...), inner.original...)
		return
	}
}

// feedback returns the report's content, without the message's ID. If there is
// no report, its Kind is zero.
func (rep *report) feedback() Feedback {
	var f Feedback
	switch {
	case rep.complaint != nil:
		f.Kind, f.ComplaintType = Complaint, complaintType(rep.complaint)
		f.Receipts = []channel.Receipt{complaintReceipt(f.ComplaintType)}
		return f
	case rep.isJMRP():
		f.Kind, f.ComplaintType = Complaint, "abuse"
		f.Receipts = []channel.Receipt{complaintReceipt(f.ComplaintType)}
		return f
	}
	if f.Receipts = statusReceipts(rep.status); len(f.Receipts) > 0 {
		f.Kind = DeliveryReport
	} else if rep.isBounce() {
		f.Kind = UnknownForm
		if f.Receipts = statusReceipts(recipientGroups(rep.prose)); len(f.Receipts) == 0 {
			f.Receipts = proseReceipts(string(rep.prose), rep.field("x-failed-recipients") != "")
		}
	}
	return f
}

// isForeign reports whether the entity is readable in spite of err.
func isForeign(err error) bool {
	return message.IsUnknownCharset(err) || message.IsUnknownEncoding(err)
}

// walk visits the parts of a mail. A truncated mail is read up to its end.
func (rep *report) walk(e *message.Entity, depth int) error {
	parts := e.MultipartReader()
	if parts == nil {
		rep.take(e)
		return nil
	}
	if depth == maxDepth {
		return ErrFeedbackLimit
	}
	for {
		part, err := parts.NextPart()
		if part == nil || err != nil && !isForeign(err) {
			return nil // the end of the mail, or of its truncated rest
		}
		if rep.parts++; rep.parts > maxParts {
			return ErrFeedbackLimit
		}
		if err := rep.walk(part, depth+1); err != nil {
			return err
		}
	}
}

// take keeps a part by its media type; RFC 6533 has the "global" types. If two
// parts have one type, the first counts.
func (rep *report) take(e *message.Entity) {
	kind, _, _ := e.Header.ContentType()
	switch strings.ToLower(kind) {
	case "message/delivery-status", "message/global-delivery-status":
		if rep.status == nil {
			rep.status = readGroups(readPart(e))
		}
	case "message/feedback-report":
		if rep.complaint != nil {
			return
		}
		if groups := readGroups(readPart(e)); len(groups) > 0 {
			rep.complaint = groups[0]
		}
	case "message/rfc822", "message/global":
		whole := readPart(e)
		rep.enclosed = append(rep.enclosed, whole)
		if rep.original == nil {
			rep.original = headerOf(whole)
		}
	case "text/rfc822-headers", "message/global-headers":
		if rep.original == nil {
			rep.original = headerOf(readPart(e))
		}
	case "", "text/plain", "text/html":
		if len(rep.prose) < maxProse {
			rep.prose = append(append(rep.prose, readPart(e)...), '\n')
		}
	}
}

func readPart(e *message.Entity) []byte {
	content, _ := io.ReadAll(io.LimitReader(e.Body, maxReport)) // up to an error
	return content
}

// headerOf returns the lines before the first empty line.
func headerOf(mail []byte) []byte {
	for _, end := range []string{"\r\n\r\n", "\n\n"} {
		if i := bytes.Index(mail, []byte(end)); i >= 0 {
			mail = mail[:i]
		}
	}
	return mail[:min(len(mail), maxReport)]
}

// messageID finds a return path of ours in the mail's own header, or in the
// parts that it repeats.
func (rep *report) messageID(v *VERP) (string, error) {
	places := []string{string(rep.header), rep.complaint["original-mail-from"], string(rep.original)}
	forged := error(nil)
	for _, place := range places {
		id, err := v.find(place)
		if err == nil {
			return id, nil
		}
		if errors.Is(err, ErrForgedToken) {
			forged = err
		}
	}
	if forged != nil {
		return "", forged
	}
	return "", ErrNoToken
}
