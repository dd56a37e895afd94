package authenticator_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/authenticator"
	"github.com/otpcourier/otpcourier/otp/oath"
)

// TestPending: a token counts once it is confirmed, within 15 minutes.
func TestPending(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T) {
		r := newRig(t)
		ctx := t.Context()
		_, err := r.Confirm(ctx, "ann", "123456")
		r.wants("Confirm of nothing", err, otp.ReasonNotFound)
		first := r.pending("ann")
		r.verify("ann", "not confirmed", first.off(0), otp.ReasonNotFound)
		second := r.pending("ann") // the page was loaded again; the first QR code had been scanned
		if s := r.status("ann"); len(s.Tokens) != 2 || s.Enrolled() {
			t.Errorf("%+v", s)
		}
		token, err := r.Confirm(ctx, "ann", first.off(0))
		if err != nil || token.ID != first.id {
			t.Errorf("the first of two: %+v, %v", token, err)
		}
		if s := r.status("ann"); len(s.Tokens) != 1 || !s.Enrolled() || s.Tokens[0].Name != "phone" {
			t.Errorf("%+v: the other one must be gone", s)
		}
		_, err = r.Confirm(ctx, "ann", second.off(0))
		r.wants("the other one", err, otp.ReasonNotFound)

		late := r.pending("bob")
		time.Sleep(15*time.Minute - 30*time.Second)
		_, err = r.Confirm(ctx, "bob", late.wrong())
		r.wants("wrong", err, otp.ReasonWrong)
		time.Sleep(30 * time.Second)
		_, err = r.Confirm(ctx, "bob", late.off(0))
		r.wants("after 15 minutes", err, otp.ReasonWrong)
		if s := r.status("bob"); len(s.Tokens) != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// TestPendingAtMostThree: the oldest gives way.
func TestPendingAtMostThree(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T) {
		r := newRig(t)
		var all []*device
		for range 5 {
			all = append(all, r.pending("ann"))
		}
		if n := len(r.status("ann").Tokens); n != 3 {
			t.Errorf("%d wait, want 3", n)
		}
		for i, d := range all[:2] {
			_, err := r.Confirm(t.Context(), "ann", d.off(0))
			r.wants(fmt.Sprint("number ", i+1), err, otp.ReasonWrong)
		}
		_, err := r.Confirm(t.Context(), "ann", all[2].off(0))
		r.wants("number 3", err, "ok")
	})
}

// TestConfirmFailures: ten wrong codes drop a token that waits, and are not charged to
// the logins.
func TestConfirmFailures(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T) {
		r := newRig(t)
		phone := r.app("ann")
		d := r.pending("ann")
		for i := range 10 {
			_, err := r.Confirm(t.Context(), "ann", d.wrong())
			if left(err) != 9-i {
				t.Errorf("wrong code %d: %v, %d left", i+1, err, left(err))
			}
		}
		_, err := r.Confirm(t.Context(), "ann", d.off(0))
		r.wants("the right code after ten wrong ones", err, otp.ReasonNotFound)
		time.Sleep(time.Minute)
		r.verify("ann", "the other token", phone.off(0), "ok")
		for i := range 10 {
			d := r.pending("bob")
			if i > 0 {
				continue
			}
			_, err := r.Confirm(t.Context(), "bob", d.wrong(), d.wrong())
			r.wants("two wrong codes", err, otp.ReasonWrong)
		}
		_, err = r.Confirm(t.Context(), "bob", "1234567x")
		r.wants("letters", err, otp.ReasonMalformed)
		_, err = r.Confirm(t.Context(), "bob", "123456", "123456", "123456")
		r.wants("three codes", err, otp.ReasonInvalid)
	})
}

// TestReplaces: the old token is revoked in the swap that confirms the new one.
func TestReplaces(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T) {
		r := newRig(t)
		old := r.app("ann")
		e, err := r.Enroll(t.Context(), authenticator.Request{Subject: "ann", Account: "ann", Replaces: old.id})
		r.wants("Enroll", err, "ok")
		d := deviceOf(e)
		time.Sleep(time.Minute)
		r.verify("ann", "the old one before Confirm", old.off(0), "ok")
		_, err = r.Confirm(t.Context(), "ann", d.off(0))
		r.wants("Confirm", err, "ok")
		time.Sleep(time.Minute)
		r.verify("ann", "the old one", old.off(0), otp.ReasonWrong)
		r.verify("ann", "the new one", d.off(0), "ok")
		if s := r.status("ann"); len(s.Tokens) != 1 || s.Tokens[0].ID != d.id {
			t.Errorf("%+v", s)
		}
		_, err = r.Enroll(t.Context(), authenticator.Request{Subject: "ann", Account: "ann", Replaces: old.id})
		r.wants("Replaces of a token that is gone", err, otp.ReasonInvalid)
	})
}

