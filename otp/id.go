package otp

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	mathrand "math/rand/v2"
	"strconv"
	"strings"

	"github.com/otpcourier/otpcourier/store"
)

// An id names a challenge in 16 octets. The first 14 bits are the bucket, which keeps a
// subject's challenges together in a backend. The next 80 bits are random, or derived from
// an idempotency key. The last 32 bits are of the subject's tag: an ID with another
// subject is refused without a call of the store.
//
// Its form in the store is "bucket-rest". The public form is encrypted as one block, so
// two IDs do not show that they belong to one subject.
type id [16]byte

const (
	uniqueAt = 2
	checkAt  = 12
)

const idAlphabet = "abcdefghijklmnopqrstuvwxyz234567"

var idEncoding = base32.NewEncoding(idAlphabet).WithPadding(base32.NoPadding)

// publicLen is the length of a public ID.
const publicLen = 26

// A subjectTag is a keyed hash of a tenant and a subject.
type subjectTag [16]byte

func (t subjectTag) String() string { return nameOf(t) }

// knownRun ends the names of the runs of known devices.
const knownRun = "+known"

// run names the run of failures of a subject's strangers, or of its known devices.
func (t subjectTag) run(known bool) string {
	if known {
		return t.String() + knownRun
	}
	return t.String()
}

// runs reports whether a record's Subject is one of the subject's runs.
func (t subjectTag) runs(subject string) bool {
	return strings.TrimSuffix(subject, knownRun) == t.String()
}

// subjectOf returns the subject of a record, known device or not.
func subjectOf(r *store.Record) string { return strings.TrimSuffix(r.Subject, knownRun) }

// subject returns the tag of a tenant's subject.
func (k keys) subject(tenant, subject string) subjectTag {
	sum := k.index.begin("subject").text(tenant).text(subject).end()
	return subjectTag(sum[:16])
}

// group names a purpose in the store.
func (k keys) group(tenant, purpose string) string {
	sum := k.index.begin("group").text(tenant).text(purpose).end()
	return string(sum[:8])
}

// limitsKey begins the names of the limits of one address: its scope, "phone" or "ip", and
// the address. The span of a limit follows. The limits are counts of one thing.
func (k keys) limitsKey(tenant, scope, what string) string {
	sum := k.index.begin("limit").text(tenant).text(scope).text(what).end()
	return scope + "/" + nameOf([16]byte(sum[:])) + store.Of
}

// nameOf returns 16 octets as text.
func nameOf(octets [16]byte) string {
	var text [22]byte
	base64.RawURLEncoding.Encode(text[:], octets[:])
	return string(text[:])
}

// token derives the name of a call from its parts. It is not zero.
func (k keys) token(parts ...string) store.Token {
	m := k.index.begin("token")
	for _, p := range parts {
		m.text(p)
	}
	sum := m.end()
	return store.Token(binary.BigEndian.Uint64(sum[:]) | 1)
}

// randomToken names a call without an idempotency key: only the Service repeats it.
func randomToken() store.Token { return store.Token(mathrand.Uint64() | 1) }

// newID returns an id in the bucket of the subject with that tag. If the request has an
// idempotency key, the id is derived from it, else it is random.
func (k keys) newID(tenant string, tag subjectTag, purpose, idempotency string) id {
	var i id
	bucket := bucketOf(tag)
	copy(i[:], bucket[:])
	if idempotency == "" {
		_, _ = rand.Read(i[uniqueAt:checkAt]) // never fails, see crypto/rand
	} else {
		sum := k.index.begin("idempotency").text(tenant).bytes(tag[:]).text(purpose).text(idempotency).end()
		copy(i[uniqueAt:checkAt], sum[:])
	}
	copy(i[checkAt:], tag[:])
	return i
}

// bucketOf returns the bucket of a tag's subject.
func bucketOf(t subjectTag) [uniqueAt]byte {
	sum := sha256.Sum256(t[:])
	return [uniqueAt]byte{sum[0] & 0x3f, sum[1]}
}

// belongs reports whether an id may belong to the subject with that tag.
func (i id) belongs(t subjectTag) bool {
	return [uniqueAt]byte(i[:]) == bucketOf(t) && [4]byte(i[checkAt:]) == [4]byte(t[:4])
}

// bucketLen is how many characters of the store's form are the bucket: 15 bits,
// the first of which is zero.
const bucketLen = 3

// store returns the form that the store knows.
func (i id) store() string {
	var b [bucketLen + 1 + 23]byte
	bucket := uint16(i[0])<<8 | uint16(i[1])
	idEncoding.Encode(b[:4], []byte{byte(bucket >> 7), byte(bucket << 1)})
	b[bucketLen] = '-'
	idEncoding.Encode(b[bucketLen+1:], i[uniqueAt:])
	return string(b[:])
}

// storedID reads the form that the store knows.
func storedID(s string) (i id, ok bool) {
	if len(s) != bucketLen+1+23 || s[bucketLen] != '-' {
		return id{}, false
	}
	var bucket [2]byte
	if _, err := idEncoding.Decode(bucket[:], []byte(s[:bucketLen]+"a")); err != nil {
		return id{}, false
	}
	v := (uint16(bucket[0])<<8 | uint16(bucket[1])) >> 1
	i[0], i[1] = byte(v>>8), byte(v)
	_, err := idEncoding.Decode(i[uniqueAt:], []byte(s[bucketLen+1:]))
	return i, err == nil
}

// public returns the form that callers, channels and events know.
func (k keys) public(i id) string {
	var text [publicLen]byte
	k.ids.Encrypt(i[:], i[:])
	idEncoding.Encode(text[:], i[:])
	return string(text[:])
}

// parseID reads a public ID. It cannot tell whether the ID is of this application.
func (k keys) parseID(public string) (i id, ok bool) {
	if !validID(public) {
		return id{}, false
	}
	if _, err := idEncoding.Decode(i[:], []byte(public)); err != nil {
		return id{}, false
	}
	k.ids.Decrypt(i[:], i[:])
	return i, true
}

// validID reports whether parseID reads an ID.
func validID(public string) bool {
	if len(public) != publicLen {
		return false
	}
	last := 0
	for i := range len(public) {
		if last = strings.IndexByte(idAlphabet, public[i]); last < 0 {
			return false
		}
	}
	return last%4 == 0 // 26 characters have two bits more than 16 octets
}

// publicOf returns the public form of a record's ID, or "" if the ID has another form.
func (k keys) publicOf(stored string) string {
	i, ok := storedID(stored)
	if !ok {
		return ""
	}
	return k.public(i)
}

// stepName names a step of this record only. If an idempotency key is used again after its
// challenge expired, the id is the same, but the salt differs.
func stepName(r *store.Record, step int) string {
	sum := sha256.Sum256(r.Salt)
	return strconv.Itoa(step) + "-" + idEncoding.EncodeToString(sum[:2])[:3]
}

// Subject returns the two names of a subject in an application's events and records. The
// tag is a keyed hash: [Event.Subject], and the Subject of a store.Record. An operator
// finds a person's events by it, and package otp/authenticator uses it as its own name of
// the subject. The bucket begins the IDs of the subject's records in a store. Application
// is Config.Application; tenant is empty for the Service's own brand. k must be a keyring
// that [New] accepts.
func (k Keyring) Subject(application, tenant, subject string) (tag, bucket string, err error) {
	keys, err := k.application(application)
	if err != nil {
		return "", "", err
	}
	t := keys.subject(tenant, subjectForm(subject))
	i := id(t)
	of := bucketOf(t)
	copy(i[:], of[:])
	return t.String(), i.store()[:bucketLen], nil
}
