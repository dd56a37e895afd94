package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
)

// serveDemo serves the applications of the demo until ctx ends. One of them prints its
// messages, the other has traffic of its own. It prints links to the hosted page and to
// the dashboard.
func serveDemo(ctx context.Context, env func(string) string, out io.Writer) error {
	c, shopKey, _, err := demoConfig()
	if err != nil {
		return err
	}
	password := secret()
	c.Operators = []operator{{Name: "ann", Password: newPasswordHash(password).String(), Role: roleOperator}}
	c.Listen, c.Admin = cmp.Or(env("OTP_LISTEN"), "127.0.0.1:8080"), cmp.Or(env("OTP_ADMIN"), "127.0.0.1:8081")
	shop, bank := &c.Applications[0], &c.Applications[1]
	shop.Routes = []route{{Name: "sms", URL: "console:phone"}, {Name: "email", URL: "console:email"}}
	bank.Routes = []route{
		{Name: "carrier-a", Prices: map[string]json.Number{"default": "0.09", "GB": "0.031", "DE": "0.075",
			"FR": "0.048", "US": "0.0079"}},
		{Name: "carrier-b", Prices: map[string]json.Number{"default": "0.12", "GB": "0.04"}}}
	bank.Currency, bank.Budget, bank.Purposes = "EUR", "500", []string{"login", "payment"}
	if err := c.validate(env); err != nil {
		return err
	}
	people, console := &crowd{}, openRoute(env, slog.New(slog.DiscardHandler))
	open := func(app string, r route, receipt channel.ReceiptFunc) (channel.Channel, channel.Address, error) {
		if app == bank.Name {
			return people.open(app, r, receipt)
		}
		return console(app, r, receipt)
	}
	s, err := newServer(ctx, c, otp.NewKeyring(), open, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- s.run(ctx) }()
	link, err := s.demoPage(ctx, shopKey)
	if err != nil {
		stop()
		return errors.Join(err, <-ended)
	}
	s.apps[bank.Name].figures.remember(time.Now())
	var traffic sync.WaitGroup
	traffic.Go(func() { people.signIn(ctx, s.apps[bank.Name]) })
	defer func() { stop(); traffic.Wait() }()
	fmt.Fprintf(out, "API on %s, health on %s\nAPI key of an application: %s\nhosted page, works once: %s\n"+
		"dashboard: %s/dashboard?application=bank\nits operator: ann, password %s\n", s.url(), s.adminURL(), shopKey,
		link, s.adminURL(), password)
	return <-ended
}

// demoPage makes a page as a backend does, and returns the link to it.
func (s *server) demoPage(ctx context.Context, key string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url()+pagesPath,
		strings.NewReader(`{"subject":"you","purpose":"sign-up","return_url":"https://shop.example/"}`))
	if err != nil {
		return "", err
	}
	r.Header.Set("Authorization", "Bearer "+key)
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }() // it is read
	var made pageState
	err = json.NewDecoder(resp.Body).Decode(&made)
	return made.URL, err
}

// A crowd are people who sign in to an application all the time, and the carriers that
// bring them their codes. Nothing of it leaves the process.
type crowd struct {
	codes sync.Map // of numbers
}

// crowdCountries are numbers that only need four digits more, and how many have them.
var crowdCountries = []struct {
	code, number string
	share        float64
}{{"GB", "+44791234", 0.4}, {"DE", "+491511234", 0.25}, {"FR", "+33612345", 0.2}, {"US", "+1201555", 0.15}}

// open is an opener: the carrier a fails at times, and receipts take a moment.
func (c *crowd) open(_ string, r route, receipt channel.ReceiptFunc) (channel.Channel, channel.Address, error) {
	return channel.Func(func(_ context.Context, m *channel.Message) (channel.Submission, error) {
		if r.Name == "carrier-a" && rand.IntN(12) == 0 {
			return channel.Submission{State: channel.Failed}, &channel.Error{Class: channel.Temporary}
		}
		c.codes.Store(m.To.Phone, m.Code)
		if state := channel.Delivered; rand.IntN(25) > 0 {
			time.AfterFunc(patienceOf(0.4), func() {
				_ = receipt(context.Background(), channel.Receipt{ProviderID: m.ID, State: state, At: time.Now()})
			})
		}
		return channel.Submission{State: channel.Sent, ProviderIDs: []string{m.ID}}, nil
	}), channel.Phone, nil
}

