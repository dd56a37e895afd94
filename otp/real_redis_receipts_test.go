package otp_test

import (
	"slices"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/smpp/smpptest"
	"github.com/otpcourier/otpcourier/store/redisstore/redistest"
)

// realAwait is how long these tests wait for a receipt.
const realAwait = 2 * time.Second

// pair is two processes over one Redis, with two carriers: route 1 does as it
// is told, route 2 delivers. asker is a third, which only asks for codes.
type pair struct {
	cluster
	t             *testing.T
	first, second *smpptest.Server
	processes     []*process
	asker         *otp.Service
}

func newPair(t *testing.T, server *redistest.Server) *pair {
	p := &pair{t: t, first: smpptest.NewServer(smpptest.Config{}), second: smpptest.NewServer(smpptest.Config{})}
	t.Cleanup(p.first.Close)
	t.Cleanup(p.second.Close)
	p.cluster = cluster{Where: []string{"single", server.Addr}, Prefix: t.Name(), SMSCs: []string{p.first.Addr,
		p.second.Addr},
		Await: realAwait, Workers: 4, Keys: newKeys()}
	for _, name := range []string{"one", "two"} {
		p.processes = append(p.processes, p.start(t, name))
	}
	b, closeBackend, err := backendAt(p.Where, p.Prefix)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(closeBackend)
	svc, closeAll, err := p.service("asker", b, quiet)
	t.Cleanup(closeAll)
	if err != nil {
		t.Fatal(err)
	}
	p.asker = svc
	return p
}

func (p *pair) send(to string) *otp.Challenge {
	p.t.Helper()
	c, err := p.asker.Send(p.t.Context(), otp.Request{Subject: "u1", To: channel.Recipient{Phone: to}})
	if err != nil {
		p.t.Fatal(err)
	}
	return c
}

// at returns what a carrier received for a number.
func at(s *smpptest.Server, to string) (got []smpptest.Submit) {
	for _, m := range s.Submits() {
		if m.To == to {
			got = append(got, m)
		}
	}
	return got
}

// eventually waits for something that other processes do.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(40 * time.Second); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("in vain: " + what)
		}
	}
}

func (p *pair) status(id string) *otp.Challenge {
	c, err := p.asker.Status(p.t.Context(), ref(id))
	if err != nil {
		p.t.Error(err)
		return &otp.Challenge{}
	}
	return c
}

// wantMessages fails unless the carriers received so many messages, all with
// one code, which passes once.
func (p *pair) wantMessages(c *otp.Challenge, to string, first, second int) {
	p.t.Helper()
	got := slices.Concat(at(p.first, to), at(p.second, to))
	if a, b := len(at(p.first, to)), len(at(p.second, to)); a != first || b != second {
		p.t.Errorf("the carriers received %d and %d messages, want %d and %d", a, b, first, second)
	}
	codes := map[string]bool{}
	for _, m := range got {
		codes[sixDigits.FindString(m.Text)] = true
	}
	if len(codes) != 1 {
		p.t.Errorf("%d codes for one challenge", len(codes))
	}
	for code := range codes {
		_ = verify(p.t.Context(), p.asker, otp.Verification{ID: c.ID, Subject: "u1", Code: code})
	}
	if s, err := p.asker.Status(p.t.Context(), ref(c.ID)); err != nil || s.Outcome.String() != "verified" {
		p.t.Errorf("%+v, %v", s, err)
	}
}

// What is written in receipts drives processes that share a Redis and nothing
// else: which of them sent a message, gets its receipt, or goes on, is chance.
func TestRealRedisReceipts(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	p := newPair(t, server)
	silent := smpptest.Reply{Receipt: smpptest.Receipt{None: true}}
	const failed, silence, late, verified = "+447912000001", "+447912000002", "+447912000003", "+447912000004"
	p.first.On(failed, smpptest.Reply{Receipt: smpptest.Receipt{Stat: "UNDELIV", Delay: 100 * time.Millisecond}})
	p.first.On(silence, silent)
	p.first.On(late, smpptest.Reply{Receipt: smpptest.Receipt{Delay: 2 * realAwait}})
	p.second.On(late, silent)
	p.first.On(verified, silent)
	began := time.Now()
	challenges := map[string]*otp.Challenge{}
	for _, to := range []string{failed, silence, late, verified} {
		challenges[to] = p.send(to)
	}
	eventually(t, "the code arrives", func() bool { return len(at(p.first, verified)) == 1 })
	code := sixDigits.FindString(at(p.first, verified)[0].Text)
	if err := verify(t.Context(), p.asker, otp.Verification{ID: challenges[verified].ID, Subject: "u1",
		Code: code}); err != nil {
		t.Error(err)
	}

	eventually(t, "the next route follows a failure", func() bool { return len(at(p.second, failed)) > 0 })
	t.Logf("after a failed receipt: %v", time.Since(began))
	eventually(t, "the next route follows silence", func() bool { return len(at(p.second, silence)) > 0 })
	if took := time.Since(began); took < realAwait {
		t.Errorf("silence ended after %v", took)
	} else {
		t.Logf("after %v of silence: %v", realAwait, took)
	}
	eventually(t, "the next route follows lateness", func() bool { return len(at(p.second, late)) > 0 })
	if s := p.status(challenges[late].ID); s.Delivered {
		t.Errorf("%+v before the receipt", s)
	}
	for _, to := range []string{failed, silence, late} {
		eventually(t, "the receipt arrives", func() bool { return p.status(challenges[to].ID).Delivered })
	}
	for to, second := range map[string]int{failed: 1, silence: 1, late: 1, verified: 0} {
		p.wantMessages(challenges[to], to, 1, second)
	}
}

// sender returns the process that sent a message.
func (p *pair) sender(s *smpptest.Server, m smpptest.Submit) *process {
	p.t.Helper()
	for _, b := range s.Binds() {
		for _, process := range p.processes {
			if b.Conn == m.Conn && b.SystemID == process.name {
				return process
			}
		}
	}
	p.t.Fatal("nobody sent the message")
	return nil
}

// A process that dies once its message is recorded leaves the wait for the
// receipt to the other.
func TestRealRedisSenderKilledWhileWaiting(t *testing.T) {
	t.Parallel()
	p := newPair(t, redistest.Start(t))
	const to = "+447912000005"
	p.first.On(to, smpptest.Reply{Receipt: smpptest.Receipt{None: true}})
	c := p.send(to)
	eventually(t, "the message is recorded", func() bool { return p.status(c.ID).State == channel.Sent })
	p.sender(p.first, at(p.first, to)[0]).kill()
	eventually(t, "the receipt of the next route arrives", func() bool { return p.status(c.ID).Delivered })
	p.wantMessages(c, to, 1, 1)
}

// A process that dies while it sends is followed by the other, which sends the
// message a second time: an SMSC cannot tell.
func TestRealRedisSenderKilledWhileSending(t *testing.T) {
	t.Parallel()
	p := newPair(t, redistest.Start(t))
	const to = "+447912000006"
	answer := make(chan struct{})
	p.first.On(to, smpptest.Reply{Until: answer}, smpptest.Reply{})
	began := time.Now()
	c := p.send(to)
	eventually(t, "the message arrives", func() bool { return len(at(p.first, to)) == 1 })
	p.sender(p.first, at(p.first, to)[0]).kill()
	close(answer)
	eventually(t, "the receipt of the second message arrives", func() bool { return p.status(c.ID).Delivered })
	t.Logf("taken over and delivered after %v", time.Since(began))
	p.wantMessages(c, to, 2, 0)
}
