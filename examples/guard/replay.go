package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/phone"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/guard"
	"github.com/otpcourier/otpcourier/otp/guard/guardtest"
	"github.com/otpcourier/otpcourier/otp/wording"
	"github.com/otpcourier/otpcourier/store/memstore"
)

const (
	perDay = 5000 // sessions of people
	people = 600  // replayed sessions of people
	bots   = 600  // messages requested by an attack
)

// A row is the result of one attack, also for the people meanwhile.
type row struct {
	attack, what  string
	without, with tally
	alerts        []string
}

// A tally counts messages.
type tally struct {
	bots, botsSent          int
	cents                   float64 // cost of the attack
	people, refused, proofs int     // of people: sessions, refused, asked for a proof
}

var what = map[string]string{
	"server":     "one server, numbers of ten countries",
	"proxies":    "10,000 homes, numbers in a row of Uzbekistan",
	"rotating":   "an IPv6 /48, four blocks of Pakistan",
	"expensive":  "10,000 homes, all of Uzbekistan",
	"hidden":     "10,000 homes, three blocks where customers are",
	"converts30": "10,000 homes, and it types 30 % of the codes",
}

// attacked replays an attack against a Service without and with a guard.
func attacked(ctx context.Context, name string, seed uint64, shadow bool) (r row, err error) {
	r.attack, r.what = name, what[name]
	trace := traffic(name, seed)
	if r.without, err = replay(ctx, trace, nil); err != nil {
		return r, err
	}
	r.with, err = replay(ctx, trace, func(c *guard.Config) {
		c.Shadow = shadow
		c.Alert = func(_ context.Context, a guard.Alert) { r.alerts = append(r.alerts, line(a)) }
	})
	return r, err
}

// line is the form of an alert for an operator's pager.
func line(a guard.Alert) string {
	text := fmt.Sprintf("%s %s: %v", a.Rule, a.Key, a.Action)
	switch {
	case a.Spent > 0:
		text = fmt.Sprintf("budget: %d %% spent", a.Spent)
	case a.Opened:
		text = fmt.Sprintf("%s %s: open again", a.Rule, a.Key)
	case a.Shadow:
		text += " (in shadow)"
	}
	return text
}

// traffic merges an attack with people. Each session asks once, for an assigned
// number.
func traffic(name string, seed uint64) []guardtest.Attempt {
	var parts [][]guardtest.Attempt
	for _, k := range guardtest.Attacks {
		if k.Name == name {
			k.Solves = 0.2
			parts = append(parts, assigned(k.Make(seed), bots))
		}
	}
	day := guardtest.Traffic{PerDay: perDay, Days: 1, Mix: guardtest.Medium}.Make(seed + 1)
	parts = append(parts, assigned(day, people))
	for i := range parts[1] { // spread over the attack's time
		k := parts[0][i*len(parts[0])/len(parts[1])]
		parts[1][i].At = k.At
	}
	return guardtest.Merge(parts...)
}

func assigned(trace []guardtest.Attempt, most int) (some []guardtest.Attempt) {
	asked := map[int]bool{}
	for _, a := range trace {
		n, err := phone.Parse(a.Number, "")
		if err == nil && n.Region == a.Country && n.Type.SMS() && !asked[a.Session] && len(some) < most {
			asked[a.Session] = true
			some = append(some, a)
		}
	}
	return some
}

// replay sends each request to a Service of its own. If configure is nil, it has
// no guard.
func replay(ctx context.Context, trace []guardtest.Attempt, configure func(*guard.Config)) (t tally, err error) {
	mem, keys, code := memstore.New(memstore.Config{}), otp.NewKeyring(), ""
	c := otp.Config{Store: mem, Keys: keys, Wording: wording.Config{Brand: "MyBank"},
		Channel: channel.Func(func(_ context.Context, m *channel.Message) (channel.Submission, error) {
			code = m.Code
			return channel.Submission{}, nil
		})}
	if configure != nil {
		g := guard.Config{Limiter: mem, Index: keys.Index, Countries: countries(), StepUp: true,
			Budget: guardtest.Scenario{PerDay: perDay, Mix: guardtest.Medium}.Budget(), Price: guardtest.Price}
		configure(&g)
		if c.Guard, err = guard.New(g); err != nil {
			return t, err
		}
	}
	svc, err := otp.New(c)
	if err != nil {
		return t, err
	}
	for _, a := range trace {
		q := otp.Request{Subject: fmt.Sprint(a.Session), Purpose: "login", IP: a.IP, Known: a.Known,
			To: channel.Recipient{Phone: a.Number}}
		challenge, err := svc.Send(ctx, q)
		proof := otp.ReasonOf(err) == otp.ReasonStepUp
		if proof && a.Solves {
			q.Proven = true
			challenge, err = svc.Send(ctx, q)
		}
		if err != nil && !errors.Is(err, otp.ErrWait) {
			return t, err
		}
		t.count(a, proof, err != nil)
		if err == nil && a.Verify > 0 {
			v := otp.Verification{ID: challenge.ID, Subject: q.Subject, Purpose: q.Purpose, Code: code}
			if _, err := svc.Verify(ctx, v); err != nil {
				return t, err
			}
		}
	}
	return t, nil
}

func countries() map[string]guard.Country {
	list := map[string]guard.Country{}
	for code := range guardtest.Countries {
		list[code] = guard.Country{}
	}
	return list
}

func (t *tally) count(a guardtest.Attempt, proof, refused bool) {
	if a.Label != guardtest.Legit {
		t.bots++
		if !refused {
			t.botsSent++
			t.cents += a.Price
		}
		return
	}
	t.people++
	if proof {
		t.proofs++
	}
	if refused {
		t.refused++
	}
}
