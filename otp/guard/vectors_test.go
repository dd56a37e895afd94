package guard_test

import (
	"context"
	"fmt"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/channel/phone"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/guard"
	"github.com/otpcourier/otpcourier/otp/guard/guardtest"
	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/memstore"
)

// A bench is a Guard at a time that the test moves.
type bench struct {
	*testing.T
	*guard.Guard
	now time.Time
}

func newBench(t *testing.T, change func(*guard.Config)) *bench {
	t.Helper()
	c := guard.Config{Limiter: memstore.New(memstore.Config{}), Index: index, Budget: 100_000, StepUp: true,
		Countries: map[string]guard.Country{"UZ": {}, "GB": {}}}
	if change != nil {
		change(&c)
	}
	g, err := guard.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return &bench{t, g, guardtest.Epoch}
}

// stranger returns an attempt from a network of its own, to the n-th number of a
// block.
func (b *bench) stranger(n int) otp.Attempt {
	return otp.Attempt{Phone: phone.Number{E164: fmt.Sprintf("+99890123%04d", n), Region: "UZ", Type: phone.Mobile},
		IP: netip.AddrFrom4([4]byte{10, byte(n >> 8), byte(n), 1}), At: b.now}
}

// want checks the verdict for a, and moves the time by a second.
func (b *bench) want(action otp.Action, rule string, a otp.Attempt) otp.Verdict {
	b.Helper()
	a.At = b.now
	b.now = b.now.Add(time.Second)
	v, err := b.Check(context.Background(), a)
	if err != nil {
		b.Fatal(err)
	}
	if v.Action != action || v.Rule != rule {
		b.Fatalf("at %v: %+v, want %v by %q", b.now.Sub(guardtest.Epoch), v, action, rule)
	}
	return v
}

func proven(a otp.Attempt) otp.Attempt {
	a.Proven = true
	return a
}

// Of strangers in one block five are allowed, the sixth is asked for a proof,
// ten more pass with one, and the sixteenth is refused until the first message
// is a day old.
func TestBlock(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	first := b.now
	for n := range 5 {
		b.want(otp.Allow, "", b.stranger(n))
	}
	b.want(otp.StepUp, guard.RuleBlock, b.stranger(5))
	for n := range 10 {
		b.want(otp.Allow, "", proven(b.stranger(6+n)))
	}
	v := b.want(otp.Refuse, guard.RuleBlock, proven(b.stranger(16)))
	if want := first.Add(24 * time.Hour).Sub(b.now.Add(-time.Second)); v.RetryAfter != want {
		t.Errorf("RetryAfter %v, want %v", v.RetryAfter, want)
	}
	if v.Key != "+99890123xxxx" {
		t.Errorf("Key %q", v.Key)
	}
	// A refusal does not grow, however often it is repeated, with a proof or without.
	for range 1000 {
		again := b.want(otp.Refuse, guard.RuleBlock, proven(b.stranger(17)))
		if again.RetryAfter >= v.RetryAfter {
			t.Fatalf("RetryAfter %v after %v", again.RetryAfter, v.RetryAfter)
		}
		v = again
		b.want(otp.Refuse, guard.RuleBlock, b.stranger(18))
	}
	known := b.stranger(19)
	known.Known = true
	b.want(otp.Allow, "", known) // at a closed block
	b.now = first.Add(24 * time.Hour)
	b.want(otp.Allow, "", proven(b.stranger(20)))
}

// A verified session of one message lets three more pass, one of two messages
// four.
func TestVerifiedGivesBack(t *testing.T) {
	t.Parallel()
	for messages, more := range map[int]int{1: 3, 2: 4} {
		b := newBench(t, nil)
		for n := range 5 {
			b.want(otp.Allow, "", b.stranger(n))
		}
		b.Settle(context.Background(), b.stranger(0), messages, true)
		for n := range more {
			b.want(otp.Allow, "", b.stranger(10+n))
		}
		b.want(otp.StepUp, guard.RuleBlock, b.stranger(20))
	}
}

// Verified sessions never lend: below zero there is nothing.
func TestVerifiedNeverLends(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	for n := range 50 {
		b.want(otp.Allow, "", b.stranger(n))
		b.Settle(context.Background(), b.stranger(n), 1, true)
	}
	for n := range 5 {
		b.want(otp.Allow, "", b.stranger(100+n))
	}
	b.want(otp.StepUp, guard.RuleBlock, b.stranger(200))
}

