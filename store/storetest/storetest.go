// Package storetest proves implementations of the contracts in package store.
//
// The examples below are a whole Store, Limiter and Queue to copy, of about 200 lines each.
// Page WRITING.md of package store leads from them to a store on a database.
//
// A backend's tests call [Run] once, with a function that opens each contract
// it implements:
//
//	func TestConformance(t *testing.T) {
//		storetest.Run(t, storetest.Harness{
//			Store: func(t *testing.T) store.Store { return open(t) },
//			Queue: func(t *testing.T) store.Queue { return open(t) },
//		})
//	}
//
// Each case is a subtest whose log begins with the rule it enforces. The cases use
// identifiers of their own, so they may share a backend with each other and with other
// programs. If a backend collects garbage by the time of its calls, as memstore does, each
// case needs a new backend.
//
// The cases pass whole microseconds as times, in several time zones. They begin at the
// present and move on from there without waiting. Only the cases of a Queue wait for the
// clock, since its methods have no time: a correct backend that gives up a failing job
// after three attempts takes some seconds, and up to twice Harness.Takeover. In virtual
// time the cases do not wait.
//
// For a queue that outlives its processes, set Harness.Process: the cases then kill a
// worker, stop it, and let it go on after others have got its jobs.
//
// Cases for races begin calls at one time. In virtual time they do it thousands of times,
// so use several processors. Run the suite under -race, too.
//
// A random case logs its seed. To replay it, set STORETEST_SEED in the environment.
package storetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

// A Harness opens the contracts to test. If a function is nil, its contract is not
// tested. Each function is called once per case, and may register clean-ups. Queue must
// return a new queue each time, since a case counts the jobs.
type Harness struct {
	Store   func(*testing.T) store.Store
	Limiter func(*testing.T) store.Limiter
	Tracker func(*testing.T) store.Tracker
	Queue   func(*testing.T) store.Queue

	// Credentials may return a wrapper that first creates the row of a subject,
	// if the backend's Swap does not. The cases remove their values.
	Credentials func(*testing.T) store.Credentials

	// Live returns the number of keys or rows that backend still holds at now, values
	// of Credentials included; one of the functions above returned backend. A backend
	// that collects garbage itself must first collect by now: rows that have expired
	// and stay count. After each case Live must come down to 0 once everything stored
	// has expired. Some cases of a Limiter call it earlier, since a limit without
	// takings must leave no key. Nil: a backend that never removes anything passes.
	Live func(backend any, now time.Time) int

	// Process opens another process on the queue q, which Queue has returned. It must
	// share q's jobs over connections of its own, which the case can stop. It may
	// register clean-ups. Nil: no worker dies in the cases, as for a queue that does
	// not outlive its process.
	Process func(t *testing.T, q store.Queue) Process

	// Takeover is the longest time until another worker gets a dead worker's job.
	// Default 5 s.
	Takeover time.Duration

	// Virtual runs each case in a bubble of testing/synctest, where waiting
	// takes no time. The backend must wait on channels and timers only. If a case
	// hangs, the backend has a loop that does not wait.
	// Default: cases run in parallel, by the real clock.
	Virtual bool
}

// Run runs the conformance suite of each contract that h opens.
func Run(t *testing.T, h Harness) {
	t.Helper()
	runSuite(t, h, "Store", h.Store, storeCases())
	runSuite(t, h, "Limiter", h.Limiter, limiterCases())
	runSuite(t, h, "Tracker", h.Tracker, trackerCases())
	runSuite(t, h, "Queue", h.Queue, queueCases())
	runSuite(t, h, "Credentials", h.Credentials, credentialsCases())
}

// A tester is the part of testing.T that a case needs. The suite's own tests pass a
// recorder, to see broken backends fail.
type tester interface {
	Helper()
	Name() string
	Context() context.Context
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)

	// live returns how many keys the backend holds at now; -1: it is not known.
	live(now time.Time) int

	// processes returns how a case gets processes that can die.
	processes() processes

	// virtual reports whether waiting takes no time.
	virtual() bool
}

// A host is the tester of a real backend.
type host struct {
	*testing.T
	count  func(now time.Time) int // nil: the harness has no Live
	others processes
	bubble bool
}

func (h *host) virtual() bool { return h.bubble }

func (h *host) processes() processes { return h.others }

func (h *host) live(now time.Time) int {
	if h.count == nil {
		return -1
	}
	return h.count(now)
}

// A testCase enforces one rule on a backend of contract C.
type testCase[C any] struct {
	name string
	rule string
	run  func(t tester, backend C)
}

// horizon is later than the life of anything that a case stores.
const horizon = 400 * 24 * time.Hour

func runSuite[C any](t *testing.T, h Harness, contract string, open func(*testing.T) C, cases []testCase[C]) {
	if open == nil {
		return
	}
	t.Run(contract, func(t *testing.T) {
		for _, c := range cases {
			run := func(t *testing.T) {
				t.Log("rule:", c.rule)
				backend, host := open(t), &host{T: t, others: h.processes(t), bubble: h.Virtual}
				if h.Live != nil {
					host.count = func(now time.Time) int { return h.Live(backend, now) }
				}
				conduct(host, c, backend)
			}
			t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
				t.Parallel()
				if h.Virtual {
					synctest.Test(t, run)
				} else {
					run(t)
				}
			})
		}
	})
}

