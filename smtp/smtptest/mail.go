package smtptest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/mail"

	"github.com/emersion/go-message"
)

// A Mail is a mail that the server has accepted.
type Mail struct {
	ID        string // the queue id in the server's last reply
	From      string // of the envelope
	To        []string
	Mechanism string // of the sender's login; empty: none
	Header    mail.Header
	Subject   string // decoded
	Text      string // of the text/plain part, decoded, with LF line ends
	HTML      string // of the text/html part
	Raw       []byte // as received, without dot-stuffing
}

// parse reads a mail with text/plain and text/html parts.
func parse(raw []byte) (Mail, error) {
	m := Mail{Raw: raw}
	outer, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return Mail{}, fmt.Errorf("smtptest: %w", err)
	}
	m.Header = outer.Header
	if m.Subject, err = new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject")); err != nil {
		return Mail{}, fmt.Errorf("smtptest: subject: %w", err)
	}
	entity, err := message.Read(bytes.NewReader(raw))
	if err != nil {
		return Mail{}, fmt.Errorf("smtptest: %w", err)
	}
	return m, m.readParts(entity, 0)
}

var errTooDeep = errors.New("smtptest: parts nested too deep")

func (m *Mail) readParts(e *message.Entity, depth int) error {
	if parts := e.MultipartReader(); parts != nil {
		if depth == 8 {
			return errTooDeep
		}
		for {
			part, err := parts.NextPart()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return fmt.Errorf("smtptest: part: %w", err)
			}
			if err := m.readParts(part, depth+1); err != nil {
				return err
			}
		}
	}
	content, err := io.ReadAll(e.Body)
	if err != nil {
		return fmt.Errorf("smtptest: body: %w", err)
	}
	text := string(bytes.ReplaceAll(content, []byte("\r\n"), []byte("\n")))
	switch kind, _, _ := e.Header.ContentType(); {
	case kind == "text/html" && m.HTML == "":
		m.HTML = text
	case kind == "text/plain" && m.Text == "":
		m.Text = text
	}
	return nil
}