// patienceOf is how long people and carriers take, mostly: e to the mean seconds.
func patienceOf(mean float64) time.Duration {
	return time.Duration(math.Exp(mean+0.6*rand.NormFloat64()) * float64(time.Second))
}

// drawCountry returns a country by its share.
func drawCountry() (code, number string) {
	at := rand.Float64()
	for _, c := range crowdCountries {
		if at -= c.share; at < 0 {
			return c.code, c.number
		}
	}
	return crowdCountries[0].code, crowdCountries[0].number
}

// drawPurpose returns what a person wants a code for: mostly to log in.
func drawPurpose() string {
	switch rand.IntN(20) {
	case 0:
		return "password"
	case 1, 2, 3, 4:
		return "payment"
	}
	return "login"
}

// signIn has people sign in to an application, up to three a second and 100 at one time,
// until ctx ends.
func (c *crowd) signIn(ctx context.Context, a *app) {
	var people sync.WaitGroup
	defer people.Wait()
	places := make(chan struct{}, 100)
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(300*time.Millisecond + rand.N(time.Second)):
		}
		select {
		case places <- struct{}{}:
			people.Go(func() {
				defer func() { <-places }()
				c.person(ctx, a)
			})
		default: // all are busy
		}
	}
}

// person asks for a code and types it, mostly.
func (c *crowd) person(ctx context.Context, a *app) {
	_, number := drawCountry()
	number += fmt.Sprintf("%04d", rand.IntN(10_000))
	purpose := drawPurpose()
	q := otp.Request{Subject: number, Purpose: purpose, To: channel.Recipient{Phone: number}}
	sent, err := a.svc.Send(ctx, q)
	for tries := 0; err == nil && tries < 3 && rand.IntN(8) > 0; tries++ {
		select {
		case <-ctx.Done():
			return
		case <-time.After(patienceOf(2)):
		}
		code, _ := c.codes.Load(number)
		typed, _ := code.(string)
		if rand.IntN(8) == 0 {
			typed = "000000"
		}
		_, err = a.svc.Verify(ctx, otp.Verification{ID: sent.ID, Subject: number, Purpose: purpose, Code: typed})
		if err == nil || !errors.Is(err, otp.ErrInvalidCode) {
			return
		}
		err = nil
	}
}

// remember counts a month that never was, so that a new dashboard shows something. In
// the last hour somebody pumps numbers.
func (f *figures) remember(now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	step := time.Hour
	for at := now.Add(-30 * 24 * time.Hour); at.Before(now.Add(-2 * time.Minute)); at = at.Add(step) {
		if now.Sub(at) < 12*time.Hour {
			step = time.Minute
		}
		day := 1 + 0.6*math.Sin(float64(at.Hour()*60+at.Minute())/1440*2*math.Pi)
		for range int(4*day + 4*rand.Float64()) {
			country, _ := drawCountry()
			f.rememberOne(at, now, country, 0.86)
		}
		if ago := now.Sub(at); ago < 40*time.Minute && ago > 15*time.Minute {
			for range 10 {
				f.rememberOne(at, now, "LV", 0.04)
			}
		}
	}
}

func (f *figures) rememberOne(born, now time.Time, country string, share float64) {
	e := otp.Event{Kind: otp.EventGenerated, Created: born, At: born, Region: country, Purpose: drawPurpose()}
	f.count(&e, now)
	e.Kind, e.Route, e.State, e.Sent = otp.EventSent, f.routes[0], channel.Sent, born
	if rand.IntN(10) == 0 {
		e.Route, e.Hops = f.routes[1], []channel.Hop{{Route: f.routes[0], Err: errFailed, Class: channel.Temporary}}
	}
	f.count(&e, now)
	if rand.IntN(25) > 0 {
		e.Kind, e.State, e.At = otp.EventReceipt, channel.Delivered, born.Add(patienceOf(0.4))
		f.count(&e, now)
	}
	if rand.IntN(12) == 0 {
		e.Kind, e.Reason, e.At = otp.EventRejected, otp.ReasonWrong, born
		f.count(&e, now)
	}
	if rand.Float64() < share {
		e.Kind, e.At = otp.EventVerified, born.Add(patienceOf(2.5))
		f.count(&e, now)
	}
}

var errFailed = errors.New("the carrier failed")
