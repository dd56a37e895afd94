package main

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otpcourier/otpcourier/otp"
)

// A load is what clients know of one process: when each answer came, and how many calls
// have none.
type load struct {
	country, numbers string // that no other process sends to

	long   time.Duration
	enough chan struct{} // closed when answers have come for so long

	mu       sync.Mutex
	answered []time.Time
	ids      []string // of the verifications
	unknown  int
	told     bool
}

// run creates verifications one after another until done or the process is gone.
func (l *load) run(t *testing.T, c *client, done <-chan struct{}) {
	for {
		select {
		case <-done:
			return
		default:
		}
		l.mu.Lock()
		n := len(l.answered) + l.unknown
		l.unknown++
		l.mu.Unlock()
		number := fmt.Sprintf("%s%06d", l.numbers, n)
		a, err := c.ask(t.Context(), http.MethodPost, apiPath,
			`{"subject":"`+number+`","purpose":"login","to":{"phone":"`+number+`"}}`)
		if err != nil {
			return // it was killed
		}
		if a.status != http.StatusCreated {
			t.Errorf("%s: got %s", number, a)
			return
		}
		l.mu.Lock()
		l.answered, l.unknown, l.ids = append(l.answered, time.Now()), l.unknown-1, append(l.ids, a.body.ID)
		if !l.told && time.Since(l.answered[0]) > l.long {
			l.told = true
			close(l.enough)
		}
		l.mu.Unlock()
	}
}

// before returns how many answers came before a time.
func (l *load) before(at time.Time) (n int64) {
	for _, a := range l.answered {
		if a.Before(at) {
			n++
		}
	}
	return n
}

// stalls returns the longest time for which this machine did not let a test go on.
func stalls(done <-chan struct{}) func() time.Duration {
	longest, ended := time.Duration(0), make(chan struct{})
	go func() {
		defer close(ended)
		const every = 10 * time.Millisecond
		tick := time.NewTicker(every)
		defer tick.Stop()
		for last := time.Now(); ; {
			select {
			case <-done:
				return
			case <-tick.C:
				longest, last = max(longest, time.Since(last)-every), time.Now()
			}
		}
	}()
	return func() time.Duration { <-ended; return longest }
}

// Three processes share a store, and one of them is killed under load. The figures, which
// another process reads later, have all that the other two did, and of the killed one all
// but its last second.
func TestRealFiguresOfProcesses(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"TestRealRedis", "TestRealPostgres"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testFiguresOfProcesses(t, stores[name](t))
		})
	}
}

func testFiguresOfProcesses(t *testing.T, store string) {
	secret, k, err := newKey("shop1")
	if err != nil {
		t.Fatal(err)
	}
	path := t.TempDir() + "/config.json"
	file := fmt.Sprintf(`{"listen":"127.0.0.1:0","admin":"127.0.0.1:0","store":%q,"applications":[{"name":"shop",
		"brand":"Shop","currency":"EUR","routes":[{"name":"sms","url":"console:phone",
		"prices":{"default":0.1,"GB":0.031001,"FR":0.07}}],
		"webhooks":[{"name":"main","url":%q,"dangerously_plaintext":true,"private_network":true,"secrets":[%q],
		"events":["verification.created"]}],
		"keys":[{"id":"shop1","sha256":%q,"rate":1000000,"scopes":["verifications","stats"]}]}]}`, store,
		busyEndpoint(t), hookSecret, k.SHA256)
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	keys := otp.NewKeyring()
	text, err := keys.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	loads := []*load{{country: "GB", numbers: "+447912"}, {country: "FR", numbers: "+33612"},
		{country: "DE", numbers: "+491511"}}
	done := make(chan struct{})
	stalled := stalls(done)
	var processes []*process
	var clients sync.WaitGroup
	h := &http.Client{Transport: &http.Transport{}}
	defer h.CloseIdleConnections()
	for _, l := range loads {
		l.long, l.enough = 2500*time.Millisecond, make(chan struct{})
		p := startProcess(t, path, "OTP_KEYS="+string(text))
		processes = append(processes, p)
		for range 3 {
			clients.Go(func() { l.run(t, &client{p.url, secret, h}, done) })
		}
	}
	<-loads[0].enough
	killed := time.Now()
	if err := processes[0].cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-loads[1].enough
	<-loads[2].enough
	close(done)
	clients.Wait()
	for i, p := range processes {
		if i > 0 {
			_ = p.cmd.Process.Signal(os.Interrupt)
		}
		if err := p.cmd.Wait(); err != nil && i > 0 {
			t.Errorf("%v\n%s", err, &p.log)
		}
	}
	read := readConfigFile(t, path)
	r := (&rig{t: t, keys: keys, open: (&phones{codes: map[string]string{}}).open, shop: &client{key: secret},
		bank: &client{}}).serve(read)
	var got stats
	r.get(r.shop, "/v1/stats?bucket=minute&group_by=country&from="+begun.UTC().Format(time.RFC3339), &got)
	requested, went, spend := map[string]int64{}, map[string]int64{}, map[string]money{}
	for _, row := range got.Rows {
		requested[*row.Country] += row.Requested
		went[*row.Country] += row.Sent
		spend[*row.Country] += row.Cost.Amount
	}
	for i, l := range loads {
		all := int64(len(l.answered))
		least, most := all, all+int64(l.unknown)
		if i == 0 {
			least = l.before(killed.Add(-time.Second - stalled()))
		}
		n := requested[l.country]
		t.Logf("process %d: %d answered, %d without an answer, %d to %d expected, %d counted", i, all, l.unknown, least,
			most, n)
		if all == 0 || n < least || n > most || went[l.country] < least || went[l.country] > n {
			t.Errorf("process %d: %d requested, %d sent; want %d to %d", i, n, went[l.country], least, most)
		}
	}
	for country, price := range map[string]money{"GB": 31_001, "FR": 70_000, "DE": 100_000} {
		if got, want := spend[country], price*money(went[country]); got != want {
			t.Errorf("%d messages to %s cost %s, want %s", went[country], country, got, want)
		}
	}
	if least := loads[0].before(killed.Add(-time.Second)); least == 0 {
		t.Error("the process was killed before a second of load")
	}
	checkOutbox(t, r.s, loads)
	if strings.HasPrefix(store, "redis:") {
		checkKeys(t, store, loads[0].numbers[1:])
	}
}

