package otp_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/otp"
)

// TestKeyringText: the text for an environment variable comes back as it was, and
// keeps its Current.
func TestKeyringText(t *testing.T) {
	t.Parallel()
	k := otp.NewKeyring()
	k.Keys["k2"], k.Keys["a_b-9"] = bytes.Repeat([]byte("0123456789abcdef"), 4), otp.NewKeyring().Index
	k.Current = "k2"
	text, err := k.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{string(text), " " + strings.ReplaceAll(string(text), ",", " ,\n ") + "\n"} {
		got, err := otp.ParseKeyring(s)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string]any{"c": k.Current, "k": k.Keys, "i": k.Index}, map[string]any{"c": got.Current,
			"k": got.Keys, "i": got.Index}); diff != "" {
			t.Error(diff)
		}
	}
	if !strings.HasPrefix(string(text), "index=") || strings.Contains(string(text), " ") {
		t.Errorf("got %q", text)
	}
}

// TestKeyringErrors: an error says what to do, and shows no key.
func TestKeyringErrors(t *testing.T) {
	t.Parallel()
	key := strings.Repeat("QUJD", 11)
	for text, want := range map[string]string{
		"":                               "NewKeyring",
		"  ":                             "NewKeyring",
		"k1=" + key:                      "Index",
		"index=" + key:                   "Current",
		"index=" + key + ",k1":           "part 2",
		"index=" + key + ",k1=%%%":       "part 2",
		"index=" + key + ",k1=" + key:    "differ",
		"index=" + key + ",k1=QUJD":      "shorter",
		"index=" + key + ",index=" + key: "twice",
		"index=" + key + ",k1=" + key + ",k1=" + key:      "twice",
		"index=" + key + ",k 1=" + key:                    "name of a key",
		"index=" + strings.Repeat("A", 43) + ",k1=" + key: "over and over",
	} {
		_, err := otp.ParseKeyring(text)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "QUJDQUJD") {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if _, err := (otp.Keyring{}).MarshalText(); err == nil || !strings.Contains(err.Error(), "ParseKeyring") {
		t.Errorf("an empty keyring: %v", err)
	}
}

// TestKeyringIsNotShown in any way but by MarshalText.
func TestKeyringIsNotShown(t *testing.T) {
	t.Parallel()
	secret := []byte("0123456789abcdefghijklmnopqrstuv")
	k := otp.Keyring{Current: "k1", Keys: map[string][]byte{"k1": secret}, Index: bytes.ToUpper(secret)}
	b, err := json.Marshal(map[string]any{"k": k, "p": &k, "c": struct{ Keys otp.Keyring }{k}})
	if err != nil {
		t.Fatal(err)
	}
	shown := string(b) + fmt.Sprintf("%v %+v %#v %s %v %+v %#v", k, k, k, k, &k, []otp.Keyring{k},
		map[string]otp.Keyring{"a": k})
	for _, bad := range []string{"0123456", "MDEyMzQ1", "[48 49", "0x30, 0x31", "30313233"} {
		if strings.Contains(shown, bad) {
			t.Errorf("%q is in %s", bad, shown)
		}
	}
}

func FuzzParseKeyring(f *testing.F) {
	text, err := otp.NewKeyring().MarshalText()
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{"", string(text), string(text[:40]), "index=,=", "a=b,c=d", strings.Repeat("k=,", 99)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		k, err := otp.ParseKeyring(s)
		if err != nil {
			return
		}
		text, err := k.MarshalText()
		if err != nil {
			t.Fatalf("%q was read, and cannot be written: %v", s, err)
		}
		if again, err := otp.ParseKeyring(string(text)); err != nil || !cmp.Equal(again.Keys, k.Keys) {
			t.Fatalf("%v", err)
		}
	})
}
