package otp_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/phone"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/wording"
)

// known are secrets that no formatting of a value may show.
var known = map[string]string{
	"code":    "GHJKLMNPQR",
	"key":     "\x01\x9a\x33\xc7KEY-thirty-two-octets-of-it-\xfe\xfd\x00\x10",
	"index":   "\x02\x8b\x44\xd8INDEX-thirty-two-octets-it-\xfc\xfb\x00\x20",
	"phone":   "+447912345678",
	"mailbox": "ann.secretive@example.com",
	"push":    "push-token-abcdefghijklmnop",
	"chat":    "telegram:4711471147114711",
}

// forms are the ways in which a formatting may write a secret.
func forms(secret string) []string {
	b := []byte(secret)
	printed, syntax := fmt.Sprint(b), fmt.Sprintf("%#v", b) //nolint:staticcheck // as a careless log does
	all := []string{secret, hex.EncodeToString(b), strings.Trim(printed, "[]"),
		strings.TrimSuffix(strings.TrimPrefix(syntax, "[]byte{"), "}"),
		strings.Trim(fmt.Sprintf("%q", secret), `"`)}
	for _, e := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		all = append(all, e.EncodeToString(b)[:len(b)]) // without what depends on the end
	}
	if digits, ok := strings.CutPrefix(secret, "+44"); ok {
		all = append(all, digits)
	}
	return all
}

// secretive returns a value of every exported type of the packages otp, wording and
// channel that could hold a secret, filled with the secrets that are returned,
// too.
func secretive(t *testing.T) (values []any, s map[string]string) {
	t.Helper()
	s = maps.Clone(known)
	to := channel.Recipient{Phone: s["phone"], Email: s["mailbox"], Push: s["push"], Chat: s["chat"]}
	keys := otp.Keyring{Current: "k1", Keys: map[string][]byte{"k1": []byte(s["key"])}, Index: []byte(s["index"])}
	m := channel.Message{ID: "x.1", To: to, Code: s["code"], Text: s["code"], Subject: s["code"], Body: s["code"],
		HTML: s["code"]}
	fixed := otp.FixedCode{Address: s["phone"], Code: s["code"]}
	r := newRig(t, func(c *otp.Config) {
		c.Keys, c.Generator = keys, otp.Random{Length: 10, Alphabet: "GHJKLMNPQRSTUVWXYZ"}
		c.FixedCodes, c.DangerouslyAcceptFixedCodes = []otp.FixedCode{fixed}, true
		c.Tenants = []otp.Tenant{{Name: "other"}}
	})
	var last otp.Event
	r.cfg.Events = func(_ context.Context, e otp.Event) { last = e }
	r.cfg.Receipts = nil
	r.cfg.Channel = channel.Func(func(_ context.Context, m *channel.Message) (channel.Submission, error) {
		s["sent code"] = m.Code
		refused := &channel.Error{Class: channel.Temporary, Op: "test: send to " + m.To.Phone, Code: "550 " + m.Code,
			Err: errors.New(m.Code + m.To.Email + m.To.Phone + m.To.Push + " " + m.To.Chat + m.Text)}
		return channel.Submission{Hops: []channel.Hop{{Route: "A", Class: channel.Temporary, Err: refused}}}, refused
	})
	svc := r.another(t)
	c, err := svc.Send(t.Context(), otp.Request{Subject: s["mailbox"], To: to, Details: "10 EUR"})
	var failed *otp.Error
	if !errors.As(err, &failed) || len(c.Hops) == 0 || last.Err == nil {
		t.Fatalf("%v, %v, %+v", c, err, last)
	}
	return []any{keys, &keys, otp.Seed{Key: []byte(s["key"])}, fixed, r.cfg, svc, *c, *failed, failed, last,
		otp.Request{Subject: s["phone"], To: to, Binding: []byte(s["code"]), Details: s["code"],
			IdempotencyKey: s["code"], IP: netip.MustParseAddr("192.0.2.1")},
		otp.Attempt{Phone: phone.Number{E164: s["phone"]}, Email: s["mailbox"], Subject: s["mailbox"]},
		otp.Erasure{Subject: s["mailbox"], To: to},
		otp.Ref{ID: c.ID, Subject: s["mailbox"]}, otp.Scope{Subject: s["mailbox"]},
		otp.ResendRequest{ID: c.ID, Subject: s["mailbox"], IdempotencyKey: s["code"]},
		otp.Verification{ID: c.ID, Subject: s["mailbox"], Code: s["code"], Binding: []byte(s["code"])},
		to, m, &m, c.Hops[0], channel.Submission{Hops: c.Hops}, channel.Feedback{To: to},
		wording.Data{Code: s["code"], Details: s["phone"]},
		wording.Text{SMS: s["code"], Subject: s["code"], Body: s["code"], HTML: s["code"]},
	}, s
}

// harmless are the exported types that hold no secret: configuration, names and
// numbers, functions, and interfaces.
var harmless = []string{
	"otp.Action", "otp.Attestations", "otp.Periodic", "otp.Profile", "channel.Plaintexter",
	"otp.EventKind", "otp.Generator", "otp.Guard", "otp.GuardFunc", "otp.Settler", "otp.Verdict", "otp.Measurer",
	"otp.Next", "otp.Normalizer", "otp.Operation", "otp.Policy", "otp.Random",
	"otp.Rate", "otp.Reason", "otp.ResendRoute", "otp.Tenant",
	"wording.Config", "wording.Error", "wording.Plural", "wording.Set", "wording.Warning", "wording.Wording",
	"channel.Address", "channel.Canceler", "channel.Channel", "channel.Class", "channel.Error", "channel.Func",
	"channel.FeedbackKind", "channel.Observer",
	"channel.PanicError", "channel.Planner", "channel.Prompter",
	"channel.Receipt", "channel.ReceiptFunc", "channel.Receipts", "channel.Retry", "channel.Route",
	"channel.RouteLister", "channel.Router",
	"channel.RouterFunc", "channel.State",
}

