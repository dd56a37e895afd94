package main

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/otpcourier/otpcourier/otp"
)

// A cabinet keeps the server's own state: values by name, each with a life. Its
// methods are safe for concurrent use.
type cabinet interface {
	put(ctx context.Context, name string, value []byte, life time.Duration) error
	get(ctx context.Context, name string) ([]byte, error)  // errGone if there is none
	take(ctx context.Context, name string) ([]byte, error) // get, for one caller only
	list(ctx context.Context, prefix string) ([]string, error)
}

var (
	errGone   = errors.New("there is nothing of that name, or no more")
	errSealed = errors.New("a value in the store does not open: other OTP_KEYS, or it was changed")
)

// A memoryCabinet is for one process. It holds at most maxValues, and refuses more.
type memoryCabinet struct {
	mu     sync.Mutex
	values map[string]kept
}

type kept struct {
	value   []byte
	expires time.Time
}

const maxValues = 100_000

func (m *memoryCabinet) put(_ context.Context, name string, value []byte, life time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	if _, ok := m.values[name]; !ok && len(m.values) >= maxValues {
		for old, v := range m.values {
			if now.After(v.expires) {
				delete(m.values, old)
			}
		}
		if len(m.values) >= maxValues {
			return errors.New("the memory has no room")
		}
	}
	m.values[name] = kept{value, now.Add(life)}
	return nil
}

func (m *memoryCabinet) get(_ context.Context, name string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.values[name]
	if !ok || time.Now().After(v.expires) {
		return nil, errGone
	}
	return v.value, nil
}

func (m *memoryCabinet) take(ctx context.Context, name string) ([]byte, error) {
	value, err := m.get(ctx, name)
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.values[name]; !ok {
		return nil, errGone
	}
	delete(m.values, name)
	return value, err
}

func (m *memoryCabinet) list(_ context.Context, prefix string) (names []string, _ error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, v := range m.values {
		if strings.HasPrefix(name, prefix) && time.Now().Before(v.expires) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// A vault is a cabinet whose values nobody can read there: they hold people's
// addresses. A value that was moved to another name does not open.
type vault struct {
	cabinet
	aead cipher.AEAD
}

func newVault(c cabinet, keys otp.Keyring) (*vault, error) {
	key, err := hkdf.Key(sha256.New, keys.Index, nil, "examples/server vault 1", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return &vault{c, aead}, err
}

// write seals a value.
func (v *vault) write(ctx context.Context, name string, value any, life time.Duration) error {
	sealed, err := v.seal(name, value)
	if err != nil {
		return err
	}
	return v.put(ctx, name, sealed, life)
}

func (v *vault) seal(name string, value any) ([]byte, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	return v.aead.Seal(nil, nil, text, []byte(name)), nil
}

// read opens what get or take returned.
func (v *vault) read(name string, sealed []byte, err error, into any) error {
	if err != nil {
		return err
	}
	return v.open(name, sealed, into)
}

func (v *vault) open(name string, sealed []byte, into any) error {
	text, err := v.aead.Open(nil, nil, sealed, []byte(name))
	if err != nil {
		return errSealed
	}
	return json.Unmarshal(text, into)
}

// secretName is the name of what a secret opens: the store has its hash only.
func secretName(kind, secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return kind + "/" + base64.RawURLEncoding.EncodeToString(sum[:])
}

// secret returns 130 random bits as text.
func secret() string { return rand.Text() }
