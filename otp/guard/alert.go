package guard

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/store"
)

// An Alert tells that a rule has closed or opened, or how much of the budget is
// spent. It holds no number and no address.
type Alert struct {
	Rule    string
	Key     string     // the key that the rule counted: "+99890123xxxx", "203.0.113.0/24", "UZ"; empty: everything
	Action  otp.Action // that the rule takes from now on; Allow: it has opened, or tells of the budget
	Opened  bool       // the rule allows again
	Spent   int        // 50, 80 or 100 percent of the budget; 0: the alert is of a rule
	Shadow  bool       // the message was sent nevertheless
	Country string     // of the message at hand; empty: it goes to no number
	Block   string     // of its number, "+99890123xxxx"
	Network string     // of the person who asked, "203.0.113.0/24"
	Purpose string
	At      time.Time
	Err     error // why a Check failed; nil: none has
}

// LogValue returns the fields that are set.
func (a Alert) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("rule", a.Rule), slog.String("action", a.Action.String())}
	for _, f := range [...]struct{ name, value string }{{"key", a.Key}, {"country", a.Country}, {"block", a.Block},
		{"network", a.Network}, {"purpose", a.Purpose}} {
		if f.value != "" {
			attrs = append(attrs, slog.String(f.name, f.value))
		}
	}
	if a.Spent > 0 {
		attrs = append(attrs, slog.Int("spent_percent", a.Spent))
	}
	if a.Opened {
		attrs = append(attrs, slog.Bool("opened", true))
	}
	if a.Shadow {
		attrs = append(attrs, slog.Bool("shadow", true))
	}
	if a.Err != nil {
		attrs = append(attrs, slog.String("error", a.Err.Error()))
	}
	return slog.GroupValue(attrs...)
}

const (
	alertEvery = 10 * time.Minute
	maxAlerts  = 4096 // keys that one process remembers
)

// alerts remembers which keys were told of.
type alerts struct {
	closed atomic.Int64 // how many keys of told are closed
	mu     sync.Mutex
	told   map[string]time.Time // by rule and key: when the next may be told
	open   map[string]bool      // by rule and key: closed now
}

// due reports whether a key may be told of now, and remembers that it was.
func (t *alerts) due(key string, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if next, ok := t.told[key]; ok && now.Before(next) {
		return false
	}
	if t.told == nil {
		t.told, t.open = map[string]time.Time{}, map[string]bool{}
	}
	if len(t.told) >= maxAlerts {
		for k, next := range t.told {
			if !now.Before(next) {
				delete(t.told, k)
				delete(t.open, k)
			}
		}
		t.closed.Store(int64(len(t.open)))
	}
	if len(t.told) >= maxAlerts { // so many keys in ten minutes are one attack, which was told of
		return false
	}
	t.told[key] = now.Add(alertEvery)
	return true
}

// close remembers that a rule refuses a key.
func (t *alerts) close(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, told := t.told[key]; told {
		t.open[key] = true
		t.closed.Store(int64(len(t.open)))
	}
}

// opened reports whether a rule did refuse a key, and forgets it.
func (t *alerts) opened(key string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.open[key] {
		return false
	}
	delete(t.open, key)
	t.closed.Store(int64(len(t.open)))
	return true
}

// tell alerts once for a key in ten minutes, in all processes together.
func (g *Guard) tell(ctx context.Context, a *otp.Attempt, alert Alert) {
	if !g.heard {
		return
	}
	now := at(a)
	key := alert.Rule + " " + alert.Key + " " + alert.Action.String()
	if !g.alerts.due(key, now) {
		return
	}
	if alert.Action != otp.Allow {
		g.alerts.close(key)
	}
	once := store.Limit{Key: g.key("alert", key), Most: 1, Per: alertEvery}
	if d, err := g.c.Limiter.Take(ctx, now, once); err == nil && !d.Allowed { // another process has told
		return
	}
	g.emit(ctx, a, alert)
}

// tellBudget alerts of a share of the budget.
func (g *Guard) tellBudget(ctx context.Context, a *otp.Attempt, percent int) {
	keys := map[int]string{50: "half", 80: "80 %", 100: "all"}
	g.tell(ctx, a, Alert{Rule: RuleBudget, Key: keys[percent], Spent: percent})
}

func (g *Guard) emit(ctx context.Context, a *otp.Attempt, alert Alert) {
	alert.At, alert.Purpose = at(a), a.Purpose
	if a.Phone.E164 != "" {
		alert.Country = a.Phone.Region
		alert.Block, _ = blockOf(a.Phone.E164)
	}
	alert.Network, _, _ = g.network(a.IP)
	g.log.LogAttrs(ctx, slog.LevelWarn, "otp/guard", slog.Any("alert", alert))
	if g.c.Alert != nil {
		g.c.Alert(ctx, alert)
	}
}

// reopened alerts of the rules that have refused a key before, and allow now.
func (g *Guard) reopened(ctx context.Context, a *otp.Attempt, p *plan, d store.Decision) {
	if g.alerts.closed.Load() == 0 {
		return
	}
	over := map[int]bool{}
	for _, i := range d.Over {
		over[i] = true
	}
	for i, l := range p.lines {
		key := l.rule + " " + l.key + " " + l.action.String()
		if l.rule != "" && l.action != otp.Allow && !over[i] && g.alerts.opened(key) {
			g.emit(ctx, a, Alert{Rule: l.rule, Key: l.key, Opened: true})
		}
	}
}
