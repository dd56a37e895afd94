package otp_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/store/redisstore"
	"github.com/otpcourier/otpcourier/store/redisstore/redistest"
)

// newRedisRig is a sharedRig over a Redis.
func newRedisRig(t *testing.T, addr string, change func(*otp.Config)) (r *rig, other *otp.Service) {
	t.Helper()
	return sharedRig(t, []string{"single", addr}, change)
}

// sharedRig is a rig over a server, and a second Service as another process
// has it: with a client of its own.
func sharedRig(t *testing.T, where []string, change func(*otp.Config)) (r *rig, other *otp.Service) {
	t.Helper()
	var backends []backend
	for range 2 {
		b, closeBackend, err := backendAt(where, t.Name())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(closeBackend)
		backends = append(backends, b)
	}
	r = newRig(t, func(c *otp.Config) {
		c.Store = backends[0]
		if change != nil {
			change(c)
		}
	})
	r.store = backends[0]
	cfg := r.cfg
	cfg.Store, cfg.Receipts = backends[1], &channel.Receipts{}
	other, err := otp.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r, other
}

// each calls f for 0 to n-1, from 64 goroutines.
func each(n int, f func(i int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	wg.Wait()
}

// guess verifies a code from 64 goroutines of two processes at once.
func guess(t *testing.T, r *rig, other *otp.Service, v otp.Verification) (won, compared int) {
	var wins, wrongs atomic.Int32
	var wg sync.WaitGroup
	go1 := make(chan struct{})
	for i := range 64 {
		s := r.Service
		if i%2 == 0 {
			s = other
		}
		wg.Go(func() {
			<-go1
			switch err := verify(t.Context(), s, v); {
			case err == nil:
				wins.Add(1)
			case otp.ReasonOf(err) == otp.ReasonWrong:
				wrongs.Add(1)
			case otp.ReasonOf(err) == otp.ReasonUnavailable:
				t.Error(err)
			}
		})
	}
	close(go1)
	wg.Wait()
	return int(wins.Load()), int(wrongs.Load())
}

func TestRealRedisParallelCodes(t *testing.T) {
	t.Parallel()
	parallelCodes(t, []string{"single", redistest.Start(t).Addr})
}

// parallelCodes has 64 callers at a time give the right code, or a wrong one.
func parallelCodes(t *testing.T, where []string) {
	t.Helper()
	r, other := sharedRig(t, where, func(c *otp.Config) { c.Policy.PerRecipient = []otp.Rate{} })
	const trials = 500
	for i := range trials {
		subject := fmt.Sprint("u", i)
		c := r.send(t, otp.Request{Subject: subject})
		v := otp.Verification{ID: c.ID, Subject: subject, Code: r.a.messages()[i].Code}
		if i%5 == 0 { // wrong ones first
			wrong := v
			if wrong.Code = "000000"; wrong.Code == v.Code {
				wrong.Code = "111111"
			}
			if won, compared := guess(t, r, other, wrong); won != 0 || compared != 5 {
				t.Fatalf("64 parallel wrong codes: %d succeeded, %d were compared, want 0 and 5", won, compared)
			}
			c = r.send(t, otp.Request{Subject: subject, Route: "M"})
			v.ID, v.Code = c.ID, r.mail.messages()[i/5].Code
		}
		if won, _ := guess(t, r, other, v); won != 1 {
			t.Fatalf("trial %d: %d of 64 parallel right codes succeeded", i, won)
		}
	}
}

func TestRealRedisParallelSends(t *testing.T) {
	t.Parallel()
	r, other := newRedisRig(t, redistest.Start(t).Addr, nil)
	const people, sends = 200, 20
	var refused atomic.Int32
	each(people*sends, func(i int) {
		s := r.Service
		if i%2 == 0 {
			s = other
		}
		_, err := s.Send(t.Context(), otp.Request{Subject: fmt.Sprint("u", i/sends),
			To: channel.Recipient{Phone: ukMobile(i / sends)}})
		if err != nil {
			wantReason(t, err, otp.ReasonLimited, otp.ErrWait)
			refused.Add(1)
		}
	})
	got := map[string]int{}
	for _, m := range r.a.messages() {
		got[m.To.Phone]++
	}
	for to, n := range got {
		if n != 5 { // in 10 minutes
			t.Errorf("%s got %d messages", to, n)
		}
	}
	if len(got) != people || refused.Load() != people*(sends-5) {
		t.Errorf("%d people got messages, %d sends were refused", len(got), refused.Load())
	}
}

// After 50,000 verifications, right and wrong, of codes sent once and more
// often, there is no key that would stay for long after it is of use.
func TestRealRedisKeysEnd(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	r, other := newRedisRig(t, server.Addr, func(c *otp.Config) {
		c.Policy.Waits = []time.Duration{time.Second}
		c.Policy.MaxAttempts, c.Policy.Life, c.Policy.Lock = 10, 5*time.Minute, 30*time.Minute
		c.Policy.RunLife = 24 * time.Hour
		c.Policy.PerRecipient = []otp.Rate{{Most: 5, Per: 10 * time.Minute}}
		c.Async = true
	})
	ctx, stop := context.WithCancel(t.Context())
	var working sync.WaitGroup
	working.Go(func() { _ = other.Work(ctx) })
	var mu sync.Mutex
	codes := map[string]string{}
	r.a.hook = func(m *channel.Message, id string) {
		mu.Lock()
		codes[m.To.Phone] = m.Code
		mu.Unlock()
		// early
		if err := r.HandleReceipt(t.Context(), channel.Receipt{Route: "A", ProviderID: id,
			State: channel.Delivered}); err != nil {
			t.Error(err)
		}
	}
	const verifications, attempts = 50_000, 10
	var right, wrong atomic.Int64
	each(verifications/attempts, func(i int) {
		subject, to := fmt.Sprint("u", i), ukMobile(i)
		c, err := r.Send(t.Context(), otp.Request{Subject: subject, To: channel.Recipient{Phone: to},
			IdempotencyKey: "k"})
		if err != nil {
			t.Error(err)
			return
		}
		var code string
		eventually(t, "the code arrives", func() bool {
			mu.Lock()
			defer mu.Unlock()
			code = codes[to]
			return code != ""
		})
		for n := range attempts {
			typed := fmt.Sprintf("%06d", n)
			if n > attempts-3 && i%10 > 0 { // some are never verified
				typed = code
			}
			if err := verify(t.Context(), r, otp.Verification{ID: c.ID, Subject: subject, Code: typed}); err == nil {
				right.Add(1)
			} else {
				wrong.Add(1)
			}
		}
		if i%100 == 0 {
			_ = r.Cancel(t.Context(), otp.Ref{ID: c.ID, Subject: subject})
		}
	})
	stop()
	working.Wait()
	if right.Load() < verifications/attempts*9/10-10 || right.Load()+wrong.Load() != verifications {
		t.Errorf("%d right and %d wrong verifications", right.Load(), wrong.Load())
	}
	keys, stay := ttls(t, server.Addr, func(key string) time.Duration {
		return mayLive(strings.TrimPrefix(key, t.Name()), r.cfg.Policy)
	})
	t.Logf("%d verifications left %d keys", right.Load()+wrong.Load(), keys)
	for _, key := range stay[:min(len(stay), 10)] {
		t.Errorf("key %s", key)
	}
	if keys < verifications/attempts {
		t.Error("that are too few to be true")
	}
}

// mayLive returns how long a key may live that has just been written: as long
// as it is of use, a minute, and a second for what is rounded up.
func mayLive(key string, p otp.Policy) time.Duration {
	const slack = 61 * time.Second
	tag, name, tagged := strings.Cut(key, "}")
	switch {
	case !tagged: // a limit
		return p.PerRecipient[0].Per + slack
	case name == "f": // failures in a row
		return max(p.Lock, p.RunLife) + time.Minute + slack
	case tag != "{queue":
		return p.Life + slack
	case name == "dead":
		return 24 * time.Hour
	}
	return p.Life + time.Hour + slack // streams and bells
}

// ttls counts the keys of a server, and returns those that live longer than
// they may.
func ttls(t *testing.T, addr string, may func(key string) time.Duration) (keys int, stay []string) {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: addr})
	defer client.Close()
	all := client.Scan(t.Context(), 0, "*", 1000).Iterator()
	var names []string
	for all.Next(t.Context()) {
		names = append(names, all.Val())
	}
	if err := all.Err(); err != nil {
		t.Fatal(err)
	}
	for len(names) > 0 {
		some := names[:min(len(names), 1000)]
		names = names[len(some):]
		answers, err := client.Pipelined(t.Context(), func(p redis.Pipeliner) error {
			for _, name := range some {
				p.PTTL(t.Context(), name)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for i, a := range answers {
			d := a.(*redis.DurationCmd).Val()
			if keys++; (d <= 0 || d > may(some[i])) && d != -2 { // -2: it has ended meanwhile
				stay = append(stay, fmt.Sprintf("%s lives for %v", some[i], d))
			}
		}
	}
	return keys, stay
}

// monitor returns what clients tell a server from now on, once stop is called.
func monitor(t *testing.T, addr string) (stop func() string) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(conn)
	if _, err := conn.Write([]byte("MONITOR\r\n")); err != nil {
		t.Fatal(err)
	}
	if ok, err := lines.ReadString('\n'); err != nil || ok != "+OK\r\n" {
		t.Fatal(ok, err)
	}
	var told strings.Builder
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = lines.WriteTo(&told)
	}()
	return func() string {
		client := redis.NewClient(&redis.Options{Addr: addr})
		defer client.Close()
		_ = client.Echo(t.Context(), "the end").Err()
		_ = conn.SetReadDeadline(time.Now().Add(time.Second)) // more than it takes
		<-done
		conn.Close()
		return told.String()
	}
}

