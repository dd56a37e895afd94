package otp

import (
	"bytes"
	"cmp"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/otpcourier/otpcourier/store"
)

// A Keyring holds the keys that codes are derived from. It must be kept apart from the
// store's data, since neither alone gives a code.
//
// To rotate, add a key under a new name in every process. Then make it Current in every
// process, and remove the old key once the challenges made with it have expired. Nothing
// needs to be migrated.
//
// [ParseKeyring] reads a keyring from the text of an environment variable. A keyring shows
// no key when it is logged, printed or marshalled as JSON; only MarshalText does.
type Keyring struct {
	Current string            // name of the key for new challenges
	Keys    map[string][]byte // by name, 1 to 32 of [A-Za-z0-9_-]; each at least 32 random octets

	// Index is the key of the hashes that name subjects and addresses in the store.
	// At least 32 random octets, and none of the Keys. It must not be rotated: a
	// change of the Index forgets limits, locks and live challenges.
	Index []byte
}

// NewKeyring returns a keyring of fresh random keys. Codes made with a keyring cannot be
// verified with another one. A service in production must make a keyring once, keep the
// text of MarshalText with its secrets, and read it with [ParseKeyring].
func NewKeyring() Keyring {
	key, index := make([]byte, 32), make([]byte, 32)
	_, _ = rand.Read(key) // never fails, see crypto/rand
	_, _ = rand.Read(index)
	return Keyring{Current: "k1", Keys: map[string][]byte{"k1": key}, Index: index}
}

// keyText is the encoding of keys: 43 characters for 32 octets.
var keyText = base64.RawURLEncoding

// ParseKeyring reads the text of [Keyring.MarshalText], for example from an environment
// variable:
//
//	OTP_KEYS="index=BASE64URL,k2=BASE64URL,k1=BASE64URL"
//
// The first key after index is Current. White space between the parts is ignored. The
// error names the wrong part, and shows no key.
func ParseKeyring(text string) (Keyring, error) {
	if strings.TrimSpace(text) == "" {
		return Keyring{},
			errors.New("otp: the keyring is empty: make one with NewKeyring, and keep the text of MarshalText")
	}
	k := Keyring{Keys: map[string][]byte{}}
	for i, part := range strings.Split(text, ",") {
		name, encoded, found := strings.Cut(strings.TrimSpace(part), "=")
		key, err := keyText.DecodeString(strings.TrimRight(encoded, "="))
		switch {
		case !found || err != nil:
			return Keyring{}, fmt.Errorf("otp: part %d of the keyring is not name=base64url", i+1)
		case name == "index" && k.Index == nil:
			k.Index = key
		case name == "index" || k.Keys[name] != nil:
			return Keyring{}, fmt.Errorf("otp: the keyring has %q twice", name)
		default:
			k.Current = cmp.Or(k.Current, name)
			k.Keys[name] = key
		}
	}
	return k, k.validate("otp: the keyring")
}

// MarshalText returns the keys for [ParseKeyring], Current first. The text is a
// secret.
func (k Keyring) MarshalText() ([]byte, error) {
	if err := k.validate("otp: the keyring"); err != nil {
		return nil, err
	}
	b := append([]byte("index="), keyText.EncodeToString(k.Index)...)
	names := append([]string{k.Current}, slices.Sorted(maps.Keys(k.Keys))...)
	for i, name := range names {
		if i == 0 || name != k.Current {
			b = fmt.Appendf(b, ",%s=%s", name, keyText.EncodeToString(k.Keys[name]))
		}
	}
	return b, nil
}

// UnmarshalText is [ParseKeyring].
func (k *Keyring) UnmarshalText(text []byte) (err error) {
	*k, err = ParseKeyring(string(text))
	return err
}

// String keeps keys out of logs and error texts.
func (k Keyring) String() string { return fmt.Sprintf("otp.Keyring(current %q)", k.Current) }

// GoString is String.
func (k Keyring) GoString() string { return k.String() }

// LogValue is String.
func (k Keyring) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalJSON is String.
func (k Keyring) MarshalJSON() ([]byte, error) { return json.Marshal(k.String()) }

