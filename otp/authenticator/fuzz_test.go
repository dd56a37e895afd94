package authenticator_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/otp/authenticator"
)

// samples returns the files of testdata whose names end in ext.
func samples(t testing.TB, ext string) (files [][]byte) {
	t.Helper()
	names, err := filepath.Glob("testdata/*" + ext)
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, b)
	}
	return files
}

// usable fails unless Enroll takes the keys.
func usable(t *testing.T, keys []authenticator.Key, err error) {
	t.Helper()
	if err != nil && len(keys) > 0 {
		t.Fatalf("%d keys with the error %v", len(keys), err)
	}
	for _, k := range keys {
		if len(k.Secret) < 16 || len(k.Secret) > 128 || k.Digits < 6 || k.Digits > 8 ||
			!k.Counter && (k.Period < time.Second || k.Period > 2*time.Minute) {
			t.Fatalf("%v: %d octets, %d digits, %v", k, len(k.Secret), k.Digits, k.Period)
		}
	}
}

// sampleKey opens those of the samples that have a pre-shared key.
var sampleKey = authenticator.PSKC{Key: []byte("\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff")}

func FuzzReadPSKC(f *testing.F) {
	for _, b := range samples(f, ".pskcxml") {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		keys, _, err := authenticator.ReadPSKC(bytes.NewReader(b), sampleKey)
		usable(t, keys, err)
	})
}

func FuzzReadCSV(f *testing.F) {
	for _, b := range samples(f, ".csv") {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		keys, _, err := authenticator.ReadCSV(bytes.NewReader(b))
		usable(t, keys, err)
	})
}

func FuzzParseURI(f *testing.F) {
	for _, v := range readVectors(f).URI {
		f.Add(v.URI)
	}
	f.Add(readVectors(f).Migration.URI)
	f.Fuzz(func(t *testing.T, text string) {
		k, err := authenticator.ParseURI(text)
		if err == nil {
			usable(t, []authenticator.Key{k}, nil)
		}
	})
}

// TestMangledFiles: whatever is done to a seed file, its reader returns, and what it
// returns is usable.
func TestMangledFiles(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	files := append(samples(t, ".pskcxml"), samples(t, ".csv")...)
	taken := 0
	for i := range 3000 {
		b := mangle(r, bytes.Clone(files[i%len(files)]))
		keys, _, err := authenticator.ReadPSKC(bytes.NewReader(b), sampleKey)
		usable(t, keys, err)
		taken += len(keys)
		keys, _, err = authenticator.ReadCSV(bytes.NewReader(b))
		usable(t, keys, err)
		taken += len(keys)
	}
	if taken == 0 {
		t.Error("no file was read: the mangling is too hard")
	}
	t.Log(taken, "keys taken")
}

// mangle flips, removes, repeats and moves octets.
func mangle(r *rand.Rand, b []byte) []byte {
	for range 1 + r.IntN(3) {
		if len(b) < 2 {
			return b
		}
		from := r.IntN(len(b))
		to := min(len(b), from+r.IntN(40))
		switch r.IntN(4) {
		case 0:
			b[from] ^= 1 << r.IntN(8)
		case 1:
			b = append(b[:from:from], b[to:]...)
		case 2:
			b = append(b[:to:to], b[from:]...)
		case 3:
			other := r.IntN(len(b))
			b = append(b[:from:from], append(bytes.Clone(b[other:min(len(b), other+30)]), b[from:]...)...)
		}
	}
	return b
}
