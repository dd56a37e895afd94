package main

import (
	"cmp"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/text/collate"
	"golang.org/x/text/language"
	"golang.org/x/text/language/display"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/phone"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/wording"
	"github.com/otpcourier/otpcourier/store"
)

//go:embed web
var web embed.FS

var (
	static    = must(fs.Sub(web, "web/static"))
	templates = template.Must(template.ParseFS(web, "web/*.html"))
	texts     = must(readTexts())

	tags    = parseTags()
	matcher = language.NewMatcher(tags)
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err) // what is embedded is wrong
	}
	return v
}

// readTexts reads what the page says, by language and name.
func readTexts() (all map[string]map[string]string, err error) {
	text, err := web.ReadFile("web/texts.json")
	if err != nil {
		return nil, err
	}
	return all, json.Unmarshal(text, &all)
}

func parseTags() (all []language.Tag) {
	for _, l := range wording.Languages() { // those that the messages have
		all = append(all, language.MustParse(l))
	}
	return all
}

// rightToLeft are the languages that are written so.
var rightToLeft = []string{"ar", "fa", "ur"}

// language is what the backend said or the browser accepts: of the page and of the
// message.
func (s *server) language(r *http.Request, p *page) string {
	said := r.Header.Get("Accept-Language")
	if p != nil {
		said = cmp.Or(p.Language, said)
	}
	wanted, _, _ := language.ParseAcceptLanguage(said)
	_, i, _ := matcher.Match(wanted...)
	return wording.Languages()[i]
}

// A country is a row of the selector.
type country struct{ Code, Name, Dial string }

// countriesOf lists the countries in a language and in its order. It keeps what it
// made: there are 41 languages.
func countriesOf(lang string) []country {
	if list, ok := countryLists.Load(lang); ok {
		return list.([]country)
	}
	tag := language.MustParse(lang)
	names := display.Regions(tag)
	var list []country
	for _, code := range phone.Regions() {
		region, err := language.ParseRegion(code)
		if err != nil {
			continue
		}
		// The tables of display are older than two names of countries.
		name := cmp.Or(texts[lang][code], names.Name(region), code)
		list = append(list, country{code, name, fmt.Sprintf("+%d", phone.CallingCode(code))})
	}
	order := collate.New(tag)
	slices.SortStableFunc(list, func(a, b country) int { return order.CompareString(a.Name, b.Name) })
	countryLists.Store(lang, list)
	return list
}

var countryLists sync.Map // of []country, by language

// serves reports whether the file allows a country.
func (a *app) serves(region string) bool {
	return len(a.config.Countries) == 0 || slices.Contains(a.config.Countries, region)
}

// explicitRegion is the country that a proxy names, or else the browser's languages: "en"
// alone is not the United States.
func (a *app) explicitRegion(r *http.Request) string {
	if named := r.Header.Get(a.countryHeader); a.countryHeader != "" && phone.ValidRegion(named) && a.serves(named) {
		return named
	}
	wanted, _, _ := language.ParseAcceptLanguage(r.Header.Get("Accept-Language"))
	for _, t := range wanted {
		if region, confidence := t.Region(); confidence == language.Exact && phone.ValidRegion(region.String()) &&
			a.serves(region.String()) {
			return region.String()
		}
	}
	return ""
}

// A view is what the templates see.
type view struct {
	Lang, Dir, Brand, Support, ReturnURL string

	Problem     problem
	At          string // see page.at
	Click       string
	Countries   []country
	Country     string
	CountryName string
	Typed       string
	To          string // masked
	Given       bool   // the backend said where to
	Minutes     int
	Life, Wait  int // seconds
	CanResend   bool
	ByEmail     bool
	Over        bool // the code can no longer be used
}

// T is a text in the page's language.
func (v *view) T(name string) string { return texts[v.Lang][name] }

// With is a text with a value in it, which keeps its own direction. An address is
// written from left to right.
func (v *view) With(name string, value any) template.HTML {
	before, after, _ := strings.Cut(strings.Replace(v.T(name), "%d", "%s", 1), "%s")
	dir := ""
	if name == "code_lead" || name == "start_lead" || name == "support" {
		dir = ` dir="ltr"`
	}
	esc := template.HTMLEscapeString
	return template.HTML(esc(before) + "<bdi" + dir + ">" + esc(fmt.Sprint(value)) + "</bdi>" + esc(after))
}