// validate returns an error that begins with at.
func (k Keyring) validate(at string) error {
	if k.Current == "" && len(k.Keys) == 0 && k.Index == nil {
		return errors.New(at + " is required: read it with ParseKeyring, or make one with NewKeyring")
	}
	if err := validKey(k.Index); err != nil {
		return fmt.Errorf("%s: Index %w", at, err)
	}
	if k.Keys[k.Current] == nil {
		return fmt.Errorf("%s: Current %q is not among the Keys", at, k.Current)
	}
	for name, key := range k.Keys {
		if !validKeyName(name) {
			return fmt.Errorf("%s: the name of a key is not 1 to 32 of [A-Za-z0-9_-], or is index", at)
		}
		if err := validKey(key); err != nil {
			return fmt.Errorf("%s: key %q %w", at, name, err)
		}
		if hmac.Equal(key, k.Index) {
			return fmt.Errorf("%s: key %q is the Index, too: they must differ", at, name)
		}
	}
	return nil
}

func validKey(key []byte) error {
	if len(key) < 32 {
		return errors.New("is shorter than 32 octets")
	}
	if bytes.Count(key, key[:1]) == len(key) {
		return errors.New("is one octet over and over, not random")
	}
	return nil
}

func validKeyName(name string) bool {
	return name != "" && len(name) <= 32 && name != "index" && !strings.ContainsFunc(name, func(r rune) bool {
		return r != '-' && r != '_' && (r < '0' || r > '9') && (r|0x20 < 'a' || r|0x20 > 'z')
	})
}

// A prf is HMAC-SHA256 under one key. It is safe for concurrent use.
type prf struct{ pool sync.Pool }

func newPRF(key []byte) *prf {
	key = append([]byte(nil), key...)
	p := &prf{}
	p.pool.New = func() any {
		return &mac{prf: p, hash: hmac.New(sha256.New, key), message: make([]byte, 0, 512),
			sum: make([]byte, 0, sha256.Size)}
	}
	return p
}

// A mac collects one message for a prf. Each field stands behind its length,
// so that no two lists of fields make the same message.
type mac struct {
	prf     *prf
	hash    hash.Hash
	message []byte
	sum     []byte
}

// begin starts a message whose label no other kind of message has.
func (p *prf) begin(label string) *mac {
	m := p.pool.Get().(*mac)
	m.message = m.message[:0]
	return m.text(label)
}

func (m *mac) text(s string) *mac {
	m.message = append(binary.BigEndian.AppendUint32(m.message, uint32(len(s))), s...)
	return m
}

func (m *mac) bytes(b []byte) *mac {
	m.message = append(binary.BigEndian.AppendUint32(m.message, uint32(len(b))), b...)
	return m
}

// end returns the MAC; m must not be used after it.
func (m *mac) end() [32]byte {
	m.hash.Reset()
	m.hash.Write(m.message)
	m.sum = m.hash.Sum(m.sum[:0])
	sum := [32]byte(m.sum)
	m.prf.pool.Put(m)
	return sum
}

// uint adds a number.
func (m *mac) uint(n uint64) *mac {
	m.message = binary.BigEndian.AppendUint64(m.message, n)
	return m
}

// keys is the keyring of one application, ready for use.
type keys struct {
	keyID  string // the content of a record's Key: the owner, and the name of the current key
	owner  string // names the application in records
	byName map[string]*prf
	index  *prf
	ids    cipher.Block // turns an ID of the store into a public one
}

// application returns the keys of one application. Two that share a keyring
// derive everything apart.
func (k Keyring) application(name string) (keys, error) {
	root := newPRF(k.Index)
	index := root.begin("application 1").text(name).end()
	r := keys{byName: map[string]*prf{}, index: newPRF(index[:])}
	owner, id := r.index.begin("owner").end(), r.index.begin("id").end()
	r.owner = idEncoding.EncodeToString(owner[:5])
	r.keyID = r.owner + "/" + k.Current
	for name, key := range k.Keys {
		r.byName[name] = newPRF(key)
	}
	var err error
	r.ids, err = aes.NewCipher(id[:])
	return r, err
}