// TestTenTokens: a subject has ten tokens at most, and may replace one of them.
func TestTenTokens(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T) {
		r := newRig(t)
		var last *device
		for i := range 10 {
			k := authenticator.Key{Secret: secretOf(byte(10 * i)), Digits: 6, Period: time.Minute,
				Serial: fmt.Sprint(i)}
			e, err := r.Enroll(t.Context(), authenticator.Request{Subject: "ann", Key: &k, Confirmed: true})
			if err != nil {
				t.Fatal(err)
			}
			last = &device{id: e.ID, secret: k.Secret, digits: 6, period: 60}
		}
		_, err := r.Enroll(t.Context(), authenticator.Request{Subject: "ann", Account: "ann"})
		r.wants("an eleventh", err, otp.ReasonFull)
		e, err := r.Enroll(t.Context(), authenticator.Request{Subject: "ann", Account: "ann", Replaces: last.id})
		r.wants("in place of another", err, "ok")
		_, err = r.Confirm(t.Context(), "ann", deviceOf(e).off(0))
		r.wants("Confirm", err, "ok")
		raw, _ := r.mem.Load(t.Context(), "ann")
		t.Logf("ten tokens: %d octets", len(raw))
		if n := len(r.status("ann").Tokens); n != 10 {
			t.Errorf("%d tokens", n)
		}
	})
}

// TestFullValue: the ten longest tokens and ten recovery codes fit into 4096 octets. What
// does not fit is refused, and changes nothing.
func TestFullValue(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	long := strings.Repeat("x", 64)
	enroll := func(i int, confirmed bool, replaces string) error {
		k := authenticator.Key{Secret: []byte(strings.Repeat(fmt.Sprintf("%02dabcdef", i), 16)), Hash: oath.SHA512,
			Digits: 8, Period: time.Minute, Serial: long}
		_, err := r.Enroll(t.Context(), authenticator.Request{Subject: "ann", Name: long, Key: &k, Confirmed: confirmed,
			Replaces: replaces})
		return err
	}
	for i := range 10 {
		r.wants("the longest tokens", enroll(i, true, ""), "ok")
	}
	_, err := r.NewRecoveryCodes(t.Context(), "ann")
	r.wants("ten codes more", err, "ok")
	before := r.status("ann")
	for i := range 3 {
		if err := enroll(10+i, false, before.Tokens[0].ID); err != nil {
			r.wants("a token more", err, otp.ReasonFull)
			if n := len(r.status("ann").Tokens); n != 10+i {
				t.Errorf("%d tokens, want %d", n, 10+i)
			}
			return
		}
	}
	t.Error("thirteen of the longest tokens fit")
}

// TestConfirmed takes over secrets that another program has kept.
func TestConfirmed(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T) {
		r := newRig(t)
		k, err := authenticator.ParseURI("otpauth://totp/Acme:ann@example.com?issuer=Acme" +
			"&secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Enroll(t.Context(), authenticator.Request{Subject: "ann", Key: &k,
			Confirmed: true}); err != nil {
			t.Fatal(err)
		}
		d := device{secret: []byte("12345678901234567890"), digits: 6, period: 30}
		r.verify("ann", "first", d.off(0), "ok")
		_, err = r.Enroll(t.Context(), authenticator.Request{Subject: "ann", Key: &k})
		r.wants("the same secret again", err, otp.ReasonInvalid)
		_, err = r.Enroll(t.Context(), authenticator.Request{Subject: "bob", Account: "bob", Confirmed: true})
		r.wants("a new secret that nobody has confirmed", err, otp.ReasonInvalid)
		hard := authenticator.Key{Secret: secretOf(1), Digits: 6, Counter: true, Serial: "1"}
		for range 4 { // a page that is loaded again
			r.hard("cid", hard)
		}
		if n := len(r.status("cid").Tokens); n != 1 {
			t.Errorf("one hard token waits %d times", n)
		}
	})
}