// exported returns the exported types of a package.
func exported(t *testing.T, dir, name string) (types []string) {
	t.Helper()
	all, err := parser.ParseDir(token.NewFileSet(), dir, func(f fs.FileInfo) bool {
		return !strings.HasSuffix(f.Name(),
			"_test.go")
	}, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all[name].Files {
		for _, d := range f.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, s := range g.Specs {
				if ts, ok := s.(*ast.TypeSpec); ok && ts.Name.IsExported() {
					types = append(types, name+"."+ts.Name.Name)
				}
			}
		}
	}
	return types
}

// boxes puts v into the values in which a program may have it.
func boxes(v any) map[string]any {
	rv := reflect.ValueOf(v)
	typ := rv.Type()
	pointer := reflect.New(typ)
	pointer.Elem().Set(rv)
	list := reflect.MakeSlice(reflect.SliceOf(typ), 1, 1)
	list.Index(0).Set(rv)
	table := reflect.MakeMap(reflect.MapOf(reflect.TypeFor[string](), typ))
	table.SetMapIndex(reflect.ValueOf("x"), rv)
	holder := reflect.New(reflect.StructOf([]reflect.StructField{{Name: "V", Type: typ}})).Elem()
	holder.Field(0).Set(rv)
	byPointer := reflect.New(reflect.StructOf([]reflect.StructField{{Name: "V", Type: pointer.Type()}})).Elem()
	byPointer.Field(0).Set(pointer)
	all := map[string]any{"itself": v, "struct": holder.Interface(), "slice": list.Interface(),
		"map":       table.Interface(),
		"interface": []any{v}, "pointer": pointer.Interface(), "pointer in a struct": byPointer.Interface()}
	if err, ok := v.(error); ok {
		all["wrapped"] = fmt.Errorf("wrapped: %w", err)
	}
	return all
}

// shown returns v as each formatting has it.
func shown(v any) map[string]string {
	all := map[string]string{}
	for _, verb := range []string{"%v", "%+v", "%#v", "%q", "%s", "%x", "%X"} {
		all[verb] = fmt.Sprintf(verb, v)
	}
	all["Sprint"] = fmt.Sprint(v)
	all["Errorf"] = fmt.Errorf("%v", v).Error()
	b, err := json.Marshal(v)
	all["JSON"] = fmt.Sprint(string(b), err)
	for name, handler := range map[string]func(*bytes.Buffer) slog.Handler{
		"slog text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
		"slog JSON": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
	} {
		var out bytes.Buffer
		slog.New(handler(&out)).With("with", v).Info("x", slog.Any("v", v), slog.Group("group", "v", v))
		all[name] = out.String()
	}
	return all
}

// No formatting of any value of these packages shows a code, a key or an
// address, whatever the value is in.
func TestNoFormattingShowsASecret(t *testing.T) {
	t.Parallel()
	values, secrets := secretive(t)
	seen := map[string]bool{}
	for _, name := range harmless {
		seen[name] = true
	}
	for _, v := range values {
		seen[strings.TrimPrefix(fmt.Sprintf("%T", v), "*")] = true
		if e, ok := v.(otp.Error); ok {
			v = &e // as every method returns it
		}
		for in, box := range boxes(v) {
			for how, text := range shown(box) {
				upper := strings.ToUpper(text)
				for what, secret := range secrets {
					for _, form := range forms(secret) {
						if i := strings.Index(upper, strings.ToUpper(form)); i >= 0 {
							t.Errorf("%T in %s by %s shows a %s: …%s…", v, in, how, what, text[max(i-40, 0):min(i+60,
								len(text))])
						}
					}
				}
			}
		}
	}
	for _, name := range slices.Concat(exported(t, ".", "otp"), exported(t, "../channel", "channel"),
		exported(t, "wording", "wording")) {
		if !seen[name] {
			t.Errorf("%s is a new type: it needs a value in secretive, or a line in harmless", name)
		}
	}
}

// panicVariable has this test binary panic with a value.
const panicVariable = "OTPCOURIER_TEST_PANIC"

// A value that a program panics with shows none either.
func TestNoPanicShowsASecret(t *testing.T) {
	t.Parallel()
	if n := os.Getenv(panicVariable); n != "" {
		values, _ := secretive(t)
		i := slices.Index(slices.Sorted(maps.Keys(panics(values))), n)
		if i >= 0 {
			panic(panics(values)[n])
		}
		return
	}
	values, secrets := secretive(t)
	delete(secrets, "sent code") // another there
	for name := range panics(values) {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestNoPanicShowsASecret$")
		cmd.Env = append(os.Environ(), panicVariable+"="+name)
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), "panic:") {
			t.Fatalf("%s: no panic: %s", name, out)
		}
		for what, secret := range secrets {
			for _, form := range forms(secret) {
				if strings.Contains(strings.ToUpper(string(out)), strings.ToUpper(form)) {
					t.Errorf("a panic with %s shows a %s: %.300s", name, what, out)
				}
			}
		}
	}
}

// panics returns values whose text a panic prints.
func panics(values []any) map[string]any {
	all := map[string]any{}
	for _, v := range values {
		switch v.(type) {
		case *otp.Error, otp.Keyring, channel.Message, otp.Request:
			all[fmt.Sprintf("%T", v)] = v
			all[fmt.Sprintf("an error of %T", v)] = fmt.Errorf("%+v", v)
		}
	}
	return all
}