// conduct runs a case, and checks that no key is left after all have expired.
func conduct[C any](t tester, c testCase[C], backend C) {
	c.run(t, backend)
	if n := t.live(time.Now().Add(horizon)); n > 0 {
		t.Errorf("%d keys live on when all have expired; want no key without a life", n)
	}
}

// parallel calls f(0) to f(n-1) at one time, each in a goroutine, and waits.
func parallel(n int, f func(i int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			f(i)
		})
	}
	close(start)
	wg.Wait()
}

// mostRounds is how often two calls meet in a backend within the process.
const mostRounds = 5000

// duel calls f(round, 0) and f(round, 1) at one time, for many rounds. In a backend within
// the process, the moment between two locks is so short that 64 goroutines seldom meet in it.
// duel returns the number of rounds.
func duel(t tester, f func(round, i int)) (rounds int) {
	rounds = 20
	if t.virtual() {
		rounds = mostRounds
	}
	var arrived atomic.Int64
	begin := make([]chan struct{}, rounds)
	for round := range begin {
		begin[round] = make(chan struct{})
	}
	parallel(2, func(i int) {
		for round := range rounds {
			both := int64(2 * (round + 1))
			if arrived.Add(1) == both {
				close(begin[round])
			}
			for looks := 0; arrived.Load() < both && looks < 1000; looks++ { // sooner than the channel
				runtime.Gosched()
			}
			<-begin[round]
			f(round, i)
		}
	})
	return rounds
}

// oneWins has two calls contend in each round of a duel, and checks that exactly one wins. If
// it has not won, f reports whether it may lose.
func oneWins(t tester, what string, f func(round, i int) (won, mayLose bool)) {
	t.Helper()
	var wins [mostRounds][2]bool
	rounds := duel(t, func(round, i int) {
		won, mayLose := f(round, i)
		if !won && !mayLose {
			t.Errorf("%s: neither success nor a refusal", what)
		}
		wins[round][i] = won
	})
	for round := range rounds {
		if wins[round][0] == wins[round][1] {
			t.Fatalf("%s: both of two at one time, or none, had success in round %d; want one", what, round)
		}
	}
}

// elsewhere is the time zone of some of the times that the cases pass: a time is an
// instant, whatever its zone.
var elsewhere = time.FixedZone("elsewhere", -(9*3600 + 30*60))

// start is the time at which a case begins.
func start() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// unique returns an identifier that no other case has.
func unique(prefix string) string { return prefix + rand.Text() }

var lower = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// newID returns an identifier for a challenge of subject, in its bucket.
func newID(subject string) string {
	sum := sha256.Sum256([]byte(subject))
	return lower.EncodeToString(sum[:])[:3] + "-" + strings.ToLower(rand.Text())
}

// bucketOf returns the bucket of a challenge's identifier.
func bucketOf(id string) string {
	bucket, _, _ := strings.Cut(id, "-")
	return bucket
}

// newSalt returns a salt that no other record has.
func newSalt() []byte {
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails
	return salt
}

// newRecord returns a record with every field a caller sets, changed by edit.
func newRecord(subject string, now time.Time, edit ...func(*store.Record)) *store.Record {
	r := &store.Record{
		ID:          newID(subject),
		Subject:     subject,
		Group:       "\x00a group\xff",
		Key:         "k1",
		Salt:        newSalt(),
		Sealed:      []byte("\x00sealed\xff"),
		Created:     now.In(elsewhere),
		Expires:     now.Add(5 * time.Minute).In(elsewhere),
		MaxAttempts: 5,
		MaxFailures: 10,
		MaxRun:      1000, RunLife: 40*24*time.Hour + 3*time.Nanosecond,
		Lock:     30 * time.Minute,
		Delivery: []byte("\x00delivery\xff"),
	}
	for _, f := range edit {
		f(r)
	}
	return r
}

// diff names the fields in which got and want differ, or is empty. Times are
// compared as instants, and an empty slice is as good as none.
func diff(got, want *store.Record) string {
	if got == nil || want == nil {
		if got == want {
			return ""
		}
		return fmt.Sprintf("record: got %v, want %v", got, want)
	}
	var b strings.Builder
	g, w := reflect.ValueOf(*got), reflect.ValueOf(*want)
	for i := range g.NumField() {
		if x, y := g.Field(i).Interface(), w.Field(i).Interface(); !same(x, y) {
			fmt.Fprintf(&b, "\n\t%s: got %v, want %v", g.Type().Field(i).Name, x, y)
		}
	}
	return b.String()
}

func same(x, y any) bool {
	switch x := x.(type) {
	case time.Time:
		return x.Equal(y.(time.Time))
	case []byte:
		return bytes.Equal(x, y.([]byte))
	}
	return x == y
}