// busyEndpoint is an endpoint that takes nothing, so that what it is sent stays in the outbox.
func busyEndpoint(t *testing.T) string {
	t.Helper()
	e := newEndpoint(t, func(_ int, w http.ResponseWriter) { w.WriteHeader(http.StatusServiceUnavailable) })
	return e.URL
}

// checkOutbox holds the outbox to having an event of each verification whose answer came,
// those of the killed process as well.
func checkOutbox(t *testing.T, s *server, loads []*load) {
	t.Helper()
	names, err := s.vault.list(t.Context(), "hook/shop/main/")
	if err != nil {
		t.Fatal(err)
	}
	for i, l := range loads {
		lost := 0
		for _, id := range l.ids {
			n, _, _ := noticeOf("shop", otp.Event{Kind: otp.EventGenerated, Challenge: id})
			if _, found := slices.BinarySearch(names, "hook/shop/main/"+n); !found {
				lost++
			}
		}
		if lost > 0 {
			t.Errorf("process %d: %d of %d events are not in the outbox", i, lost, len(l.ids))
		}
	}
}

func readConfigFile(t *testing.T, path string) *config {
	t.Helper()
	c, err := readConfig(path, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// checkKeys holds the keys of figures and of the log to what they promise: each has a
// life, and none has a number.
func checkKeys(t *testing.T, store, number string) {
	t.Helper()
	options, err := redis.ParseURL(store)
	if err != nil {
		t.Fatal(err)
	}
	c := redis.NewClient(options)
	defer c.Close()
	found := map[string]int{}
	for it := c.Scan(t.Context(), 0, "*", 1000).Iterator(); it.Next(t.Context()); {
		for _, kind := range []string{"minute", "hour", "day", "events"} {
			if !strings.Contains(it.Val(), "{"+kind) {
				continue
			}
			found[kind]++
			life, err := c.TTL(t.Context(), it.Val()).Result()
			if err != nil || life <= 0 || life > 402*24*time.Hour {
				t.Errorf("%s lives for %v %v", it.Val(), life, err)
			}
			if value, err := c.Get(t.Context(), it.Val()).Result(); err != nil || strings.Contains(value, number) {
				t.Errorf("%s has %q %v", it.Val(), value, err)
			}
		}
	}
	if len(found) != 4 {
		t.Errorf("keys were found of %v", found)
	}
}

// checkLives holds every key of a Redis to having a life, but those of authenticators (v),
// which people remove.
func checkLives(t *testing.T, addr string) {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: addr})
	defer c.Close()
	n := 0
	for it := c.Scan(t.Context(), 0, "*", 1000).Iterator(); it.Next(t.Context()); n++ {
		life, err := c.TTL(t.Context(), it.Val()).Result()
		if err != nil || life <= 0 && !strings.HasSuffix(it.Val(), "}v") {
			t.Errorf("%q lives for %v %v", it.Val(), life, err)
		}
	}
	if n < 10 {
		t.Errorf("there are %d keys only", n)
	}
}