// TestRefusedRequests: bad input is refused before the store is asked, with its field.
func TestRefusedRequests(t *testing.T) {
	t.Parallel()
	good := authenticator.Key{Secret: secretOf(1), Digits: 6, Period: 30 * time.Second}
	key := func(edit func(k *authenticator.Key)) authenticator.Request {
		k := good
		edit(&k)
		return authenticator.Request{Subject: "ann", Key: &k}
	}
	for name, c := range map[string]struct {
		r     authenticator.Request
		field string
	}{
		"no subject":       {authenticator.Request{Account: "a"}, "Subject"},
		"long subject":     {authenticator.Request{Subject: strings.Repeat("x", 257), Account: "a"}, "Subject"},
		"no account":       {authenticator.Request{Subject: "ann"}, "Account"},
		"blank account":    {authenticator.Request{Subject: "ann", Account: " "}, "Account"},
		"colon":            {authenticator.Request{Subject: "ann", Account: "a:b"}, "Account"},
		"account not UTF8": {authenticator.Request{Subject: "ann", Account: "a\xff"}, "Account"},
		"control":          {authenticator.Request{Subject: "ann", Account: "a\nb"}, "Account"},
		"long name": {authenticator.Request{Subject: "ann", Account: "a", Name: strings.Repeat("x", 65)},
			"Name"},
		"no secret":    {key(func(k *authenticator.Key) { k.Secret = nil }), "Key.Secret"},
		"short secret": {key(func(k *authenticator.Key) { k.Secret = k.Secret[:15] }), "Key.Secret"},
		"long secret": {key(func(k *authenticator.Key) { k.Secret = []byte(strings.Repeat("ab", 65)) }),
			"Key.Secret"},
		"repeated octet":  {key(func(k *authenticator.Key) { k.Secret = make([]byte, 20) }), "Key.Secret"},
		"no digits":       {key(func(k *authenticator.Key) { k.Digits = 0 }), "Key.Digits"},
		"5 digits":        {key(func(k *authenticator.Key) { k.Digits = 5 }), "Key.Digits"},
		"9 digits":        {key(func(k *authenticator.Key) { k.Digits = 9 }), "Key.Digits"},
		"negative digits": {key(func(k *authenticator.Key) { k.Digits = -6 }), "Key.Digits"},
		"unknown hash":    {key(func(k *authenticator.Key) { k.Hash = 3 }), "Key.Hash"},
		"no period":       {key(func(k *authenticator.Key) { k.Period = 0 }), "Key.Period"},
		"121 s":           {key(func(k *authenticator.Key) { k.Period = 121 * time.Second }), "Key.Period"},
		"half a second":   {key(func(k *authenticator.Key) { k.Period = 1500 * time.Millisecond }), "Key.Period"},
		"negative period": {key(func(k *authenticator.Key) { k.Period = -30 * time.Second }), "Key.Period"},
		"counter":         {key(func(k *authenticator.Key) { k.Counter, k.Moving = true, 1<<63 }), "Key.Moving"},
		"drift":           {key(func(k *authenticator.Key) { k.Drift = 1001 }), "Key.Drift"},
		"serial":          {key(func(k *authenticator.Key) { k.Serial = strings.Repeat("1", 65) }), "Key.Serial"},
		"dates": {key(func(k *authenticator.Key) {
			k.Start, k.Expires = time.Unix(2000, 0), time.Unix(1000, 0)
		}), "Key.Expires"},
		"before 1970": {key(func(k *authenticator.Key) { k.Start = time.Unix(-1, 0) }), "Key.Expires"},
	} {
		r := newRig(t)
		_, err := r.Enroll(t.Context(), c.r)
		var refused *otp.Error
		if !errors.As(err, &refused) || !errors.Is(err, otp.ErrInvalidRequest) || refused.Field != c.field {
			t.Errorf("%s: %v, want the field %s", name, err, c.field)
		}
		if raw, _ := r.mem.Load(t.Context(), c.r.Subject); raw != nil {
			t.Errorf("%s: something was stored", name)
		}
	}
}

