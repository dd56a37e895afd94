package wording

import (
	"bytes"
	"html"
	"io"
	"strings"
	"sync"
	"time"
)

// The order of Wording.sentences.
const (
	sayCode = iota
	sayDetails
	sayLife
	saySecret
	sayRequested
	sayTry
	sayIgnore
	saySubject
)

// fields is what a template sees: see Wording.
type fields struct {
	Language, Dir, Brand string
	Code, Details        string
	Minutes, Try         int
	Life, Requested      string
	Subject              string
	Say                  said
}

// said are the finished sentences, and the paragraphs made of them.
type said struct {
	Code, Details, Life, Secret, Requested, Try, Ignore string

	Before, After string // the first paragraph, around the code
	Rest          []string
}

// scratch is what a Render needs and the next can use again.
type scratch struct {
	words *words
	buf   bytes.Buffer
	f     fields
	rest  [3]string
	err   error // the first; what follows it does nothing
}

// Render words d. An [*Error] names the field of d that cannot be used, and is
// an [ErrLanguage] if that is the language. Details are refused if a message of
// the Wording in use does not show them: the person would confirm what they
// cannot see.
func (s *Set) Render(d Data) (Text, error) {
	if d.Language == "" {
		d.Language = s.fallback
	}
	w := s.words[d.Language]
	if w == nil {
		return Text{}, &Error{Field: "Data.Language", Reason: "has no wording", Err: ErrLanguage}
	}
	if err := d.check(); err != nil {
		return Text{}, err
	}
	t, err := s.render(w, &d)
	if err != nil {
		return Text{}, err
	}
	return t, s.shows(w, &d, t)
}

// shows makes sure of what no message may lack, since a template can leave it
// out for some data: the code, outside the last line too, and the details.
func (s *Set) shows(w *words, d *Data, t Text) error {
	sms := t.SMS
	if s.origin != "" || s.appHash != "" {
		sms = sms[:strings.LastIndexByte(sms, '\n')]
	}
	page := t.HTML
	if d.Details != "" {
		page = html.UnescapeString(page)
	}
	for _, m := range [...]struct{ field, text string }{{"SMS", sms}, {"Text", plain(t.Body)}, {"HTML", plain(page)}} {
		if !strings.Contains(m.text, d.Code) {
			return &Error{Language: w.language, Field: "Wording." + m.field, Reason: "does not show the code"}
		}
		if !strings.Contains(m.text, d.Details) {
			return &Error{Language: w.language, Field: "Data.Details",
				Reason: "is not shown by a message of this wording"}
		}
	}
	return nil
}

func (s *Set) render(w *words, d *Data) (Text, error) {
	r := s.scratch.Get().(*scratch)
	defer r.release(&s.scratch)
	r.words = w
	r.f = fields{
		Language: w.language, Dir: w.dir, Brand: isolated(w.dir, s.brand),
		Code: d.Code, Details: isolated(w.dir, d.Details), Minutes: d.Minutes, Try: d.Try,
	}
	r.f.Life = w.minutes.count(w.rule, d.Minutes)
	if !d.Requested.IsZero() {
		r.f.Requested = isolated(w.dir, d.Requested.UTC().Format("2006-01-02 15:04 UTC"))
	}
	r.say()
	r.paragraphs()
	t := Text{Subject: r.f.Subject, SMS: r.sms(s), Body: r.text(), HTML: r.html()}
	if r.err != nil {
		return Text{}, r.err
	}
	return t, nil
}

// release forgets the code before the scratch lies in the pool.
func (r *scratch) release(p *sync.Pool) {
	b := r.buf.Bytes()
	clear(b[:cap(b)])
	r.words, r.f, r.rest, r.err = nil, fields{}, [3]string{}, nil
	p.Put(r)
}

