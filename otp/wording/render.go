package wording

import (
	"bytes"
	"html"
	"io"
	"maps"
	"slices"
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

// fields is the data of a template: see Wording.
type fields struct {
	Language, Dir, Brand string
	Code, Details        string
	Minutes, Try         int
	Life, Requested      string
	Subject, Link        string
	Say                  said
}

// said are the finished sentences, and the paragraphs made of them.
type said struct {
	Code, Details, Life, Secret, Requested, Try, Ignore string

	Before, After string // the first paragraph, around the code
	Rest          []string
}

// scratch is the memory of a Render, for the next one to use again.
type scratch struct {
	words *words
	buf   bytes.Buffer
	f     fields
	rest  [3]string
	code  string // as Data has it; f.Code may have isolates
	err   error  // the first; nothing more is done after it
}

// Render writes d. If a field of d is unusable, an [*Error] names it. If it is
// the language, the error matches [ErrLanguage]. Details are refused if a
// message of the Wording does not show them, because the person would confirm
// something unseen.
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
	if s.link != nil && d.ChallengeID == "" {
		return Text{}, &Error{Field: "Data.ChallengeID", Reason: "is required by Config.Link"}
	}
	if p := w.purposes[d.Purpose]; p != nil {
		w = p
	}
	t, err := s.render(w, &d)
	if err != nil {
		return Text{}, err
	}
	return t.Text, t.shows(w, &d)
}

// rendered is a Text, with the content of its SMS before folding and without
// the last line.
type rendered struct {
	Text
	said string
}

// shows checks that every message has the code, also outside the last line, and
// the details. A template can omit them for some data.
func (t *rendered) shows(w *words, d *Data) error {
	page, details := t.HTML, plain(d.Details)
	if d.Details != "" || strings.ContainsAny(d.Code, `<>&'"+`) { // what HTML escapes
		if strings.Contains(page, "<bdi") {
			page = dropTags.Replace(page)
		}
		page = html.UnescapeString(page)
	}
	for _, m := range [...]struct{ field, text string }{{"SMS", t.said}, {"Text", t.Body}, {"HTML", page}} {
		if !strings.Contains(m.text, d.Code) {
			return w.fault(m.field, "does not show the code", nil)
		}
		if details != "" && !strings.Contains(plain(m.text), details) {
			return &Error{Language: w.language, Field: "Data.Details",
				Reason: "is not shown by a message of this wording"}
		}
	}
	return nil
}

func (s *Set) render(w *words, d *Data) (t rendered, err error) {
	r := scratches.Get().(*scratch)
	defer r.release()
	r.words, r.code = w, d.Code
	r.f = fields{
		Language: w.language, Dir: w.dir, Brand: isolatedBrand(w.dir, s.brand),
		Code: d.Code, Details: isolated(w.dir, d.Details), Minutes: d.Minutes, Try: d.Try,
	}
	if w.dir == "rtl" && strings.ContainsFunc(d.Code, isSign) {
		r.f.Code = isolated(w.dir, d.Code)
	}
	r.f.Life = w.minutes.count(w.rule, d.Minutes)
	if !d.Requested.IsZero() {
		r.f.Requested = isolated(w.dir, d.Requested.UTC().Format("2006-01-02 15:04 UTC"))
	}
	if s.link != nil {
		link, err := fillLink(s.link, linkFields{d.ChallengeID, d.Code, w.language})
		if err != nil {
			return t, &Error{Field: "Config.Link", Reason: "does not execute for this data"}
		}
		r.f.Link = link
	}
	r.say()
	r.paragraphs()
	t.Subject = r.f.Subject
	t.said, t.SMS = r.sms(s)
	t.Body, t.HTML = r.text(), r.html()
	if r.err != nil {
		return rendered{}, r.err
	}
	return t, nil
}

// scratches are shared by all Sets: a thousand brands need no more than one.
var scratches = sync.Pool{New: func() any { return new(scratch) }}

// release forgets the code before the scratch returns to the pool.
func (r *scratch) release() {
	b := r.buf.Bytes()
	clear(b[:cap(b)])
	r.words, r.f, r.rest, r.code, r.err = nil, fields{}, [3]string{}, "", nil
	scratches.Put(r)
}

func (r *scratch) say() {
	f := &r.f
	f.Say.Code = r.sentence(&r.words.say[sayCode])
	if !strings.Contains(f.Say.Code, f.Code) {
		r.fail("Code", "does not show the code", nil)
	}
	f.Say.Life = r.sentence(&r.words.say[sayLife])
	f.Say.Secret = r.sentence(&r.words.say[saySecret])
	f.Say.Ignore = r.sentence(&r.words.say[sayIgnore])
	if f.Details != "" {
		f.Say.Details = r.sentence(&r.words.say[sayDetails])
	}
	if f.Requested != "" {
		f.Say.Requested = r.sentence(&r.words.say[sayRequested])
	}
	if f.Try != 0 {
		f.Say.Try = r.sentence(&r.words.say[sayTry])
	}
	f.Subject = r.sentence(&r.words.say[saySubject])
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

func (r *scratch) sentence(s *sentence) string {
	switch {
	case s.tmpl != nil:
		return r.execute(s.field, s.tmpl)
	case s.parts == nil:
		return s.source
	case r.err != nil:
		return ""
	}
	r.buf.Reset()
	for _, p := range s.parts {
		if r.buf.WriteString(p.text); p.field != nil {
			r.buf.WriteString(p.field(&r.f))
		}
	}
	return r.buf.String()
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

// fail keeps the first error. It leaves out a template's own message if the
// message may quote its data.
func (r *scratch) fail(field, reason string, cause error) {
	if r.err != nil {
		return
	}
	if cause != nil {
		said := cause.Error()
		if strings.Contains(said, r.code) || r.f.Details != "" && strings.Contains(plain(said), plain(r.f.Details)) {
			cause = nil
		}
	}
	r.err = r.words.fault(field, reason, cause)
}

func (r *scratch) text() string {
	if r.words.text != nil {
		return directed(r.words.dir, r.execute("Text", r.words.text))
	}
	say := &r.f.Say
	b := &r.buf
	b.Reset()
	b.WriteString(directed(r.words.dir, say.Before+r.f.Code))
	b.WriteString(say.After)
	if r.f.Link != "" {
		b.WriteString("\n\n")
		b.WriteString(r.f.Link)
	}
	for _, paragraph := range say.Rest {
		b.WriteString("\n\n")
		b.WriteString(paragraph)
	}
	b.WriteByte('\n')
	return b.String()
}

// join joins the non-empty sentences. A space stands between two, unless the
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

// try renders w, and its purposes, with and without the optional parts. Only
// programs that send Details need a wording with Details.
func (s *Set) try(w *words) error {
	plain := Data{Language: w.language, Code: "482910", Minutes: 5, ChallengeID: "c1"}
	full := plain
	full.Try, full.Requested, full.Details = 2, time.Unix(1<<30, 0), "EUR 1999 to Example"
	for _, d := range []Data{plain, full} {
		t, err := s.render(w, &d)
		if err != nil {
			return err
		}
		d.Details = ""
		if err := t.shows(w, &d); err != nil {
			return err
		}
	}
	for _, purpose := range slices.Sorted(maps.Keys(w.purposes)) {
		if err := s.try(w.purposes[purpose]); err != nil {
			return err
		}
	}
	return nil
}
