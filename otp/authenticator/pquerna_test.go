package authenticator_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	pquerna "github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
	"github.com/pquerna/otp/totp"

	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/authenticator"
)

// TestFaultsOfPquerna: each fault of github.com/pquerna/otp v1.5.0 is still there, so that
// a newer version is read again, and a Service does not have it.
func TestFaultsOfPquerna(t *testing.T) {
	t.Parallel()
	const secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
	for name, c := range map[string]struct {
		theirs func() bool // the fault
		ours   func(t *testing.T, r *rig)
	}{
		"a code is accepted twice": {
			func() bool {
				code, _ := totp.GenerateCode(secret, time.Unix(1000, 0))
				o := totp.ValidateOpts{Period: 30, Skew: 1, Digits: 6}
				first, _ := totp.ValidateCustom(code, secret, time.Unix(1000, 0), o)
				second, _ := totp.ValidateCustom(code, secret, time.Unix(1000, 0), o)
				return first && second
			},
			func(_ *testing.T, r *rig) {
				d := r.app("ann")
				r.verify("ann", "once", d.off(1), "ok")
				r.verify("ann", "twice", d.off(1), otp.ReasonClosed)
			},
		},
		"an empty secret is a key": {
			func() bool {
				code, _ := totp.GenerateCode("", time.Unix(1000, 0))
				ok, _ := totp.ValidateCustom(code, "", time.Unix(1000, 0), totp.ValidateOpts{Period: 30, Digits: 6})
				return ok
			},
			func(t *testing.T, r *rig) {
				k := authenticator.Key{Digits: 6, Period: 30 * time.Second}
				_, err := r.Enroll(t.Context(), authenticator.Request{Subject: "ann", Key: &k, Confirmed: true})
				r.wants("no secret", err, otp.ReasonInvalid)
				code, _ := totp.GenerateCode("", time.Now())
				r.verify("ann", "the code of no secret", code, otp.ReasonNotFound)
			},
		},
		"digits of 0 are an error": {
			func() bool {
				code, _ := totp.GenerateCode(secret, time.Unix(1000, 0))
				_, err := totp.ValidateCustom(code, secret, time.Unix(1000, 0), totp.ValidateOpts{Period: 30})
				return err != nil
			},
			func(t *testing.T, _ *rig) {
				k, err := authenticator.ParseURI("otpauth://totp/a?secret=" + secret)
				if err != nil || k.Digits != 6 {
					t.Errorf("%d digits, %v", k.Digits, err)
				}
			},
		},
		"an unknown encoder makes the empty code": {
			func() bool {
				code, err := hotp.GenerateCodeCustom(secret, 1, hotp.ValidateOpts{Digits: 6, Encoder: "x"})
				return code == "" && err == nil
			},
			func(t *testing.T, r *rig) {
				if _, err := authenticator.ParseURI("otpauth://totp/a?secret=" + secret + "&encoder=x"); err == nil {
					t.Error("an encoder is taken")
				}
				r.app("ann")
				r.verify("ann", "the empty code", "", otp.ReasonMalformed)
			},
		},
		"MD5 panics": {
			func() bool {
				return panics(func() {
					for i := range uint64(1000) {
						_, _ = hotp.GenerateCodeCustom(secret, i, hotp.ValidateOpts{Digits: 6,
							Algorithm: pquerna.AlgorithmMD5})
					}
				})
			},
			func(t *testing.T, _ *rig) {
				if _, err := authenticator.ParseURI("otpauth://totp/a?secret=" + secret +
					"&algorithm=MD5"); err == nil {
					t.Error("MD5 is taken")
				}
			},
		},
		"an unknown algorithm panics": {
			func() bool {
				return panics(func() {
					_, _ = hotp.GenerateCodeCustom(secret, 1, hotp.ValidateOpts{Digits: 6, Algorithm: 99})
				})
			},
			func(t *testing.T, r *rig) {
				k := authenticator.Key{Secret: secretOf(1), Digits: 6, Period: time.Minute, Hash: 99}
				_, err := r.Enroll(t.Context(), authenticator.Request{Subject: "ann", Key: &k})
				r.wants("hash 99", err, otp.ReasonInvalid)
			},
		},
		"negative digits panic": {
			func() bool {
				return panics(func() { _, _ = hotp.GenerateCodeCustom(secret, 1, hotp.ValidateOpts{Digits: -1}) })
			},
			func(t *testing.T, r *rig) {
				k := authenticator.Key{Secret: secretOf(1), Digits: -1, Period: time.Minute}
				_, err := r.Enroll(t.Context(), authenticator.Request{Subject: "ann", Key: &k})
				r.wants("-1 digits", err, otp.ReasonInvalid)
			},
		},
		"a secret as apps show it is refused": {
			func() bool {
				_, err := totp.GenerateCode("GEZD GNBV GY3T QOJQ", time.Unix(1000, 0))
				_, padded := totp.GenerateCode(secret+"======", time.Unix(1000, 0))
				return err != nil && padded != nil
			},
			func(t *testing.T, _ *rig) {
				for _, s := range []string{"GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ",
					"gezd-gnbv-gy3t-qojq-gezd-gnbv-gy3t-qojq",
					secret + "======"} {
					k, err := authenticator.ParseURI("otpauth://totp/a?secret=" + url.QueryEscape(s))
					if err != nil || string(k.Secret) != "12345678901234567890" {
						t.Errorf("%s: %v", s, err)
					}
				}
			},
		},
		"an issuer replaces the secret": {
			func() bool {
				k, err := totp.Generate(totp.GenerateOpts{Issuer: "X&secret=AAAA&period=5", AccountName: "a"})
				if err != nil {
					return false
				}
				u, _ := url.Parse(k.URL())
				at, _ := totp.Generate(totp.GenerateOpts{Issuer: "AT&T", AccountName: "a"})
				return len(u.Query()["secret"]) > 1 || at.Issuer() != "AT&T"
			},
			func(t *testing.T, r *rig) {
				for _, issuer := range []string{"X&secret=AAAA&period=5", "AT&T", "C++ Club", "a=b", "50%", "a#b?c/d"} {
					e := enrolment(t, issuer, issuer)
					u, err := url.Parse(e.URI)
					if err != nil || u.Query().Get("issuer") != issuer || u.Path != "/"+issuer+":"+issuer ||
						len(u.Query()) != 2 {
						t.Errorf("%s: %s", issuer, e.URI)
					}
				}
				if _, err := r.Enroll(t.Context(), authenticator.Request{Subject: "a", Account: "a:b"}); err == nil {
					t.Error("a colon is taken")
				}
			},
		},
		"an HOTP URI has no counter, and 80 bits": {
			func() bool {
				k, err := hotp.Generate(hotp.GenerateOpts{Issuer: "X", AccountName: "a"})
				return err == nil && !strings.Contains(k.URL(), "counter") && len(k.Secret()) == 16
			},
			func(t *testing.T, r *rig) {
				k := authenticator.Key{Secret: secretOf(1), Digits: 6, Counter: true}
				e, err := r.Enroll(t.Context(), authenticator.Request{Subject: "ann", Account: "ann", Key: &k})
				if err != nil || !strings.HasSuffix(e.URI, "&counter=0") {
					t.Errorf("%v, %v", e, err)
				}
				k.Secret = k.Secret[:10]
				_, err = r.Enroll(t.Context(), authenticator.Request{Subject: "ann", Account: "ann", Key: &k})
				r.wants("80 bits", err, otp.ReasonInvalid)
			},
		},
		"a QR code has no margin": {
			func() bool {
				k, _ := totp.Generate(totp.GenerateOpts{Issuer: "Acme", AccountName: "ann@example.com"})
				img, err := k.Image(240, 240)
				if err != nil {
					return false
				}
				margin := 0
				for !dark(img.At(margin, margin)) && margin < 100 {
					margin++
				}
				return margin < 4*240/45 // four of its 45 modules
			},
			func(t *testing.T, _ *rig) {
				b, err := enrolment(t, "Acme", "ann@example.com").PNG(240)
				if err != nil {
					t.Fatal(err)
				}
				if img := decodePNG(t, b); img.Bounds().Dx() < 240 || dark(img.At(19, 19)) {
					t.Error(img.Bounds())
				}
			},
		},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			if !c.theirs() {
				t.Errorf("v1.5.0 had this fault; this version has not: read it again")
			}
			virtual(t, func(t *testing.T) { c.ours(t, newRig(t)) })
		})
	}
}

func panics(f func()) (yes bool) {
	defer func() { yes = recover() != nil }()
	f()
	return false
}

// TestDefaultsAreLeftOut: an ordinary QR code has 41 modules, which is easier to scan.
func TestDefaultsAreLeftOut(t *testing.T) {
	t.Parallel()
	e := enrolment(t, "Acme", "ann@example.com")
	for _, name := range []string{"algorithm", "digits", "period", "image"} {
		if strings.Contains(e.URI, name) {
			t.Errorf("%s is in %s", name, fmt.Sprint(len(e.URI), " octets"))
		}
	}
	b, err := e.PNG(0)
	if err != nil {
		t.Fatal(err)
	}
	if n := decodePNG(t, b).Bounds().Dx() - 8; n > 41 {
		t.Errorf("%d modules, want 41 at most", n)
	}
}
