package otp

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"log/slog"
	"maps"
	"sync"
)

// A Keyring holds the keys that codes are derived from. Keep it where the
// store's data is not: neither alone gives a code.
//
// To rotate, add a key under a new name to every process, then make it
// Current everywhere, and drop the old one once the challenges made with it
// have expired. Nothing needs to be migrated.
type Keyring struct {
	Current string            // name of the key for new challenges
	Keys    map[string][]byte // by name (at most 32 octets); each at least 32 random octets

	// Index names subjects, recipients and addresses in the store. At least
	// 32 random octets, unlike the Keys. It must not rotate with them: who
	// changes it forgets limits and locks.
	Index []byte
}

// NewKeyring returns a keyring of fresh random keys, for tests and first
// steps. Challenges do not outlive it: a service in production loads its keys
// from where it keeps its secrets.
func NewKeyring() Keyring {
	key, index := make([]byte, 32), make([]byte, 32)
	_, _ = rand.Read(key) // never fails, see crypto/rand
	_, _ = rand.Read(index)
	return Keyring{Current: "k1", Keys: map[string][]byte{"k1": key}, Index: index}
}

// String and GoString keep keys out of logs and error texts.
func (k Keyring) String() string { return fmt.Sprintf("otp.Keyring(current %q)", k.Current) }

// GoString is String.
func (k Keyring) GoString() string { return k.String() }

// LogValue is String.
func (k Keyring) LogValue() slog.Value { return slog.StringValue(k.String()) }

func (k Keyring) validate() error {
	if len(k.Index) < 32 {
		return errors.New("otp: Config.Keys.Index is shorter than 32 octets")
	}
	if k.Keys[k.Current] == nil {
		return fmt.Errorf("otp: Config.Keys.Current %q is not among Config.Keys.Keys", k.Current)
	}
	for name, key := range k.Keys {
		if name == "" || len(name) > 32 {
			return errors.New("otp: a name in Config.Keys.Keys is empty or longer than 32 octets")
		}
		if len(key) < 32 {
			return fmt.Errorf("otp: Config.Keys.Keys[%q] is shorter than 32 octets", name)
		}
		if hmac.Equal(key, k.Index) {
			return fmt.Errorf("otp: Config.Keys.Keys[%q] is the Index key: they must differ", name)
		}
	}
	return nil
}

// A prf is HMAC-SHA256 under one key. It is safe for concurrent use.
type prf struct{ pool sync.Pool }

func newPRF(key []byte) *prf {
	key = append([]byte(nil), key...)
	p := &prf{}
	p.pool.New = func() any { return &mac{prf: p, hash: hmac.New(sha256.New, key)} }
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

// keys is a Keyring ready for use.
type keys struct {
	current string
	byName  map[string]*prf
	index   *prf
}

func (k Keyring) ready() keys {
	r := keys{current: k.Current, byName: map[string]*prf{}, index: newPRF(k.Index)}
	for name, key := range maps.All(k.Keys) {
		r.byName[name] = newPRF(key)
	}
	return r
}

// errKey means that a challenge was made with a key that is not in the ring.
var errKey = errors.New("otp: the challenge's key is not in the keyring")

// codeKey derives the key of a challenge's n-th code.
func (k keys) codeKey(name string, salt []byte, id, purpose, subject string, binding [32]byte, n int) ([32]byte, error) {
	p := k.byName[name]
	if p == nil {
		return [32]byte{}, errKey
	}
	m := p.begin("code 1").bytes(salt).text(id).text(purpose).text(subject).bytes(binding[:])
	m.message = binary.BigEndian.AppendUint32(m.message, uint32(n))
	return m.end(), nil
}

// sealer returns the cipher of one challenge. Its key depends on the salt and
// seals one plaintext, so that a fixed nonce does not repeat.
func (k keys) sealer(name string, salt []byte, id string) (cipher.AEAD, error) {
	p := k.byName[name]
	if p == nil {
		return nil, errKey
	}
	key := p.begin("seal 1").bytes(salt).text(id).end()
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

var zeroNonce [12]byte

func (k keys) seal(name string, salt []byte, id string, plain []byte) ([]byte, error) {
	aead, err := k.sealer(name, salt, id)
	if err != nil {
		return nil, err
	}
	return aead.Seal(nil, zeroNonce[:], plain, []byte(id)), nil
}

func (k keys) open(name string, salt []byte, id string, sealed []byte) ([]byte, error) {
	aead, err := k.sealer(name, salt, id)
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, zeroNonce[:], sealed, []byte(id))
	if err != nil {
		return nil, errors.New("otp: the challenge cannot be opened: it was changed, or sealed with another key of the same name")
	}
	return plain, nil
}