// Whoever reads along sees no code, no address and no subject, in no way that
// anyone would write them.
func TestRealRedisMonitor(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	told := monitor(t, server.Addr)
	r, _ := newRedisRig(t, server.Addr, func(c *otp.Config) {
		c.Generator = otp.Random{Length: 10, Alphabet: "GHJKLMNPQRSTUVWXYZ"}
		c.Policy.Waits, c.Policy.Resend = []time.Duration{time.Second, time.Second}, otp.SameRoute
		c.Async = true
	})
	r.cfg.Channel = r.failover(t, time.Minute)
	r.Service = r.another(t)
	work(t, r.Service)
	const subject = "customer-ann@example.com"
	c := r.send(t, otp.Request{Subject: subject, Purpose: "login", IdempotencyKey: "a click of ann's",
		Details: "10 EUR to Bob"})
	eventually(t, "the code arrives", func() bool { return r.a.count() == 1 })
	code := r.a.messages()[0].Code
	handle(t, r.Service, channel.Receipt{Route: "A", ProviderID: "a-2", State: channel.Delivered}) // early
	handle(t, r.Service, channel.Receipt{Route: "A", ProviderID: "a-1", State: channel.Failed})
	eventually(t, "the next route follows", func() bool { return r.b.count() == 1 })
	eventually(t, "a resend is due", func() bool {
		_, err := r.Resend(t.Context(), otp.ResendRequest{ID: c.ID, Subject: subject})
		return err == nil
	})
	eventually(t, "the code arrives again", func() bool { return r.a.count() == 2 })
	verify := func(code string) error {
		return verify(t.Context(), r, otp.Verification{ID: c.ID, Subject: subject, Purpose: "login", Code: code})
	}
	_ = verify("GGGGGGGGGG")
	if err := verify(code); err != nil {
		t.Error(err)
	}
	_ = verify(code)
	second := r.send(t, otp.Request{Subject: subject})
	_, _ = r.Status(t.Context(), otp.Ref{ID: second.ID, Subject: subject})
	_ = r.Cancel(t.Context(), otp.Ref{ID: second.ID, Subject: subject})
	all := told()
	for _, must := range []string{c.ID, "evalsha", "the end"} {
		if !strings.Contains(all, must) {
			t.Errorf("%q was not told: nobody listened", must)
		}
	}
	upper := strings.ToUpper(all)
	for what, secret := range map[string]string{"code": code, "phone number": "7912345678", "mailbox": "ann@example",
		"domain":  "example.com",
		"subject": subject, "details": "10 EUR", "idempotency key": "a click", "key": string(r.cfg.Keys.Keys["k1"]),
		"index": string(r.cfg.Keys.Index)} {
		hexed := hex.EncodeToString([]byte(secret))
		for _, form := range []string{secret, hexed, base64.RawStdEncoding.EncodeToString([]byte(secret)),
			base64.RawURLEncoding.EncodeToString([]byte(secret))} {
			if strings.Contains(upper, strings.ToUpper(form)) {
				t.Errorf("a %s was told as %q", what, form)
			}
		}
	}
}