// ProblemText is what the problem says.
func (v *view) ProblemText() template.HTML {
	switch v.Problem.Text {
	case "phone_wrong":
		return v.With("phone_wrong", cmp.Or(v.CountryName, "+"))
	case "code_wrong", "wait", "locked":
		return v.With(v.Problem.Text, v.Problem.Count)
	}
	return template.HTML(template.HTMLEscapeString(v.T(v.Problem.Text)))
}

// render answers a page.
func (s *server) render(w http.ResponseWriter, status int, name string, v *view) {
	v.Dir = "ltr"
	if slices.Contains(rightToLeft, v.Lang) {
		v.Dir = "rtl"
	}
	s.execute(w, status, name, v.Lang, v)
}

// execute answers a template in a language.
func (s *server) execute(w http.ResponseWriter, status int, name, lang string, v any) {
	var b strings.Builder
	if err := templates.ExecuteTemplate(&b, name, v); err != nil {
		s.log.Error("a page was not written", "page", name, "error", err)
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Language", lang)
	w.WriteHeader(status)
	_, _ = w.Write([]byte(b.String())) // the person may have gone
}

// notShown answers a link that was used or a browser without the cookie (errGone), or says
// that the store is down.
func (s *server) notShown(w http.ResponseWriter, r *http.Request, err error) {
	v := &view{Lang: s.language(r, nil)}
	if errors.Is(err, errGone) {
		s.render(w, http.StatusGone, "gone.html", v)
		return
	}
	w.Header().Set("Retry-After", strconv.Itoa(s.unavailable(r, err).RetryAfter))
	s.render(w, http.StatusServiceUnavailable, "down.html", v)
}

// showPage shows where the person is. It changes nothing.
func (s *server) showPage(w http.ResponseWriter, r *http.Request) {
	p, a, err := s.pageOf(r)
	var done *result
	if err == nil {
		done, err = s.result(r.Context(), p.ID)
	}
	if err != nil {
		s.notShown(w, r, err)
		return
	}
	v := &view{Lang: s.language(r, p), Brand: a.config.Brand, Support: a.config.Support, ReturnURL: p.ReturnURL,
		Problem: p.Problem, At: p.at(), Click: p.Click, Given: p.To.Phone != "" || p.To.Email != ""}
	switch {
	case done != nil:
		s.render(w, http.StatusOK, "done.html", v)
	case p.Challenge != "":
		s.codeView(r, p, a, v)
		s.render(w, http.StatusOK, "code.html", v)
	default:
		a.startView(r, p, v)
		s.render(w, http.StatusOK, "start.html", v)
	}
}

// startView is of the page before the first message.
func (a *app) startView(r *http.Request, p *page, v *view) {
	if v.Given {
		masked := channel.Recipient(p.To).Masked()
		v.To = cmp.Or(masked.Phone, masked.Email)
		return
	}
	v.Country, v.Typed = p.Country, p.Typed
	if v.Problem.Text == "" && v.Country == "" {
		v.Country = a.explicitRegion(r)
	}
	for _, c := range countriesOf(v.Lang) {
		if a.serves(c.Code) {
			v.Countries = append(v.Countries, c)
		}
		if c.Code == v.Country {
			v.CountryName = c.Name
		}
	}
}

// codeView is of the page that asks for the code.
func (s *server) codeView(r *http.Request, p *page, a *app, v *view) {
	c, err := a.svc.Status(r.Context(), otp.Ref{ID: p.Challenge, Subject: p.Subject})
	if err != nil || c.Outcome != store.Open || c.Next == otp.NextRestart {
		v.Over = true
		if v.Problem.Text == "" {
			v.Problem = problem{Text: "expired", Field: "code"}
		}
		if err != nil && !errors.Is(err, otp.ErrInvalidCode) {
			v.Over, v.Problem = false, problem{Text: "down"}
		}
		return
	}
	now := time.Now()
	v.To = c.To.Of(c.Address)
	if v.To == "" { // queued
		v.To = cmp.Or(c.To.Phone, c.To.Email)
	}
	v.Life = int(c.Expires.Sub(now).Seconds())
	v.Minutes = (v.Life + 59) / 60
	if !c.ResendAt.IsZero() {
		v.CanResend = true
		v.Wait = int(max(0, c.ResendAt.Sub(now)+time.Second-1) / time.Second)
		v.ByEmail = c.Alternatives&channel.Email != 0 && a.mailRoute != ""
	}
	if v.Problem.Text == "" && c.State == channel.Failed {
		v.Problem = problem{Text: "failed"}
	}
}
