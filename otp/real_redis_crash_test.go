package otp_test

import (
	"fmt"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/smpp/smpptest"
	"github.com/otpcourier/otpcourier/store/redisstore/redistest"
)

// tally counts what an SMSC received, by destination.
type tally struct {
	mu   sync.Mutex
	got  map[string][]arrival
	last time.Time
}

type arrival struct {
	conn int
	at   time.Time
	code string
}

func (a *tally) handle(m smpptest.Submit) smpptest.Reply {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last = time.Now()
	a.got[m.To] = append(a.got[m.To], arrival{m.Conn, a.last, sixDigits.FindString(m.Text)})
	return smpptest.Reply{}
}

// count returns how many codes have arrived.
func (a *tally) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.got)
}

// missing returns which of n codes have not arrived.
func (a *tally) missing(n int) (none []int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range n {
		if len(a.got[ukMobile(i)]) == 0 {
			none = append(none, i)
		}
	}
	return none
}

// waitFor waits for processes of their own, which have no other clock.
func waitFor(most time.Duration, done func() bool) {
	for end := time.Now().Add(most); !done() && time.Now().Before(end); {
		time.Sleep(50 * time.Millisecond)
	}
}

// of returns what has come to a destination, and when the last message of all
// came. A job of the process killed last may come again at any time.
func (a *tally) of(to string) (got []arrival, last time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.got[to], a.last
}

// crash is what passThroughCrashes does to its processes, and when.
type crash struct {
	*cluster
	t        *testing.T
	server   restarter
	smsc     *smpptest.Server
	mu       sync.Mutex
	alive    []*process
	all      []*process
	dead     map[string]time.Time // by name, when they were killed
	restarts [][2]time.Time       // of the server
	resent   int                  // codes whose two senders were killed
}

const crashWorkers = 16

// A restarter is a server that can be killed and started again.
type restarter interface{ Restart() error }

func TestRealRedisCrash(t *testing.T) {
	server := redistest.Start(t, redistest.AOF)
	messages := setting("OTPCOURIER_CRASH_MESSAGES", 20_000)
	passThroughCrashes(t, server, []string{"single", server.Addr}, messages)
}

// passThroughCrashes passes codes to an SMSC through three processes of
// which one is killed every second, while the server is killed and restarted once.
// Every code arrives, and passes once. Codes that arrive twice are those that
// were on the way when their process, or the server, died. The exception is a code
// whose two senders were killed: the log names it, and a Resend brings it.
func passThroughCrashes(t *testing.T, server restarter, where []string, messages int) {
	t.Helper()
	if testing.Short() {
		messages = 2_000
	}
	arrived := &tally{got: map[string][]arrival{}}
	smsc := smpptest.NewServer(smpptest.Config{Handler: arrived.handle, Forget: true})
	t.Cleanup(smsc.Close)
	k := &crash{t: t, server: server, smsc: smsc, dead: map[string]time.Time{},
		cluster: &cluster{Where: where,
			Prefix: "crash", SMSCs: []string{smsc.Addr}, Workers: crashWorkers, Keys: newKeys()}}
	for i := range 3 {
		k.alive = append(k.alive, k.start(t, fmt.Sprintf("%d-0", i)))
	}
	k.all = slices.Clone(k.alive)
	began := time.Now()
	stop := make(chan struct{})
	var killing sync.WaitGroup
	killing.Go(func() { k.killOneEachSecond(stop) })
	svc, ids := k.send(messages, func(sent int) {
		if sent == messages/2 {
			k.restartServer()
		}
	})
	sent := time.Since(began)
	missing := func() []int { return arrived.missing(messages) }
	done := func() bool { // to look for each code takes long
		return arrived.count()+len(k.stranded()) >= messages && k.allStranded(ids, missing())
	}
	waitFor(time.Minute, done)
	close(stop) // a machine that does nothing but start processes delivers nothing
	killing.Wait()
	waitFor(3*time.Minute, done)
	for _, i := range missing() {
		k.resend(svc, i, ids[i])
	}
	waitFor(time.Minute, func() bool { return arrived.count() >= messages })
	_, last := arrived.of("")
	t.Logf("%d codes asked for within %v, the last arrived after %v; %d processes killed", messages,
		sent.Round(time.Millisecond),
		last.Sub(began).Round(time.Millisecond), len(k.dead))
	k.check(svc, ids, arrived)
}

func (k *crash) killOneEachSecond(stop <-chan struct{}) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-tick.C:
		case <-stop:
			return
		}
		victim := k.alive[n%len(k.alive)]
		victim.kill()
		next := k.start(k.t, fmt.Sprintf("%d-%d", n%len(k.alive), n))
		k.alive[n%len(k.alive)] = next
		k.mu.Lock()
		k.dead[victim.name] = victim.dead
		k.all = append(k.all, next)
		k.mu.Unlock()
	}
}

var strandedChallenge = regexp.MustCompile(`two senders of a message have died.* challenge=(\S+)`)

// stranded returns the challenges of which a process says that two senders died.
func (k *crash) stranded() map[string]bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	ids := map[string]bool{}
	for _, p := range k.all {
		for _, m := range strandedChallenge.FindAllStringSubmatch(p.out.String(), -1) {
			ids[m[1]] = true
		}
	}
	return ids
}