// loser loses the first reply to each script of a client, which asks again.
type loser struct {
	proxy *redistest.Proxy
	calls int
	lost  int
}

func (l *loser) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if !strings.HasPrefix(cmd.Name(), "eval") {
			return next(ctx, cmd)
		}
		l.proxy.LoseReplies(1, cmd.Name())
		err := next(ctx, cmd)
		l.calls++
		l.lost += l.proxy.Lost()
		return err
	}
}

func (l *loser) DialHook(next redis.DialHook) redis.DialHook { return next }

func (l *loser) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// Every script's first reply is lost, and everything is as if none were.
func TestRealRedisLostReplies(t *testing.T) {
	t.Parallel()
	proxy := redistest.NewProxy(t, redistest.Start(t).Addr)
	client := redis.NewClient(&redis.Options{Addr: proxy.Addr})
	defer client.Close()
	b, err := redisstore.New(redisstore.Config{Client: client})
	if err != nil {
		t.Fatal(err)
	}
	l := &loser{proxy: proxy}
	client.AddHook(l)
	r := newRig(t, func(c *otp.Config) { c.Store = b; c.Policy.Waits = []time.Duration{time.Second} })
	c := r.send(t, otp.Request{})
	code := r.a.messages()[0].Code
	wrong := "000000"
	if wrong == code {
		wrong = "111111"
	}
	for left := 4; left > 1; left-- {
		err := verify(t.Context(), r, otp.Verification{ID: c.ID, Subject: "u1", Code: wrong})
		if e := wantReason(t, err, otp.ReasonWrong, otp.ErrInvalidCode); e.AttemptsLeft != left {
			t.Errorf("%d attempts left, want %d", e.AttemptsLeft, left)
		}
	}
	handle(t, r.Service, channel.Receipt{Route: "A", ProviderID: "a-1", State: channel.Delivered})
	handle(t, r.Service, channel.Receipt{Route: "A", ProviderID: "a-2", State: channel.Delivered}) // early
	eventually(t, "a resend is due", func() bool {
		_, err := r.Resend(t.Context(), otp.ResendRequest{ID: c.ID, Subject: "u1"})
		if err != nil && otp.ReasonOf(err) != otp.ReasonTooSoon {
			t.Fatal(err)
		}
		return err == nil
	})
	if s, err := r.Status(t.Context(), ref(c.ID)); err != nil || s.SendsLeft != 0 || s.AttemptsLeft != 2 ||
		s.State != channel.Delivered || r.a.count() != 2 {
		t.Errorf("%+v, %v after %d messages", s, err, r.a.count())
	}
	v := otp.Verification{ID: c.ID, Subject: "u1", Code: code}
	if err := verify(t.Context(), r, v); err != nil {
		t.Errorf("the right code: %v", err)
	}
	wantReason(t, verify(t.Context(), r, v), otp.ReasonClosed, otp.ErrInvalidCode)
	c = r.send(t, otp.Request{})
	if err := r.Cancel(t.Context(), ref(c.ID)); err != nil {
		t.Error(err)
	}
	wantReason(t, r.Cancel(t.Context(), ref(c.ID)), otp.ReasonClosed, otp.ErrInvalidCode)
	for range 2 { // the resend counted too: five in ten minutes
		r.send(t, otp.Request{})
	}
	_, err = r.Send(t.Context(), otp.Request{Subject: "u1", To: both})
	wantReason(t, err, otp.ReasonLimited, otp.ErrWait)
	if t.Logf("%d of %d replies were lost", l.lost, l.calls); l.lost != l.calls || l.lost < 30 {
		t.Error("there should be more")
	}
}

