package main

import (
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/store/memstore"
)

var discard = slog.New(slog.DiscardHandler)

// A testLog is a log that a test writes itself.
type testLog struct {
	*figures
	t *testing.T
}

func newTestLog(t *testing.T) *testLog {
	return &testLog{&figures{app: "shop", store: memstore.New(memstore.Config{}), vault: testVault(t), log: discard}, t}
}

// add logs so many events of a verification, and returns how many of them there are then.
func (l *testLog) add(n int, id string) int {
	l.t.Helper()
	for range n {
		e := lifeOf(id, time.Now())[0]
		l.entries = append(l.entries, entryOf(&e))
	}
	if err := l.writeLog(l.t.Context()); err != nil {
		l.t.Fatal(err)
	}
	all, _, err := l.before(l.t.Context(), position{hour: hourOf(time.Now()), chunk: -1}, 1000, matching(id, "", ""))
	if err != nil {
		l.t.Fatal(err)
	}
	return len(all)
}

// The log keeps an event for 72 hours.
func TestLogLife(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newTestLog(t)
		l.add(1, "first")
		if time.Sleep(72*time.Hour - time.Minute); l.add(0, "first") != 1 {
			t.Error("the event is gone before its 72 hours")
		}
		if time.Sleep(2 * time.Hour); l.add(0, "first") != 0 {
			t.Error("the event is there after its 72 hours")
		}
	})
}

// In an hour a process logs so many events and octets and no more, and goes on in the next.
func TestLogBounds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newTestLog(t)
		if n := l.add(maxEntries, "first"); n != maxEntries || l.octets == 0 || l.hourly != n {
			t.Errorf("%d events were logged, of %d octets", n, l.octets)
		}
		l.octets = maxHourlyOctets
		if n := l.add(5, "second"); n != 0 {
			t.Errorf("%d events were logged beyond the octets", n)
		}
		if time.Sleep(time.Hour); l.add(5, "third") != 5 {
			t.Error("the log does not go on in the next hour")
		}
		l.hourly = maxHourly - 3
		if n := l.add(5, "fourth"); n != 3 {
			t.Errorf("%d events were logged where there was room for 3", n)
		}
	})
}

// TestRealLogOctets measures what an entry takes of each store.
func TestRealLogOctets(t *testing.T) {
	t.Parallel()
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := open(t)
			s, err := openState(t.Context(), &config{Store: at, Applications: []application{{Name: "shop"}}}, discard)
			if err != nil {
				t.Fatal(err)
			}
			defer s.close()
			st, err := s.open(appPrefix("shop"), discard)
			if err != nil {
				t.Fatal(err)
			}
			for _, each := range []int{1, 10, 100} {
				f := &figures{app: "shop" + strconv.Itoa(each), store: st, vault: testVault(t), log: discard}
				before, n := used(t, at), 0
				for n < 500 {
					f.entries = realEntries(n, each)
					if err := f.writeLog(t.Context()); err != nil {
						t.Fatal(err)
					}
					n += each
				}
				sealed := f.octets / n
				t.Logf("%d entries a chunk: %d octets an entry, sealed; %d in the store", each, sealed,
					(used(t, at)-before)/n)
				if most := map[int]int{1: 350, 10: 170, 100: 140}[each]; sealed > most {
					t.Errorf("an entry has %d octets, more than %d", sealed, most)
				}
			}
		})
	}
}

// realEntries are events of verifications as the Service tells of them.
func realEntries(from, n int) (all []entry) {
	for i := range n {
		id := strings.ToLower(secret())
		e := otp.Event{Kind: otp.EventSent, At: time.Now(), Challenge: id, RequestID: secret(), Subject: secret(),
			Purpose: "login", Region: "GB", Route: "sms", Step: 1, State: channel.Sent,
			To: channel.Recipient{Phone: fmt.Sprintf("+44******%04d", from+i)}}
		all = append(all, entryOf(&e))
	}
	return all
}

// used returns the octets that a store takes; of the memory of this process 0.
func used(t *testing.T, at string) int {
	t.Helper()
	switch {
	case strings.HasPrefix(at, "redis:"):
		options, err := redis.ParseURL(at)
		if err != nil {
			t.Fatal(err)
		}
		c := redis.NewClient(options)
		defer c.Close()
		n, err := strconv.Atoi(c.InfoMap(t.Context(), "memory").Item("Memory", "used_memory"))
		if err != nil {
			t.Fatal(err)
		}
		return n
	case at != "":
		conn, err := pgx.Connect(t.Context(), at)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(t.Context())
		n := 0
		if err := conn.QueryRow(t.Context(), `SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class
			WHERE relkind = 'r' AND relnamespace::regnamespace::text LIKE 'otp%'`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	return 0
}