// A counting is a Limiter that counts its calls.
type counting struct {
	store.Limiter
	takes, gives atomic.Int64
}

func (c *counting) Take(ctx context.Context, now time.Time, limits ...store.Limit) (store.Decision, error) {
	c.takes.Add(1)
	return c.Limiter.Take(ctx, now, limits...)
}

func (c *counting) Give(ctx context.Context, taken, now time.Time, limits ...store.Limit) error {
	c.gives.Add(1)
	return c.Limiter.Give(ctx, taken, now, limits...)
}

// Countries that are not listed, types and prefixes are refused at once: nothing
// is counted. Any other decision is one call of the Limiter.
func TestAtOnce(t *testing.T) {
	t.Parallel()
	l := &counting{Limiter: memstore.New(memstore.Config{})}
	b := newBench(t, func(c *guard.Config) {
		c.Limiter, c.Deny = l, []string{"+4479999"}
		c.Countries = map[string]guard.Country{"UZ": {}, "GB": {StepUp: true}}
	})
	number := func(e164, region string, typ phone.Type) otp.Attempt {
		a := b.stranger(0)
		a.Phone = phone.Number{E164: e164, Region: region, Type: typ}
		return a
	}
	b.want(otp.Refuse, guard.RuleCountry, number("+12425551234", "BS", phone.Mobile)) // +1, and dear
	b.want(otp.Refuse, guard.RuleType, number("+998712345678", "UZ", phone.FixedLine))
	b.want(otp.Refuse, guard.RuleDeny, proven(number("+447999912345", "GB", phone.Mobile)))
	b.want(otp.StepUp, guard.RuleStepUp, number("+447912345678", "GB", phone.Mobile))
	if n := l.takes.Load(); n != 0 {
		t.Errorf("%d Takes, want none", n)
	}
	b.want(otp.Allow, "", proven(number("+447912345678", "GB", phone.Mobile)))
	for n := range 5 {
		b.want(otp.Allow, "", b.stranger(n))
	}
	b.want(otp.StepUp, guard.RuleBlock, b.stranger(6))
	b.Settle(context.Background(), b.stranger(0), 1, true)
	if takes, gives := l.takes.Load(), l.gives.Load(); takes != 7 || gives != 1 {
		t.Errorf("%d Takes and %d Gives, want 7 and 1", takes, gives)
	}
}

// An IPv6 /48 and an IPv4 /24 are one network each, an IPv4 address in IPv6
// belongs to the latter, and zones do not matter.
func TestNetwork(t *testing.T) {
	t.Parallel()
	for _, pair := range [][2]string{{"2001:db8:77:1::1", "2001:db8:77:ffff::9"}, {"192.0.2.1", "::ffff:192.0.2.200"},
		{"fe80::1%eth0", "fe80::2%eth1"}} {
		b := newBench(t, nil)
		ask := func(n int, ip string) otp.Attempt {
			a := b.stranger(n * 10_000) // blocks of their own
			a.Phone.E164 = fmt.Sprintf("+99890%03d0000", n)
			a.IP = netip.MustParseAddr(ip)
			return a
		}
		for n := range 15 {
			b.want(otp.Allow, "", ask(n, pair[n%2]))
		}
		b.want(otp.StepUp, guard.RuleNetwork, ask(20, pair[0]))
		b.want(otp.Allow, "", ask(21, "203.0.113.1"))
		for n := range 45 {
			b.want(otp.Allow, "", proven(ask(30+n, pair[n%2])))
		}
		b.want(otp.Refuse, guard.RuleNetwork, ask(99, pair[1]))
		noIP := ask(100, pair[1])
		noIP.IP = netip.Addr{}
		b.want(otp.Allow, "", noIP)
	}
}