// While Redis is down, or does not answer, nothing is sent and nobody is
// verified, and callers are told soon.
func TestRealRedisDown(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.AOF)
	r, _ := newRedisRig(t, server.Addr, nil)
	c := r.send(t, otp.Request{})
	v := otp.Verification{ID: c.ID, Subject: "u1", Code: r.a.messages()[0].Code}
	refuses := func(how string, patience time.Duration) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		for what, call := range map[string]func() error{
			"Verify": func() error { return verify(ctx, r, v) },
			"Send": func() error {
				_, err := r.Send(ctx, otp.Request{Subject: "u1", To: both})
				return err
			},
		} {
			began := time.Now()
			wantReason(t, call(), otp.ReasonUnavailable, otp.ErrUnavailable)
			if took := time.Since(began); took > 10*time.Second || took > patience+2*time.Second {
				t.Errorf("%s: %s took %v", how, what, took)
			}
		}
		if n := r.a.count(); n != 1 {
			t.Errorf("%s: %d messages", how, n)
		}
	}
	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	refuses("paused", 200*time.Millisecond)
	refuses("paused", time.Minute)
	server.Kill()
	refuses("killed", time.Minute)
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the code passes", func() bool { return verify(t.Context(), r, v) == nil })
	wantReason(t, verify(t.Context(), r, v), otp.ReasonClosed, otp.ErrInvalidCode)
}
