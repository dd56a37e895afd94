package authenticator_test

import (
	"bytes"
	"context"
	"encoding/base32"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/authenticator"
	"github.com/otpcourier/otpcourier/otp/oath"
	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/memstore"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}

// virtual runs a test in virtual time, at the middle of a step of 60 s.
func virtual(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(15 * time.Second)
		f(t)
	})
}

// sleepUntil waits for a time since 1970, in virtual time.
func sleepUntil(seconds int64) { time.Sleep(time.Until(time.Unix(seconds, 0))) }

// A rig is a Service on memory, and all that it tells.
type rig struct {
	*authenticator.Service
	t      testing.TB
	cfg    authenticator.Config
	mem    *memstore.Store
	mu     sync.Mutex
	events []authenticator.Event
	log    bytes.Buffer
}

func newRig(t testing.TB, edit ...func(*authenticator.Config)) *rig {
	t.Helper()
	r := &rig{t: t, mem: memstore.New(memstore.Config{})}
	r.cfg = authenticator.Config{Issuer: "Acme", Keys: otp.NewKeyring(), Store: r.mem,
		Events: func(_ context.Context, e authenticator.Event) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.events = append(r.events, e)
		},
		Logger: slog.New(slog.NewTextHandler(&lockedWriter{w: &r.log, mu: &r.mu}, nil)),
	}
	for _, f := range edit {
		f(&r.cfg)
	}
	r.Service = r.service(r.cfg)
	return r
}

func (r *rig) service(c authenticator.Config) *authenticator.Service {
	r.t.Helper()
	s, err := authenticator.New(c)
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

type lockedWriter struct {
	w  *bytes.Buffer
	mu *sync.Mutex
}

func (l *lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

// A device shows codes.
type device struct {
	id     string
	secret []byte
	digits int
	hash   oath.Hash
	period int64
	used   string // the code that confirmed it
}

// at returns the code of a step or counter.
func (d *device) at(step uint64) string {
	code, err := oath.HOTP{Digits: d.digits, Hash: d.hash}.Generate(otp.Seed{Key: d.secret, Counter: step})
	if err != nil {
		panic(err)
	}
	return code
}

// off returns the code that the device shows some steps from now.
func (d *device) off(steps int64) string { return d.at(uint64(time.Now().Unix()/d.period + steps)) }

// wrong returns a code that is none of the device's, for some time around.
func (d *device) wrong() string {
	near := map[string]bool{}
	for s := int64(-20); s <= 20; s++ {
		near[d.off(s)] = true
	}
	for _, code := range []string{"000000", "111111", "222222"} {
		if !near[code] {
			return code
		}
	}
	panic("three codes of a million are within 40")
}

// pending enrols an app.
func (r *rig) pending(subject string) *device {
	r.t.Helper()
	e, err := r.Enroll(r.t.Context(), authenticator.Request{Subject: subject, Account: subject + "@example.com",
		Name: "phone"})
	if err != nil {
		r.t.Fatal(err)
	}
	return deviceOf(e)
}

func deviceOf(e *authenticator.Enrolment) *device {
	secret, err := base32.StdEncoding.DecodeString(strings.ReplaceAll(e.Secret, " ", ""))
	if err != nil {
		panic(err)
	}
	return &device{id: e.ID, secret: secret, digits: 6, period: 30}
}

// app enrols an app and confirms it by the current code.
func (r *rig) app(subject string) *device {
	r.t.Helper()
	d := r.pending(subject)
	d.used = d.off(0)
	token, err := r.Confirm(r.t.Context(), subject, d.used)
	if err != nil || token.ID != d.id || !token.Confirmed || !token.App {
		r.t.Fatalf("Confirm: %+v, %v", token, err)
	}
	return d
}

// hard enrols a token with a key.
func (r *rig) hard(subject string, k authenticator.Key) *device {
	r.t.Helper()
	e, err := r.Enroll(r.t.Context(), authenticator.Request{Subject: subject, Name: "fob", Key: &k})
	if err != nil {
		r.t.Fatal(err)
	}
	return &device{id: e.ID, secret: k.Secret, digits: k.Digits, hash: k.Hash, period: max(1,
		int64(k.Period/time.Second))}
}

// reason returns "ok" for nil.
func reason(err error) otp.Reason {
	if err == nil {
		return "ok"
	}
	return otp.ReasonOf(err)
}

// verify wants the outcome of a code.
func (r *rig) verify(subject, what, code string, want otp.Reason) {
	r.t.Helper()
	token, err := r.Verify(r.t.Context(), subject, code)
	if reason(err) != want || (err == nil) != (token != nil) {
		r.t.Errorf("%s: %v (%v), want %v", what, reason(err), err, want)
	}
}

// wants checks an error.
func (r *rig) wants(what string, err error, want otp.Reason) {
	r.t.Helper()
	if reason(err) != want {
		r.t.Errorf("%s: %v (%v), want %v", what, reason(err), err, want)
	}
}

// left returns Error.AttemptsLeft, -1 of another error.
func left(err error) int {
	var e *otp.Error
	if errors.As(err, &e) && e.Reason == otp.ReasonWrong {
		return e.AttemptsLeft
	}
	return -1
}

func (r *rig) status(subject string) *authenticator.Status {
	r.t.Helper()
	s, err := r.Status(r.t.Context(), subject)
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

// vectors are those of testdata/vectors.json.
type vectors struct {
	HOTP, HOTP8 struct {
		Secret string
		Digits int
		Codes  []string
	}
	TOTP []struct {
		Time           int64
		Hash           string
		Secret         string
		Digits, Period int
		Code           string
	}
	Collisions []struct {
		Secret string
		Steps  []uint64
		Code   string
	}
	URI []struct {
		Kind, Issuer, Account, Hash string
		Digits                      int
		Counter                     uint64
		URI, Error                  string
	}
	Migration struct{ URI string }
}

func readVectors(t testing.TB) (v vectors) {
	t.Helper()
	readJSON(t, "vectors.json", &v)
	return v
}

func readJSON(t testing.TB, name string, into any) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, into); err != nil {
		t.Fatal(err)
	}
}

func hashOf(t testing.TB, name string) oath.Hash {
	t.Helper()
	for h, n := range map[oath.Hash]string{oath.SHA1: "SHA1", oath.SHA256: "SHA256", oath.SHA512: "SHA512"} {
		if n == name {
			return h
		}
	}
	t.Fatalf("hash %q", name)
	return 0
}

// secretOf is 20 octets that differ.
func secretOf(seed byte) []byte {
	b := make([]byte, 20)
	for i := range b {
		b[i] = seed + byte(i)
	}
	return b
}

var _ store.Credentials = (*memstore.Store)(nil)