// Three hundred people behind one address verify, and none is refused or asked
// for a proof.
func TestOffice(t *testing.T) {
	t.Parallel()
	trace := guardtest.Office(9, 300, 10*time.Hour, 20*time.Minute, "GB")
	for i := range trace {
		if trace[i].Verify == 0 {
			trace[i].Verify = 20 * time.Second
		}
	}
	b := newBench(t, nil)
	people := guardtest.Replay(trace, &guardtest.Under{Guard: b.Guard})[guardtest.Legit]
	if people.Attempts < 300 || people.Refused+people.SteppedUp > 0 {
		t.Errorf("%+v", people)
	}
}

// A provider that is down closes nothing: what was not sent is given back.
func TestOutage(t *testing.T) {
	t.Parallel()
	mem := memstore.New(memstore.Config{})
	b := newBench(t, func(c *guard.Config) { c.Limiter = mem })
	for n := range 50 {
		a := b.stranger(n)
		b.want(otp.Allow, "", a)
		b.Settle(context.Background(), a, 1, false)
	}
	for n := range 5 {
		b.want(otp.Allow, "", b.stranger(n))
	}
	b.want(otp.StepUp, guard.RuleBlock, b.stranger(9))
}

// The volume of a block, the share of a country, and of all countries together
// are bounded though each message is from another network.
func TestShares(t *testing.T) {
	t.Parallel()
	wide := func(b *bench, n int, region string) otp.Attempt {
		a := b.stranger(n)
		a.Phone.E164, a.Phone.Region = fmt.Sprintf("+99890%05d00", n), region
		return a
	}
	b := newBench(t, func(c *guard.Config) { c.Budget = 2000 })
	for n := range 20 {
		b.want(otp.Allow, "", wide(b, n*100, "UZ"))
	}
	b.want(otp.StepUp, guard.RuleUnverified, wide(b, 9900, "UZ"))
	for n := range 10 {
		b.want(otp.Allow, "", proven(wide(b, 5000+n*100, "UZ")))
	}
	b.want(otp.Refuse, guard.RuleUnverified, proven(wide(b, 9900, "UZ")))

	b = newBench(t, func(c *guard.Config) {
		c.Budget, c.Countries = 10_000, map[string]guard.Country{"UZ": {PerDay: 50}, "GB": {}}
	})
	for n := range 5 {
		b.want(otp.Allow, "", wide(b, n*100, "UZ"))
	}
	b.want(otp.StepUp, guard.RuleUnverified, wide(b, 9900, "UZ")) // 10 % of PerDay
	for n := range 100 {
		b.now = b.now.Add(time.Second)
		a := wide(b, n*100, "UZ")
		a.Known, a.At = true, b.now
		v, err := b.Check(context.Background(), a)
		if over := n >= 45; err != nil || (v.Action == otp.Refuse) != over || over && v.Rule != guard.RulePerDay {
			t.Fatalf("message %d of 50 a day: %+v %v", n+6, v, err)
		}
	}
}

// The volume of a block counts verified messages, too.
func TestVolume(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *guard.Config) { c.Budget = 1500 })
	for n := range 15 {
		b.want(otp.Allow, "", b.stranger(n))
		b.Settle(context.Background(), b.stranger(n), 1, true)
	}
	b.want(otp.StepUp, guard.RuleVolume, b.stranger(20))
	known := b.stranger(21)
	known.Known = true
	for range 9 {
		b.want(otp.Allow, "", known)
		b.Settle(context.Background(), known, 1, true)
	}
	b.want(otp.Refuse, guard.RuleVolume, known)
}

// The budget is in money: an hour has a quarter of it, and known people are held
// to it, too. E-mails count at the price of "".
func TestBudget(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *guard.Config) {
		c.Budget = 400
		c.Price = func(country string) int { return map[string]int{"UZ": 28, "GB": 4}[country] }
	})
	known := b.stranger(0)
	known.Known = true
	for range 3 {
		b.want(otp.Allow, "", known)
	}
	b.want(otp.Refuse, guard.RuleBudget, known) // 84 and 28 are over 100
	mail := otp.Attempt{Email: "ann@example.com", Known: true}
	for range 16 {
		b.want(otp.Allow, "", mail)
	}
	v := b.want(otp.Refuse, guard.RuleBudget, mail)
	if v.Key != "hour" || v.RetryAfter > time.Hour+time.Minute { // counted in cells of half a minute
		t.Errorf("%+v", v)
	}
	for range 10 { // 100 and 280
		b.now = b.now.Add(61 * time.Minute)
		b.want(otp.Allow, "", known)
	}
	b.now = b.now.Add(61 * time.Minute)
	if v := b.want(otp.Refuse, guard.RuleBudget, known); v.Key != "day" {
		t.Errorf("%+v", v)
	}
}

