package guard_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/guard"
	"github.com/otpcourier/otpcourier/otp/wording"
	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/memstore"
)

// A ledger is a Limiter that keeps what is taken by key, less what was given back.
type ledger struct {
	*memstore.Store
	mu     sync.Mutex
	levels map[string]int
}

func newLedger() *ledger {
	return &ledger{Store: memstore.New(memstore.Config{}), levels: map[string]int{}}
}

func (l *ledger) Take(ctx context.Context, now time.Time, limits ...store.Limit) (store.Decision, error) {
	d, err := l.Store.Take(ctx, now, limits...)
	if d.Allowed {
		l.book(limits, 1)
	}
	return d, err
}

func (l *ledger) Give(ctx context.Context, taken, now time.Time, limits ...store.Limit) error {
	l.book(limits, -1)
	return l.Store.Give(ctx, taken, now, limits...)
}

func (l *ledger) book(limits []store.Limit, sign int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, limit := range limits {
		if !limit.Peek && !limit.Shadow {
			l.levels[limit.Key+limit.Per.String()] += sign * limit.Takings()
		}
	}
}

// service returns a Service with a guard, on a ledger.
func service(t *testing.T, send channel.Func) (*otp.Service, *ledger) {
	t.Helper()
	l, keys := newLedger(), otp.Keyring{Current: "k1", Keys: map[string][]byte{"k1": []byte(strings.Repeat("ab", 16))},
		Index: index}
	g, err := guard.New(guard.Config{Limiter: l, Index: keys.Index, Budget: 100_000, Price: guard.Cents, StepUp: true,
		Countries: map[string]guard.Country{"GB": {}}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := otp.New(otp.Config{Channel: send, Store: l, Keys: keys, Guard: g,
		Wording: wording.Config{Brand: "MyBank"}})
	if err != nil {
		t.Fatal(err)
	}
	return s, l
}

func request(n int) otp.Request {
	return otp.Request{Subject: fmt.Sprint("u", n), To: channel.Recipient{Phone: fmt.Sprintf("+44791234%04d", n)},
		IP: netip.AddrFrom4([4]byte{192, 0, byte(n), 7})}
}

func sent(context.Context, *channel.Message) (channel.Submission, error) {
	return channel.Submission{}, nil
}

// A decoy and a real request leave equal counters, and meet the same rules.
func TestDecoyCounters(t *testing.T) {
	t.Parallel()
	var levels [2]map[string]int
	var reasons [2][]otp.Reason
	for i := range 2 {
		s, l := service(t, sent)
		for n := range 12 {
			q := request(n)
			q.Decoy, q.Proven = i == 1, n > 8
			_, err := s.Send(t.Context(), q)
			reasons[i] = append(reasons[i], otp.ReasonOf(err))
		}
		levels[i] = l.levels
	}
	if !maps.Equal(levels[0], levels[1]) || len(levels[0]) < 7 || fmt.Sprint(reasons[0]) != fmt.Sprint(reasons[1]) ||
		reasons[0][5] != otp.ReasonStepUp || reasons[0][9] != "" {
		t.Errorf("real: %v %v\ndecoy: %v %v", reasons[0], levels[0], reasons[1], levels[1])
	}
}

// A provider that is down for fifty sends leaves every level at zero.
func TestOutageThroughService(t *testing.T) {
	t.Parallel()
	s, l := service(t, func(context.Context, *channel.Message) (channel.Submission, error) {
		return channel.Submission{}, &channel.Error{Class: channel.Temporary, Op: "test: send"}
	})
	for n := range 50 {
		if _, err := s.Send(t.Context(), request(n)); !errors.Is(err, otp.ErrUndelivered) {
			t.Fatalf("send %d: %v", n, err)
		}
	}
	for key, level := range l.levels {
		if level != 0 {
			t.Errorf("%s is at %d", key, level)
		}
	}
	if len(l.levels) < 7 {
		t.Errorf("only %d keys were taken from", len(l.levels))
	}
}

// Three hundred people of an office who verify are all served.
func TestOfficeThroughService(t *testing.T) {
	t.Parallel()
	code := ""
	s, _ := service(t, func(_ context.Context, m *channel.Message) (channel.Submission, error) {
		code = m.Code
		return channel.Submission{}, nil
	})
	for n := range 300 {
		q := request(n)
		q.To.Phone, q.IP = fmt.Sprintf("+4479%03d1%04d", 120+n%100, n), netip.MustParseAddr("198.51.100.7")
		c, err := s.Send(t.Context(), q)
		if err != nil {
			t.Fatalf("person %d: %v", n, err)
		}
		if _, err := s.Verify(t.Context(), otp.Verification{ID: c.ID, Subject: q.Subject, Code: code}); err != nil {
			t.Fatal(err)
		}
	}
}