func (r *scratch) say() {
	f := &r.f
	f.Say.Code = r.sentence(sayCode)
	if !strings.Contains(f.Say.Code, f.Code) {
		r.fail("Code", "does not show the code", nil)
	}
	f.Say.Life = r.sentence(sayLife)
	f.Say.Secret = r.sentence(saySecret)
	f.Say.Ignore = r.sentence(sayIgnore)
	if f.Details != "" {
		f.Say.Details = r.sentence(sayDetails)
	}
	if f.Requested != "" {
		f.Say.Requested = r.sentence(sayRequested)
	}
	if f.Try != 0 {
		f.Say.Try = r.sentence(sayTry)
	}
	f.Subject = plain(r.sentence(saySubject))
	if strings.ContainsAny(f.Subject, "\r\n") {
		r.fail("Subject", "has a line break", nil)
	}
}

func (r *scratch) paragraphs() {
	say := &r.f.Say
	say.Before, say.After, _ = strings.Cut(join(say.Code, say.Details), r.f.Code)
	say.Rest = append(r.rest[:0], join(say.Life, say.Secret))
	if more := join(say.Requested, say.Try); more != "" {
		say.Rest = append(say.Rest, more)
	}
	say.Rest = append(say.Rest, say.Ignore)
}

func (r *scratch) sentence(i int) string {
	s := &r.words.say[i]
	if s.tmpl == nil {
		return s.text
	}
	return r.execute(s.field, s.tmpl)
}

// executor is a template of text/template or html/template.
type executor interface {
	Execute(w io.Writer, data any) error
}

func (r *scratch) execute(field string, t executor) string {
	if r.err != nil {
		return ""
	}
	r.buf.Reset()
	if err := t.Execute(&r.buf, &r.f); err != nil {
		r.fail(field, "does not execute", err)
		return ""
	}
	return r.buf.String()
}

// fail keeps the first error. A template's own message may quote its data, and
// is left out if it does.
func (r *scratch) fail(field, reason string, cause error) {
	if r.err != nil {
		return
	}
	if cause != nil {
		said := cause.Error()
		if strings.Contains(said, r.f.Code) || r.f.Details != "" && strings.Contains(plain(said), plain(r.f.Details)) {
			cause = nil
		}
	}
	r.err = &Error{Language: r.words.language, Field: "Wording." + field, Reason: reason, Err: cause}
}

func (r *scratch) sms(s *Set) string {
	var text string
	if r.words.sms != nil {
		text = strings.TrimSpace(r.execute("SMS", r.words.sms))
	} else {
		say := &r.f.Say
		text = join(say.Code, say.Details, say.Life, say.Secret, say.Requested, say.Try)
	}
	text = plain(text)
	switch {
	case s.origin == "" && s.appHash == "":
		return text
	case s.origin == "":
		return text + "\n" + s.appHash
	case s.appHash == "":
		return text + "\n@" + s.origin + " #" + r.f.Code
	}
	return text + "\n@" + s.origin + " #" + r.f.Code + " " + s.appHash
}

func (r *scratch) text() string {
	if r.words.text != nil {
		return r.execute("Text", r.words.text)
	}
	say := &r.f.Say
	b := &r.buf
	b.Reset()
	b.WriteString(say.Before)
	b.WriteString(r.f.Code)
	b.WriteString(say.After)
	for _, paragraph := range say.Rest {
		b.WriteString("\n\n")
		b.WriteString(paragraph)
	}
	b.WriteByte('\n')
	return b.String()
}

// join joins the sentences that there are, with a space between two unless the
// first ends in an ideographic full stop, which is as wide.
func join(sentences ...string) string {
	size := len(sentences)
	for _, s := range sentences {
		size += len(s)
	}
	var b strings.Builder
	b.Grow(size)
	last := ""
	for _, s := range sentences {
		if s == "" {
			continue
		}
		if last != "" && !strings.HasSuffix(last, "。") {
			b.WriteByte(' ')
		}
		b.WriteString(s)
		last = s
	}
	return b.String()
}

// try renders w with and without the optional parts. That it shows Details is
// asked only of who sends some.
func (s *Set) try(w *words) error {
	plain := Data{Language: w.language, Code: "482910", Minutes: 5}
	full := plain
	full.Try, full.Requested, full.Details = 2, time.Unix(1<<30, 0), "EUR 1999 to Example"
	for _, d := range []Data{plain, full} {
		t, err := s.render(w, &d)
		if err != nil {
			return err
		}
		d.Details = ""
		if err := s.shows(w, &d, t); err != nil {
			return err
		}
	}
	return nil
}