var (
	// errForeign means that a record belongs to another application that uses
	// the same store.
	errForeign = errors.New("the challenge belongs to another application in the same store")

	// errKey means that the key of a challenge is not in the keyring.
	errKey = errors.New("the challenge's key is not in the keyring")

	// errTampered means that a record was changed in the store, or that its key has the
	// name of another.
	errTampered = errors.New("the challenge's record is damaged, or changed by others")

	// errVersion means that a record was written by another version of the
	// program.
	errVersion = errors.New("the challenge's record is of another version")
)

// of returns the key of a record.
func (k keys) of(r *store.Record) (*prf, error) {
	owner, name, _ := strings.Cut(r.Key, "/")
	if owner != k.owner {
		return nil, errForeign
	}
	p := k.byName[name]
	if p == nil {
		return nil, errKey
	}
	return p, nil
}

// terms adds the parts of a record that never change. If one of them was changed in the
// store, the record cannot be opened and gives no code.
func (m *mac) terms(r *store.Record) *mac {
	newCode := uint64(0)
	if r.NewCode {
		newCode = 1
	}
	m.bytes(r.Salt).text(r.ID).text(r.Subject).
		uint(uint64(r.Created.UnixMicro())).uint(uint64(r.Expires.UnixMicro())).
		uint(newCode).uint(uint64(r.MaxAttempts)).uint(uint64(r.MaxFailures)).uint(uint64(r.Lock))
	if r.MaxRun != 0 || r.RunLife != 0 { // a record of before there was a MaxRun has neither
		m.uint(uint64(r.MaxRun)).uint(uint64(r.RunLife))
	}
	return m
}

// codeKey derives the key of a challenge's n-th code, from 0.
func (k keys) codeKey(r *store.Record, purpose string, binding [32]byte, n int) ([32]byte, error) {
	p, err := k.of(r)
	if err != nil {
		return [32]byte{}, err
	}
	return p.begin("code 2").text(k.owner).terms(r).text(purpose).bytes(binding[:]).uint(uint64(n)).end(), nil
}

// sealer returns the cipher of one challenge. Its key depends on the salt and
// seals one plaintext, so that a fixed nonce does not repeat.
func (k keys) sealer(r *store.Record) (cipher.AEAD, error) {
	p, err := k.of(r)
	if err != nil {
		return nil, err
	}
	key := p.begin("seal 2").text(k.owner).terms(r).end()
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

var zeroNonce [12]byte

func (k keys) seal(r *store.Record, plain []byte) ([]byte, error) {
	aead, err := k.sealer(r)
	if err != nil {
		return nil, err
	}
	return aead.Seal(nil, zeroNonce[:], plain, nil), nil
}

func (k keys) open(r *store.Record) ([]byte, error) {
	aead, err := k.sealer(r)
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, zeroNonce[:], r.Sealed, nil)
	if err != nil {
		return nil, errTampered
	}
	return plain, nil
}

// signLen is the length of a signature under a record's Delivery.
const signLen = 16

// sign returns the octets of a delivery with a signature behind them: write
// access to the store cannot make more codes valid.
func (k keys) sign(r *store.Record, delivery []byte) ([]byte, error) {
	p, err := k.of(r)
	if err != nil {
		return nil, err
	}
	sum := p.begin("delivery 2").text(k.owner).bytes(r.Salt).text(r.ID).bytes(delivery).end()
	return append(delivery, sum[:signLen]...), nil
}

// signed returns the octets of a record's delivery, without their signature.
func (k keys) signed(r *store.Record) ([]byte, error) {
	at := len(r.Delivery) - signLen
	if at < 0 {
		return nil, errTampered
	}
	plain := r.Delivery[:at:at]
	again, err := k.sign(r, plain)
	switch {
	case err != nil:
		return nil, err
	case !hmac.Equal(again[at:], r.Delivery[at:]):
		return nil, errTampered
	}
	return plain, nil
}
