package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/otp"
)

// countries are those of the processes of TestRealHundredThousandEvents.
var countries = []string{"GB", "FR", "DE"}

// openFigures opens the figures of an application in a store.
func openFigures(ctx context.Context, at, keyText string) (f *figures, end func(), err error) {
	keys, err := otp.ParseKeyring(keyText)
	if err != nil {
		return nil, nil, err
	}
	s, err := openState(ctx, &config{Store: at, Applications: []application{{Name: "shop"}}}, discard)
	if err != nil {
		return nil, nil, err
	}
	st, err := s.open(appPrefix("shop"), discard)
	if err != nil {
		return nil, nil, err
	}
	v, err := newVault(s.cabinet(), keys)
	if err != nil {
		return nil, nil, err
	}
	f = newFigures(application{Name: "shop", Routes: []route{{Name: "sms"}}}, st, v, discard)
	return f, func() { f.close(ctx); s.close() }, err
}

// count is a process of a test: -count STORE KEYS PROCESS BORN VERIFICATIONS counts so many
// verifications, 0 for no end, and prints how many there are.
func count(args []string) {
	ctx := context.Background()
	f, end, err := openFigures(ctx, args[0], args[1])
	if err != nil {
		panic(err)
	}
	process, _ := strconv.Atoi(args[2])
	born, _ := strconv.ParseInt(args[3], 10, 64)
	n, _ := strconv.Atoi(args[4])
	for i := 0; n == 0 || i < n; i++ {
		for _, e := range lifeOf(strconv.Itoa(i), time.Unix(born, 0).Add(time.Duration(i%3600)*100*time.Millisecond)) {
			e.Region = countries[process]
			f.event(ctx, e)
		}
		if i%20 == 19 {
			fmt.Println(i + 1)
			time.Sleep(5 * time.Millisecond) // the others count at the same time
		}
	}
	end()
}

// A counter is such a process, seen from the test.
type counter struct {
	cmd    *exec.Cmd
	ended  chan struct{}
	enough chan struct{} // closed once it has counted for a while

	mu     sync.Mutex
	counts []int
	at     []time.Time
}

func startCounter(t *testing.T, args ...string) *counter {
	t.Helper()
	c := &counter{cmd: exec.CommandContext(t.Context(), os.Args[0], append([]string{"-count"}, args...)...),
		ended: make(chan struct{}), enough: make(chan struct{})}
	c.cmd.Stderr = t.Output()
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(c.ended)
		told := false
		for lines := bufio.NewScanner(out); lines.Scan(); {
			n, err := strconv.Atoi(lines.Text())
			if err != nil {
				t.Errorf("a process printed %q", lines.Text())
				return
			}
			c.mu.Lock()
			c.counts, c.at = append(c.counts, n), append(c.at, time.Now())
			if !told && n > 1000 && time.Since(c.at[0]) > 2500*time.Millisecond {
				told = true
				close(c.enough)
			}
			c.mu.Unlock()
		}
	}()
	return c
}

// before returns how many verifications the process had counted by a time.
func (c *counter) before(at time.Time) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.counts {
		if c.at[i].Before(at) {
			n = c.counts[i]
		}
	}
	return n
}

// Three processes count 100,000 events in one Redis, and one of them is killed. The sums
// are exact but for its last second, at no time more of a cohort are verified than sent or
// sent than requested, and a process that starts later adds to the sums.
func TestRealHundredThousandEvents(t *testing.T) {
	t.Parallel()
	at := stores["TestRealRedis"](t)
	text, err := otp.NewKeyring().MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	born := time.Now().Add(-time.Hour).Truncate(time.Hour)
	begin := func(process, n int) *counter {
		return startCounter(t, at, string(text), strconv.Itoa(process), strconv.FormatInt(born.Unix(), 10),
			strconv.Itoa(n))
	}
	done := make(chan struct{})
	stalled := stalls(done)
	const each = 10_000
	victim, others := begin(0, 0), []*counter{begin(1, each), begin(2, each)}
	f, end, err := openFigures(t.Context(), at, string(text))
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	reads := 0
	sum := func() counters {
		t.Helper()
		all, err := f.read(t.Context(), 0, born, born.Add(10*time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		for minute, c := range all {
			for _, country := range countries {
				of := func(kind string) int64 { return c.sum(kind, "", country) }
				if of(kindVerified) > of(kindDelivered) || of(kindDelivered) > of(kindSent) ||
					of(kindSent) > of(kindRequested) {
					t.Errorf("minute %d, %s: %v", minute, country, c)
				}
			}
		}
		reads++
		return total(all)
	}
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for waiting := true; waiting; {
		select {
		case <-victim.enough:
			waiting = false
		case <-tick.C:
			sum()
		}
	}
	killed := time.Now()
	if err := victim.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for _, c := range others {
		<-c.ended
		if err := c.cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
	<-victim.ended
	_ = victim.cmd.Wait() // it was killed
	close(done)
	got, events := sum(), int64(0)
	least, most := int64(victim.before(killed.Add(-time.Second-stalled()))), int64(victim.before(time.Now()))+20
	for i, country := range countries {
		n := got.sum(kindRequested, "", country)
		events += 5 * n
		if i > 0 && n != each || i == 0 && (n < least || n > most || least == 0) {
			t.Errorf("%s: %d were counted; of the killed process %d to %d should be", country, n, least, most)
		}
		for _, kind := range []string{kindSent, kindDelivered, kindVerified} {
			if k := got.sum(kind, "sms", country); k != n && (i > 0 || k != n-1) { // killed between two events
				t.Errorf("%s: %d %s of %d", country, k, kind, n)
			}
		}
	}
	t.Logf("%d events; of the killed process %d, %d to %d expected; read %d times", events,
		got.sum(kindRequested, "", countries[0]), least, most, reads)
	if events < 100_000 {
		t.Errorf("%d events are few", events)
	}
	again := begin(1, 100)
	<-again.ended
	if err := again.cmd.Wait(); err != nil {
		t.Error(err)
	}
	if n := sum().sum(kindRequested, "", "FR"); n != each+100 {
		t.Errorf("after a restart %d were counted", n)
	}
	checkKeys(t, at, strings.Repeat("9", 20))
}

// A process that was killed may have counted less than others know of its verifications.
// No share is over 100 %.
func TestShareOfAKilledProcess(t *testing.T) {
	t.Parallel()
	c := counters{{kindRequested, "", "GB", "login"}: 20, {kindSent, "sms", "GB", "login"}: 20,
		{kindDelivered, "sms", "GB", "login"}: 22, {kindVerified, "sms", "GB", "login"}: 25}
	for _, b := range []*board{{}, {Route: "sms"}} {
		if got := b.converted(c, ""); got != 100 {
			t.Errorf("%v %% are converted", got)
		}
		if got := b.delivered(c, "GB"); got != 100 {
			t.Errorf("%v %% are delivered", got)
		}
	}
}