// E-mail is held to network, total and budget only.
func TestEmail(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *guard.Config) { c.Budget = 2000 })
	mail := func(n int) otp.Attempt {
		return otp.Attempt{Email: "ann@example.com", IP: netip.AddrFrom4([4]byte{10, byte(n >> 8), byte(n), 1})}
	}
	for n := range 70 {
		b.want(otp.Allow, "", mail(n))
	}
	b.want(otp.StepUp, guard.RuleTotal, mail(100))
	for n := range 230 {
		b.want(otp.Allow, "", proven(mail(200+n)))
	}
	b.want(otp.Refuse, guard.RuleTotal, proven(mail(100)))
}

// Without StepUp the step-up thresholds only alert.
func TestNoStepUp(t *testing.T) {
	t.Parallel()
	var told []guard.Alert
	b := newBench(t, func(c *guard.Config) {
		c.StepUp = false
		c.Alert = func(_ context.Context, a guard.Alert) { told = append(told, a) }
	})
	for n := range 15 {
		b.want(otp.Allow, "", b.stranger(n))
	}
	b.want(otp.Refuse, guard.RuleBlock, b.stranger(20))
	if len(told) != 2 || told[0].Action != otp.StepUp || !told[0].Shadow || told[1].Action != otp.Refuse ||
		told[1].Shadow {
		t.Errorf("told %+v", told)
	}
}

// In Shadow nothing is refused, and each message that would be is told of.
func TestShadow(t *testing.T) {
	t.Parallel()
	rules := map[string]int{}
	b := newBench(t, func(c *guard.Config) {
		c.Shadow, c.Deny = true, []string{"+998901230001"}
		c.Checks = []guard.Check{func(context.Context, otp.Attempt) (otp.Verdict, error) {
			return otp.Verdict{Action: otp.Refuse}, nil
		}}
		c.Alert = func(_ context.Context, a guard.Alert) {
			if !a.Shadow {
				t.Errorf("%+v", a)
			}
			rules[a.Rule]++
		}
	})
	for n := range 100 {
		a := b.stranger(n)
		if n%10 == 9 {
			a.Phone.Region = "MG"
		}
		b.want(otp.Allow, "", a)
	}
	for _, rule := range []string{guard.RuleCountry, guard.RuleDeny, guard.RuleBlock, guard.RuleCheck} {
		if rules[rule] == 0 {
			t.Errorf("rule %s was not told of: %v", rule, rules)
		}
	}
}

// A dead or full store is an error, and nothing is allowed.
func TestDeadStore(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *guard.Config) { c.Limiter = memstore.New(memstore.Config{MaxLimits: 3}) })
	v, err := b.Check(context.Background(), b.stranger(1))
	if err == nil || v.Action != otp.Refuse {
		t.Errorf("full: %+v, %v", v, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	b = newBench(t, nil)
	if v, err = b.Check(ctx, b.stranger(1)); err == nil || v.Action != otp.Refuse {
		t.Errorf("dead: %+v, %v", v, err)
	}
}

// An answering is a Limiter that gives one answer.
type answering store.Decision

func (d answering) Take(context.Context, time.Time, ...store.Limit) (store.Decision, error) {
	return store.Decision(d), nil
}
func (d answering) Give(context.Context, time.Time, time.Time, ...store.Limit) error { return nil }

// A Limiter that refuses, and says nothing of use about it, is believed.
func TestOddLimiter(t *testing.T) {
	t.Parallel()
	for _, d := range []answering{{}, {RetryAfter: time.Minute}, {Over: []int{-1, 99}}, {Over: []int{0}},
		{Over: []int{0, 1}, Waits: []time.Duration{-5}}} {
		b := newBench(t, func(c *guard.Config) { c.Limiter = d })
		if v, err := b.Check(context.Background(), b.stranger(1)); err != nil || v.Action != otp.Refuse ||
			v.RetryAfter < 0 {
			t.Errorf("%+v: %+v, error %v", d, v, err)
		}
	}
}
