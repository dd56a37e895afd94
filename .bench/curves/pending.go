package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	mathrand "math/rand/v2"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/wording"
	"github.com/otpcourier/otpcourier/store"
)

const (
	callers = 16 // goroutines
	guesses = 4  // of a challenge, of five
	stride  = 7_919
)

// measurePending: one table for all backends.
func measurePending(b *bench) ([]table, error) {
	t := table{
		title: fmt.Sprintf("**Pending challenges**, %d goroutines. A code is a Send with the default limits, over a "+
			"channel that sends nothing, and a Verify of the right code. A wrong code is the Store's Attempt. The "+
			"barest call is a GET of Redis, or SELECT 1. PostgreSQL has synchronous_commit off.", callers),
		heads: []string{"store", "pending", "codes/s", "p99 of a code, µs", "CPU of a code, µs: process", "server",
			"octets that a code leaves", "wrong codes/s", "of the barest call", "p99 of a wrong code, µs",
			"octets of a pending one", "SHA-256, million/s"},
	}
	for _, kind := range backends {
		most := b.most
		if kind.name != "memory" {
			most = min(most, mostShared)
		}
		back, err := kind.open(b.ctx, most)
		if err == nil {
			err = b.pendingOf(&t, back, most)
		}
		if back != nil {
			back.close()
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", kind.name, err)
		}
	}
	return []table{t}, nil
}

func (b *bench) pendingOf(t *table, back *backend, most int) error {
	codes, err := newCodes(b.ctx, back.store, 0)
	if err != nil {
		return err
	}
	now := time.Now()
	for first, n := 0, 1000; n <= most; first, n = n, n*10 {
		octets, err := b.fill(back, first, n, now)
		if err != nil {
			return err
		}
		machine := speed()
		wrong, share, err := b.wrongCodes(back, first, n, now)
		if err != nil {
			return err
		}
		code, left, err := b.codes(back, codes)
		if err != nil {
			return err
		}
		t.add(back.name, thousands(n), thousands(code.rate), micros(code.p99), micros(code.cpu.client),
			micros(code.cpu.server), thousands(left), thousands(wrong.rate), share, micros(wrong.p99),
			thousands(octets), machine)
		b.found.stores[back.name] = storeFigure{code, wrong.rate, octets, left}
	}
	runtime.KeepAlive(back.store)
	return nil
}

// fill makes pending challenges, and returns what each takes.
func (b *bench) fill(back *backend, from, to int, now time.Time) (octets int64, err error) {
	before, err := back.size()
	if err != nil {
		return 0, err
	}
	fill := back.fill
	if fill == nil {
		fill = b.creates(back)
	}
	if err := fill(from, to, now); err != nil {
		return 0, err
	}
	after, err := back.size()
	return (after - before) / int64(to-from), err
}

// wrongCodes measures wrong codes for the challenges from first on: those before have been guessed
// at. It also returns their rate by that of the cheapest call, before and after.
func (b *bench) wrongCodes(back *backend, first, n int, now time.Time) (f figure, share string, err error) {
	before, err := b.bare(back)
	if err != nil {
		return f, "", err
	}
	if f, err = measure(callers, guesses*(n-first), b.each, func(i int) error {
		at := first + i%(n-first)*stride%(n-first)
		_, err := back.store.Attempt(b.ctx, pendingID(at), store.Token(mathrand.Uint64()|1), now)
		return err
	}); err != nil {
		return f, "", err
	}
	after, err := b.bare(back)
	if before == 0 {
		return f, "–", err
	}
	return f, fmt.Sprintf("%.2f", 2*f.rate/(before+after)), err
}

// creates fills a Store call by call.
func (b *bench) creates(back *backend) func(from, to int, now time.Time) error {
	return func(from, to int, now time.Time) error {
		return inAll(callers, to-from, func(i int) error {
			return back.store.Create(b.ctx, pendingRecord(from+i, now), now)
		})
	}
}

// bare returns how many of the cheapest calls the server answers in a second.
func (b *bench) bare(back *backend) (float64, error) {
	if back.bare == nil {
		return 0, nil
	}
	f, err := measure(callers, math.MaxInt, b.each/4, func(int) error { return back.bare() })
	return f.rate, err
}

// codes measures codes, and what each leaves in the Store.
func (b *bench) codes(back *backend, c *codes) (f figure, left int64, err error) {
	before, err := back.size()
	if err != nil {
		return f, 0, err
	}
	made := c.made
	if f, err = measure(callers, math.MaxInt, b.each, c.one); err != nil {
		return f, 0, err
	}
	after, err := back.size()
	return f, (after - before) / int64(c.made-made), err
}

func pendingID(i int) string { return fmt.Sprintf("b%04d-%d", i%10_000, i) }

// pendingRecord is as long as one of otp's.
func pendingRecord(i int, now time.Time) *store.Record {
	return &store.Record{
		ID: pendingID(i), Subject: fmt.Sprintf("subject-of-%011d", i), Key: "2026-11", Salt: random(16),
		Sealed: random(120), Delivery: random(60), Created: now, Expires: now.Add(30 * time.Minute), MaxAttempts: 5,
		MaxFailures: 10, Lock: 30 * time.Minute, MaxRun: 100, RunLife: 30 * 24 * time.Hour, Group: "group of 16 byte",
	}
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

// codes are sent and verified by a Service whose channel sends nothing.
type codes struct {
	*otp.Service
	ctx     context.Context
	name    string // of this process's subjects
	tenants int
	made    int
	mu      sync.Mutex
	sent    map[string]string // by challenge
}

func newCodes(ctx context.Context, s store.Store, tenants int) (*codes, error) {
	c := &codes{ctx: ctx, tenants: tenants, sent: map[string]string{}}
	cfg := otp.Config{
		Channel: channel.Func(c.deliver), Store: s, Keys: otp.NewKeyring(), Wording: wording.Config{Brand: "Bench"},
	}
	for i := range tenants {
		cfg.Tenants = append(cfg.Tenants, otp.Tenant{
			Name: "tenant-" + strconv.Itoa(i), Wording: wording.Config{Brand: "Brand " + strconv.Itoa(i)},
		})
	}
	var err error
	c.Service, err = otp.New(cfg)
	return c, err
}

func (c *codes) deliver(_ context.Context, m *channel.Message) (channel.Submission, error) {
	challenge, _, _ := strings.Cut(m.ID, ".")
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent[challenge] = m.Code
	return channel.Submission{State: channel.Sent}, nil
}

// one sends a code, and verifies it.
func (c *codes) one(int) error {
	c.mu.Lock()
	c.made++
	n := c.made
	c.mu.Unlock()
	subject, tenant := "user-"+c.name+strconv.Itoa(n), ""
	if c.tenants > 0 {
		tenant = "tenant-" + strconv.Itoa(n%c.tenants)
	}
	sent, err := c.Send(c.ctx, otp.Request{
		Subject: subject, Tenant: tenant, To: channel.Recipient{Email: subject + "@example.com"},
	})
	if err != nil {
		return err
	}
	c.mu.Lock()
	code := c.sent[sent.ID]
	delete(c.sent, sent.ID)
	c.mu.Unlock()
	if code == "" {
		return errors.New("no code was sent")
	}
	_, err = c.Verify(c.ctx, otp.Verification{ID: sent.ID, Subject: subject, Tenant: tenant, Code: code})
	return err
}
