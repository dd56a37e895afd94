package main

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/store/redisstore/redistest"
)

// wordEnd is what a number has on neither side.
var wordEnd = regexp.MustCompile(`[0-9A-Za-z]`)

// A monitor has every command that a Redis is sent.
type monitor struct {
	conn  net.Conn
	ended sync.WaitGroup
	said  strings.Builder
}

func newMonitor(t *testing.T, addr string) *monitor {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	m := &monitor{conn: conn}
	lines := bufio.NewReader(conn)
	fmt.Fprint(conn, "MONITOR\r\n")
	if line, err := lines.ReadString('\n'); err != nil || line != "+OK\r\n" {
		t.Fatal(line, err)
	}
	m.ended.Go(func() { _, _ = lines.WriteTo(&m.said) }) // until Close
	return m
}

// end returns all commands that the server got.
func (m *monitor) end() string {
	m.conn.Close()
	m.ended.Wait()
	return m.said.String()
}

// resendSoon resends as soon as the wait is over.
func (r *rig) resendSoon(at, body string) {
	r.t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for range 600 {
		a, err := r.shop.ask(r.t.Context(), http.MethodPost, at+"/resend", body)
		if err != nil || a.status == http.StatusOK {
			return
		}
		<-tick.C
	}
	r.t.Fatal("no resend came through")
}

// TestRealMonitor reads every command that Redis is sent in a run of all that the server
// does: none has a code, an address, a subject, a password or a secret.
func TestRealMonitor(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	e := newEndpoint(t, nil)
	r := hooked(t, e, func(c *config) {
		c.Store, c.Operators = "redis://"+server.Addr+"/0", []operator{newOperator("ann", roleOperator)}
		c.Applications[0].waits = []time.Duration{time.Second}
		c.Applications[0].Region, c.Applications[0].Authenticator = "GB", "Shop"
		c.Applications[0].Guard, c.Applications[0].Budget = &guardConfig{Countries: []string{"GB"}}, "1000"
	})
	m := newMonitor(t, server.Addr)
	live := r.follow(t, r.shop, "", "")
	const subject = `"subject":"hidden-subject","purpose":"login"`
	id := r.want(r.shop, "201 pending", "POST", apiPath, `{`+subject+`,"to":{"phone":"+447912345601",
		"email":"hidden@example.com"},"client_ip":"203.0.113.77","binding":"aGlkZGVu"}`,
		"Idempotency-Key", `"hidden-key"`).body.ID
	at := apiPath + "/" + id
	codes := []string{r.people.read("+447912345601")}
	r.resendSoon(at, `{"subject":"hidden-subject","route":"email"}`)
	codes = append(codes, r.people.read("hidden@example.com"), other(codes[0]))
	r.want(r.shop, "422 code_refused, 4 attempts left", "POST", at+"/check",
		`{`+subject+`,"binding":"aGlkZGVu","code":"`+codes[2]+`"}`)
	r.want(r.shop, "200 verified", "POST", at+"/check",
		`{`+subject+`,"binding":"aGlkZGVu","code":"`+codes[1]+`"}`)
	live.until("verified")

	_, link := r.newPage(signUp)
	v := r.visit()
	v.get(link).post("/verify/send", "phone", "+44 7912 345609")
	codes = append(codes, r.people.read("+447912345609"))
	v.says("Enter the code").post("/verify/check", "code", codes[3]).says("You are verified")

	r.enrol(t, "hidden-subject")
	o := newOperatorClient(t, r.s.adminURL())
	o.want(http.StatusUnauthorized, "", "/dashboard/sign-in", "name", "hidden-name", "password", "hidden-password")
	o.signIn("ann")
	o.want(http.StatusOK, "<bdi>"+id, "/dashboard/search", "application", "shop", "kind", "address", "text",
		"+447912345601")
	o.want(http.StatusOK, "", "/dashboard/search", "application", "shop", "kind", "subject", "text", "hidden-subject")
	e.wait(t, 5)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}

	said := m.end()
	for _, kind := range []string{"{minute", "{events", "otp:state:hook/", "otp:hooks:shop/main:"} {
		if !strings.Contains(said, kind) {
			t.Errorf("nothing was written to %s", kind)
		}
	}
	for _, secret := range []string{"hidden", "aGlkZGVu", "7912345601", "7912345609", "203.0.113.77",
		passwordOf("ann"), "argon2id", r.shop.key, link[strings.LastIndex(link, "/")+1:]} {
		if i := strings.Index(said, secret); i >= 0 {
			t.Errorf("Redis was sent %s: %.200s", secret, said[max(0, i-100):])
		}
	}
	for _, code := range codes { // by chance a longer number has its digits
		for rest := said; ; {
			before, after, found := strings.Cut(rest, code)
			if !found {
				break
			}
			if !wordEnd.MatchString(before[max(0, len(before)-1):] + after[:min(1, len(after))]) {
				t.Errorf("Redis was sent the code %s: %.60q", code, after)
			}
			rest = after
		}
	}
	checkLives(t, server.Addr)
}
