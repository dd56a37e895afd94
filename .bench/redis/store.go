package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/wording"
	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/redisstore"
)

var goroutines = []int{1, 16, 64, 256}

// bars are the cases that have to keep up with the barest scripts.
var bars = []string{"store-verify-wrong", "store-verify-right", "verify-wrong", "verify-right", "send", "send-phone"}

const perChallenge = 4 // wrong codes, of the five that are compared

// sixCalls is the least that a verification needs, written without regard to
// anything else: read both counters, count, and give both a life.
const sixCalls = `#!lua
local a = tonumber(redis.call('GET', KEYS[1]) or '0')
local f = tonumber(redis.call('GET', KEYS[2]) or '0')
if a >= tonumber(ARGV[1]) or f >= tonumber(ARGV[2]) then return {0, a, f} end
a, f = redis.call('INCR', KEYS[1]), redis.call('INCR', KEYS[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return {1, a, f}
`

// takeAndStore and replace are the least that the two trips of a Send need: the calls of Redis
// that a Send to a new person makes, with values of the same lengths.
const (
	takeAndStore = `#!lua
local new = redis.call('SET', KEYS[3], ARGV[2], 'NX', 'PX', ARGV[3])
if not new or redis.call('HGET', KEYS[2], 'subject') then return 0 end
if redis.call('GETRANGE', KEYS[1], '0', '319') ~= '' then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
return 1
`
	replace = `#!lua
local before = redis.call('GET', KEYS[2])
if not before or redis.call('HGET', KEYS[1], 'subject') then return 0 end
redis.call('SET', KEYS[2], before:sub(1, 280) .. ARGV[1], 'KEEPTTL')
return before
`
)

// A call is one operation, number i of a run.
type call func(i int) error

// A test prepares n calls.
type test struct {
	name    string
	prepare func(n int) (call, error)
}

func measureStore(ctx context.Context, client *redis.Client, rounds int, each time.Duration) error {
	tests, err := storeTests(ctx, client)
	if err != nil {
		return err
	}
	medians := map[string]map[int]float64{}
	for _, g := range goroutines {
		rates := map[string][]float64{}
		guess := map[string]float64{}
		for round := range rounds + 1 { // the first finds out how many calls a run needs
			for i := range tests {
				t := tests[(i+round)%len(tests)]
				n := max(int(guess[t.name]*each.Seconds()), 8*g, 200)
				rate, err := measure(ctx, client, t, g, n)
				if err != nil {
					return fmt.Errorf("%s, %d goroutines: %w", t.name, g, err)
				}
				guess[t.name] = rate
				if round > 0 {
					rates[t.name] = append(rates[t.name], rate)
				}
			}
		}
		for name, all := range rates {
			if medians[name] == nil {
				medians[name] = map[int]float64{}
			}
			medians[name][g] = median(all)
		}
	}
	printStore(tests, medians, rounds)
	return nil
}

func printStore(tests []test, medians map[string]map[int]float64, rounds int) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Printf("calls/s, medians of %d rounds\n", rounds)
	for _, g := range goroutines {
		fmt.Fprintf(w, "\t%d goroutines", g)
	}
	fmt.Fprintln(w, "\t")
	for _, t := range tests {
		fmt.Fprint(w, t.name)
		for _, g := range goroutines {
			fmt.Fprintf(w, "\t%.0f", medians[t.name][g])
		}
		fmt.Fprintln(w, "\t")
	}
	_ = w.Flush()
	for _, name := range bars {
		for _, g := range goroutines {
			leasts := []string{"evalsha", "nothing"}
			if strings.HasPrefix(name, "send") {
				leasts[1] = "two-scripts"
			}
			for _, least := range leasts {
				fmt.Printf("RATIO redis %s goroutines=%d vs=%s %.2f\n", name, g, least,
					medians[name][g]/medians[least][g])
			}
		}
	}
}

// measure runs n calls of a test in g goroutines and returns how many a second
// there were.
func measure(ctx context.Context, client *redis.Client, t test, g, n int) (float64, error) {
	if err := client.FlushAll(ctx).Err(); err != nil {
		return 0, err
	}
	do, err := t.prepare(n)
	if err != nil {
		return 0, fmt.Errorf("prepare: %w", err)
	}
	began := time.Now()
	err = inParallel(g, n, do)
	return float64(n) / time.Since(began).Seconds(), err
}

