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

// Errors of [ParseFeedback], besides [ErrNoToken] and [ErrForgedToken]. To parse
// the same mail again gives the same error.
var (
	// ErrNotFeedback means a mail that is neither a bounce nor a complaint: an
	// answer, an absence notice, a read receipt.
	ErrNotFeedback = errors.New("smtp: not a delivery report or complaint")

	// ErrFeedbackLimit means a mail of over 1 MiB, or of more parts, or parts
	// within parts, than a report has.
	ErrFeedbackLimit = errors.New("smtp: feedback is too large or too deep")
)

var errNoVERP = errors.New("smtp: ParseFeedback needs a VERP that NewVERP made")

const (
	maxFeedback = 1 << 20 // octets; a returned mail of ours has some thousand
	maxReport   = 64 << 10
	maxDepth    = 4 // multiparts within multiparts
	maxParts    = 32
	maxGroups   = 32      // of fields in a delivery report
	maxFolded   = 1 << 10 // octets of a field, after which no folded line is added
	maxProse    = 32 << 10
)

// A FeedbackKind tells complaints from bounces.
type FeedbackKind uint8

// The kinds of feedback.
const (
	DeliveryReport FeedbackKind = iota + 1 // a mail was bounced, delayed or delivered (RFC 3464)
	Complaint                              // a reader reports abuse (RFC 5965)
	UnknownForm                            // a bounce in prose, or a report that names no recipient
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

	// MessageID is the Message.ID that the return path was made for.
	MessageID string

	// ComplaintType is the complaint's Feedback-Type, such as "abuse" or "fraud",
	// in lower case. Stop mail to a person who complains of abuse.
	ComplaintType string

	// Receipts holds one receipt for each recipient in a report, and one for a
	// complaint. If mail is forwarded, a report may have several recipients. A
	// bounce in prose has a receipt if it certainly says that the mail failed or is
	// delayed, and else none. No receipt holds an address. Code is the enhanced
	// status code, or the complaint's type; At is the date of the feedback, zero if
	// it has none.
	//
	//   - bounced: Failed, with the class that the status means. It is
	//     InvalidRecipient only if the more specific one of status and diagnostic says
	//     so, and neither speaks of a limit, a full mailbox or a policy
	//   - delayed, relayed or expanded to a list: Sent
	//   - delivered: Delivered
	//   - a complaint that only a reader can make: Delivered; another: Sent
	Receipts []channel.Receipt
}

// Deliver hands the receipts to a handler, such as [channel.Receipts.For]
// returns. After an error keep the mail, and deliver it again: the receipts
// that went well do no harm a second time.
func (f Feedback) Deliver(ctx context.Context, handle channel.ReceiptFunc) error {
	for _, r := range f.Receipts {
		if err := handle(ctx, r); err != nil {
			return fmt.Errorf("smtp: %s on message %s: %w", f.Kind, f.MessageID, err)
		}
	}
	return nil
}

// ParseFeedback reads one mail, with its headers, from the mailbox of the return
// paths that v makes. Anybody may write there, so ParseFeedback believes a mail
// only about the message whose return path it holds. It looks for the return path
// in the mail's own headers and in the headers of ours that the report repeats.
//
// If the mail system passes the envelope's recipient apart from the mail, put it
// before the mail as a header, "Delivered-To: <" + recipient + ">\r\n".
//
// A bounce in prose gives a Feedback of the kind UnknownForm with the MessageID, and
// with a receipt only if its words are certain: those of Exim, qmail, Exchange,
// Google, Yahoo, Postfix, sendmail and OpenSMTPD are known.
//
// The error is one of [ErrNotFeedback], [ErrFeedbackLimit], [ErrNoToken] and
// [ErrForgedToken], for [errors.Is], or r's own. It holds nothing of the mail.
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

// A report is a mail taken apart.
type report struct {
	date      time.Time
	header    []byte   // the mail's own
	status    []fields // of message/delivery-status
	complaint fields   // of message/feedback-report
	original  []byte   // the header of the mail it is about
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

// isEmpty reports that no report and no complaint was found.
func (rep *report) isEmpty() bool { return rep.status == nil && rep.complaint == nil }

// open looks for a report in the mails that are enclosed, such as by a gateway that
// forwards.
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

// feedback returns what the report says, without the message's ID. Its Kind is
// zero if it is none.
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

// isForeign reports an error that leaves the entity readable.
func isForeign(err error) bool {
	return message.IsUnknownCharset(err) || message.IsUnknownEncoding(err)
}

// walk visits the parts of a mail. A mail that was cut off on its way is read as
// far as it goes.
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
			return nil // the end, or where it was cut off
		}
		if rep.parts++; rep.parts > maxParts {
			return ErrFeedbackLimit
		}
		if err := rep.walk(part, depth+1); err != nil {
			return err
		}
	}
}

// take keeps a part by its media type; RFC 6533 has the "global" ones. Of two
// of a kind the first counts.
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
	content, _ := io.ReadAll(io.LimitReader(e.Body, maxReport)) // as far as it goes
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

// messageID finds a return path of ours, in the mail's own header or in the parts
// that it repeats.
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