// TestConfig: New names the field that is wrong.
func TestConfig(t *testing.T) {
	t.Parallel()
	for want, edit := range map[string]func(*authenticator.Config){
		"Issuer":             func(c *authenticator.Config) { c.Issuer = "" },
		"Issuer: it has":     func(c *authenticator.Config) { c.Issuer = "Acme:X" },
		"Issuer: it is long": func(c *authenticator.Config) { c.Issuer = strings.Repeat("x", 65) },
		"Store":              func(c *authenticator.Config) { c.Store = nil },
		"Keys":               func(c *authenticator.Config) { c.Keys = otp.Keyring{} },
		"Skew":               func(c *authenticator.Config) { c.Policy.Skew = 11 },
		"Drift":              func(c *authenticator.Config) { c.Policy.Drift = -2 },
		"LookAhead":          func(c *authenticator.Config) { c.Policy.LookAhead = -1 },
		"Resync":             func(c *authenticator.Config) { c.Policy.Resync = 10_001 },
		"MaxFailures":        func(c *authenticator.Config) { c.Policy.MaxFailures = 101 },
		"Lock":               func(c *authenticator.Config) { c.Policy.Lock = 25 * time.Hour },
		"Pending":            func(c *authenticator.Config) { c.Policy.Pending = time.Second },
	} {
		c := newRig(t).cfg
		edit(&c)
		if _, err := authenticator.New(c); err == nil || !strings.Contains(err.Error(), "authenticator: Config") ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// TestRenameRevoke: only the subject's own tokens are changed.
func TestRenameRevoke(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T) {
		r := newRig(t)
		ctx := t.Context()
		d, other := r.app("ann"), r.app("bob")
		r.wants("Rename", r.Rename(ctx, "ann", d.id, "Ann's new phone"), "ok")
		r.wants("Rename of another's", r.Rename(ctx, "ann", other.id, "x"), otp.ReasonNotFound)
		r.wants("Rename to a long name", r.Rename(ctx, "ann", d.id, strings.Repeat("x", 65)), otp.ReasonInvalid)
		if s := r.status("ann"); s.Tokens[0].Name != "Ann's new phone" {
			t.Errorf("%+v", s)
		}
		r.wants("Revoke of another's", r.Revoke(ctx, "ann", other.id), otp.ReasonNotFound)
		r.wants("Revoke of none", r.Revoke(ctx, "ann", ""), otp.ReasonNotFound)
		r.wants("Revoke", r.Revoke(ctx, "ann", d.id), "ok")
		time.Sleep(time.Minute)
		r.verify("ann", "revoked", d.off(0), otp.ReasonNotFound)
		r.verify("bob", "another's", other.off(0), "ok")
		if raw, _ := r.mem.Load(ctx, "ann"); raw != nil {
			t.Error("a subject who has nothing left has a value")
		}
	})
}

// TestNothingShown: no secret, code or name is in a log, an event, an error, or in what
// is printed.
func TestNothingShown(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T) {
		r := newRig(t)
		ctx := t.Context()
		request := authenticator.Request{Subject: "ann@example.com", Account: "ann@example.com", Name: "Ann's phone"}
		e, err := r.Enroll(ctx, request)
		if err != nil {
			t.Fatal(err)
		}
		d := deviceOf(e)
		key := authenticator.Key{Secret: secretOf('A'), Digits: 6, Period: time.Minute, Serial: "S1",
			User: "ann@example.com"}
		secrets := []string{e.Secret, strings.ReplaceAll(e.Secret, " ", ""), e.URI, string(d.secret),
			string(key.Secret),
			"ann@example.com", "Ann's phone", d.off(0), d.off(1), d.wrong(),
			strings.Trim(fmt.Sprint([20]byte(key.Secret)), "[]")}
		r.Confirm(ctx, request.Subject, d.wrong())
		r.Confirm(ctx, request.Subject, d.off(0))
		r.Verify(ctx, request.Subject, d.off(0))
		r.Verify(ctx, request.Subject, d.off(1))
		r.Verify(ctx, request.Subject, d.wrong())
		codes, _ := r.NewRecoveryCodes(ctx, request.Subject)
		secrets = append(secrets, codes...)
		r.Recover(ctx, request.Subject, codes[0])
		r.Recover(ctx, request.Subject, codes[0])
		r.Unlock(ctx, request.Subject)
		r.Revoke(ctx, request.Subject, e.ID)
		r.cfg.Keys = otp.NewKeyring()
		r.service(r.cfg).Verify(ctx, request.Subject, d.off(0)) // an error of the keyring
		var b strings.Builder
		pskc := authenticator.PSKC{Key: key.Secret, Password: "ann@example.com"}
		for _, v := range []any{request, e, *e, key, &key, []authenticator.Key{key}, r.cfg, r.Service, pskc, &pskc} {
			fmt.Fprintf(&b, "%v %+v %#v %s\n", v, v, v, v)
			text, _ := json.Marshal(v)
			b.Write(text)
			slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "v", v)
			slog.New(slog.NewTextHandler(&b, nil)).Info("x", "v", v)
		}
		for _, event := range r.events {
			fmt.Fprintf(&b, "%+v\n", event)
		}
		for where, text := range map[string]string{"print": b.String(), "log": r.log.String()} {
			for _, s := range secrets {
				if strings.Contains(text, s) {
					t.Errorf("%s shows %q:\n%s", where, s, text)
				}
			}
		}
		kinds := map[authenticator.EventKind]int{}
		for _, event := range r.events {
			kinds[event.Kind]++
		}
		if len(r.events) != 12 || kinds[authenticator.EventRejected] != 5 {
			t.Errorf("%d events: %v", len(r.events), kinds)
		}
	})
}