func inParallel(g, n int, do call) error {
	var next atomic.Int64
	errs := make([]error, g)
	var wg sync.WaitGroup
	for w := range g {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && errs[w] == nil; i = int(next.Add(1)) - 1 {
				errs[w] = do(i)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func storeTests(ctx context.Context, client *redis.Client) ([]test, error) {
	backend, err := redisstore.New(redisstore.Config{Client: client})
	if err != nil {
		return nil, err
	}
	s := &service{ctx: ctx}
	if s.Service, err = otp.New(otp.Config{
		Channel: channel.Func(s.deliver), Store: backend, Keys: otp.NewKeyring(),
		Wording: wording.Config{Brand: "Bench"},
	}); err != nil {
		return nil, err
	}
	nothing, six := redis.NewScript("#!lua\nreturn 1"), redis.NewScript(sixCalls)
	r := &raw{ctx: ctx, store: backend}
	take, then := redis.NewScript(takeAndStore), redis.NewScript(replace)
	windows, record, delivery := random(180), random(400), random(120)
	return []test{
		{"get", func(int) (call, error) {
			return func(int) error { return client.Get(ctx, "bench").Err() }, client.Set(ctx, "bench", "value", 0).Err()
		}},
		{"nothing", func(int) (call, error) {
			return func(i int) error {
				return nothing.EvalSha(ctx, client, []string{"bench:" + strconv.Itoa(i)}, "argument").Err()
			}, nothing.Load(ctx, client).Err()
		}},
		{"evalsha", func(int) (call, error) {
			return func(i int) error {
				tag := "{" + strconv.Itoa(i/perChallenge) + "}"
				return six.EvalSha(ctx, client, []string{tag + "c", tag + "f"}, 5, 10, 300_000).Err()
			}, six.Load(ctx, client).Err()
		}},
		{"two-scripts", func(int) (call, error) {
			return func(i int) error {
				tag := "{" + strconv.Itoa(i) + "}"
				keys := []string{tag + "w", tag + "f", tag + "c"}
				if err := take.EvalSha(ctx, client, keys, windows, record, 300_000).Err(); err != nil {
					return err
				}
				return then.EvalSha(ctx, client, keys[1:], delivery).Err()
			}, errors.Join(take.Load(ctx, client).Err(), then.Load(ctx, client).Err())
		}},
		{"store-create", func(int) (call, error) { return r.create, nil }},
		{"store-verify-wrong", r.wrong},
		{"store-verify-right", r.right},
		{"send", s.sends(email)},
		{"send-phone", s.sends(mobile)},
		{"verify-wrong", s.wrong},
		{"verify-right", s.right},
	}, nil
}

// raw calls the Store as the Service does.
type raw struct {
	ctx   context.Context
	store store.Store
}

func id(i int) string { return "b" + strconv.FormatInt(int64(i)%16384, 32) + "-" + strconv.Itoa(i) }

func token() store.Token { return store.Token(mathrand.Uint64()) }

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

func (r *raw) create(i int) error {
	now := time.Now()
	return r.store.Create(r.ctx, &store.Record{
		ID: id(i), Subject: "subject-of-" + strconv.Itoa(i), Key: "2026-11", Salt: random(16), Sealed: random(120),
		Created: now, Expires: now.Add(5 * time.Minute), MaxAttempts: 5, MaxFailures: 10, Lock: 30 * time.Minute,
		Group: "group of 16 byte",
	}, now)
}

func (r *raw) wrong(n int) (call, error) {
	return func(i int) error {
		_, err := r.store.Attempt(r.ctx, id(i/perChallenge), token(), time.Now())
		return err
	}, inParallel(32, n/perChallenge+1, r.create)
}

func (r *raw) right(n int) (call, error) {
	return func(i int) error {
		if _, err := r.store.Attempt(r.ctx, id(i), token(), time.Now()); err != nil {
			return err
		}
		_, err := r.store.Finish(r.ctx, id(i), store.Verified, token(), time.Now())
		return err
	}, inParallel(32, n, r.create)
}

// A service is one whose channel sends nothing.
type service struct {
	*otp.Service
	ctx   context.Context
	keeps bool     // the channel keeps the codes, for verifications
	codes sync.Map // by challenge
}

func (s *service) deliver(_ context.Context, m *channel.Message) (channel.Submission, error) {
	if !s.keeps {
		return channel.Submission{State: channel.Sent}, nil
	}
	challenge, _, _ := strings.Cut(m.ID, ".")
	s.codes.Store(challenge, m.Code)
	return channel.Submission{State: channel.Sent}, nil
}

func email(i int) channel.Recipient {
	return channel.Recipient{Email: "user-" + strconv.Itoa(i) + "@example.com"}
}

func mobile(i int) channel.Recipient {
	return channel.Recipient{Phone: "+447" + strconv.Itoa(400_000_000+i%90_000_000)}
}

func (s *service) send(i int, to channel.Recipient) (otp.Verification, error) {
	subject := "user-" + strconv.Itoa(i)
	c, err := s.Send(s.ctx, otp.Request{Subject: subject, To: to})
	if err != nil {
		return otp.Verification{}, err
	}
	v := otp.Verification{ID: c.ID, Subject: subject}
	if code, ok := s.codes.LoadAndDelete(c.ID); ok {
		v.Code, _ = code.(string)
	}
	return v, nil
}

func (s *service) sends(to func(i int) channel.Recipient) func(int) (call, error) {
	return func(int) (call, error) {
		s.keeps = false
		return func(i int) error { _, err := s.send(i, to(i)); return err }, nil
	}
}

func (s *service) prepare(n int) ([]otp.Verification, error) {
	s.keeps = true
	all := make([]otp.Verification, n)
	return all, inParallel(32, n, func(i int) (err error) {
		all[i], err = s.send(i, email(i))
		return err
	})
}

func (s *service) right(n int) (call, error) {
	all, err := s.prepare(n)
	return func(i int) error { _, err := s.Verify(s.ctx, all[i]); return err }, err
}

func (s *service) wrong(n int) (call, error) {
	all, err := s.prepare(n/perChallenge + 1)
	for i, v := range all {
		digit := '0' + (v.Code[0]-'0'+1)%10
		all[i].Code = string(digit) + v.Code[1:]
	}
	return func(i int) error {
		if _, err := s.Verify(s.ctx, all[i/perChallenge]); !errors.Is(err, otp.ErrInvalidCode) {
			return fmt.Errorf("wrong code: %w", err)
		}
		return nil
	}, err
}