// allStranded reports whether the log names every code of these.
func (k *crash) allStranded(ids []string, codes []int) bool {
	if len(codes) == 0 {
		return true
	}
	named := k.stranded()
	return !slices.ContainsFunc(codes, func(i int) bool { return !named[ids[i]] })
}

// resend asks once more for a code that has not arrived, which only one whose
// two senders were killed may need.
func (k *crash) resend(svc *otp.Service, i int, id string) {
	if !k.stranded()[id] {
		c, err := svc.Status(k.t.Context(), otp.Ref{ID: id, Subject: fmt.Sprint("u", i)})
		k.t.Errorf("code %d did not arrive, and the log does not say why: %+v, %v", i, c, err)
		return
	}
	k.resent++
	var err error
	waitFor(2*time.Minute, func() bool {
		_, err = svc.Resend(k.t.Context(), otp.ResendRequest{ID: id, Subject: fmt.Sprint("u", i)})
		return otp.ReasonOf(err) != otp.ReasonTooSoon
	})
	if err != nil {
		k.t.Errorf("code %d: Resend: %v", i, err)
	}
}

func (k *crash) restartServer() {
	from := time.Now()
	if err := k.server.Restart(); err != nil {
		k.t.Error(err)
	}
	k.restarts = append(k.restarts, [2]time.Time{from, time.Now()})
}

// send asks for n codes, again where it cannot be known whether one will come.
func (k *crash) send(n int, progress func(sent int)) (*otp.Service, []string) {
	b, closeBackend, err := backendAt(k.Where, k.Prefix)
	if err != nil {
		k.t.Fatal(err)
	}
	k.t.Cleanup(closeBackend)
	svc, closeAll, err := k.service("asker", b, quiet)
	k.t.Cleanup(closeAll)
	if err != nil {
		k.t.Fatal(err)
	}
	ids := make([]string, n)
	var sent, repeats atomic.Int64
	each(n, func(i int) {
		q := otp.Request{Subject: fmt.Sprint("u", i), To: channel.Recipient{Phone: ukMobile(i)}, IdempotencyKey: "k"}
		c, err := svc.Send(k.t.Context(), q)
		for end := time.Now().Add(30 * time.Second); err != nil && time.Now().Before(end); {
			repeats.Add(1)
			time.Sleep(50 * time.Millisecond)
			c, err = svc.Send(k.t.Context(), q)
		}
		if err != nil {
			k.t.Errorf("code %d: %v", i, err)
			return
		}
		ids[i] = c.ID
		progress(int(sent.Add(1)))
	})
	k.t.Logf("%d requests were repeated because the server was down", repeats.Load())
	return svc, ids
}

// check looks at every code.
func (k *crash) check(svc *otp.Service, ids []string, arrived *tally) {
	process := map[int]string{}
	for _, b := range k.smsc.Binds() {
		process[b.Conn] = b.SystemID
	}
	var repeated, byKill, byRestart, unexplained atomic.Int64
	each(len(ids), func(i int) {
		got, _ := arrived.of(ukMobile(i))
		if len(got) == 0 {
			c, err := svc.Status(k.t.Context(), otp.Ref{ID: ids[i], Subject: fmt.Sprint("u", i)})
			k.t.Errorf("code %d did not arrive: %+v, %v", i, c, err)
			return
		}
		for n, a := range got[:len(got)-1] {
			repeated.Add(1)
			switch {
			case a.code != got[n+1].code:
				k.t.Errorf("code %d arrived as two codes", i)
			case k.killedSoonAfter(process[a.conn], a.at):
				byKill.Add(1)
			case k.serverWasDown(a.at):
				byRestart.Add(1)
			default:
				unexplained.Add(1)
				k.t.Errorf("code %d arrived again %v after process %s had sent it", i, got[n+1].at.Sub(a.at),
					process[a.conn])
			}
		}
		v := otp.Verification{ID: ids[i], Subject: fmt.Sprint("u", i), Code: got[0].code}
		if err := verify(k.t.Context(), svc, v); err != nil {
			k.t.Errorf("code %d: %v", i, err)
		}
		if i%10 > 0 {
			return // it takes long
		}
		if err := verify(k.t.Context(), svc, v); err == nil {
			k.t.Errorf("code %d passes twice", i)
		}
	})
	most := (len(k.dead) + 3*len(k.restarts)) * crashWorkers
	k.t.Logf("%d arrived after a Resend, of %d whose two senders were killed; %d arrived again: %d of a killed "+
		"process, %d while no server was up, %d for no such reason; at most %d could have", k.resent, len(k.stranded()),
		repeated.Load(), byKill.Load(), byRestart.Load(), unexplained.Load(), most)
	if k.resent > len(ids)/1000 {
		k.t.Errorf("%d codes needed a Resend", k.resent)
	}
	if repeated.Load() > int64(most) {
		k.t.Errorf("%d messages arrived again, more than were on the way: %d", repeated.Load(), most)
	}
}

// killedSoonAfter reports whether a process was killed so soon after it had
// sent a message that it may not have written down its outcome.
func (k *crash) killedSoonAfter(process string, sent time.Time) bool {
	dead, killed := k.dead[process]
	return killed && dead.Sub(sent) < 2*time.Second
}

// serverWasDown reports whether an outcome of then may have found no server.
func (k *crash) serverWasDown(then time.Time) bool {
	for _, r := range k.restarts {
		if then.After(r[0].Add(-2*time.Second)) && then.Before(r[1].Add(2*time.Second)) {
			return true
		}
	}
	return false
}
