package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"
)

// A passwordHash is what the file keeps of a password: Argon2id (RFC 9106) with its
// parameters and salt, as text a PHC string, $argon2id$v=19$m=65536,t=3,p=4$SALT$SUM.
type passwordHash struct {
	memory, passes uint32 // KiB
	lanes          uint8
	salt, sum      []byte
}

const (
	// The bounds of a file's hashes: at least as much memory as OWASP asks for, and not so
	// much that signing in hurts the server.
	minMemory, maxMemory = 19 << 10, 256 << 10
	maxPasses, maxLanes  = 10, 16

	// minPassword is NIST SP 800-63B-4's least length of a password that nothing
	// accompanies, in characters. maxPassword is in octets.
	minPassword, maxPassword = 15, 1024

	// A name that failed maxSignIns times is locked until blockFor after the first of
	// these, whatever the addresses.
	maxSignIns = 5

	roleViewer   = "viewer"   // looks
	roleOperator = "operator" // also cancels verifications and replays webhooks

	// hashings is how many passwords are hashed at one time. The others wait.
	hashings = 2
)

// newPasswordHash returns a hash by the second choice of RFC 9106, section 4: 64 MiB.
func newPasswordHash(password string) passwordHash {
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails, see crypto/rand
	h := passwordHash{memory: 64 << 10, passes: 3, lanes: 4, salt: salt, sum: make([]byte, 32)}
	h.sum = h.of(password)
	return h
}

// of hashes a password by the parameters of h. Keyboards differ in how they compose a letter
// with its accents; NFC makes them one.
func (h passwordHash) of(password string) []byte {
	return argon2.IDKey(norm.NFC.Bytes([]byte(password)), h.salt, h.passes, h.memory, h.lanes,
		uint32(len(h.sum))) //nolint:gosec // parsePasswordHash bounds it
}

// String returns the PHC string.
func (h passwordHash) String() string {
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.memory, h.passes, h.lanes,
		b64(h.salt), b64(h.sum))
}

// parsePasswordHash reads what String returns. An error repeats none of it.
func parsePasswordHash(text string) (h passwordHash, err error) {
	parts := append(strings.Split(text, "$"), make([]string, 6)...)
	_, _ = fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &h.memory, &h.passes, &h.lanes) // if it fails, String differs below
	h.salt, _ = base64.RawStdEncoding.DecodeString(parts[4])
	h.sum, _ = base64.RawStdEncoding.DecodeString(parts[5])
	switch {
	case h.String() != text || len(h.salt) < 8 || len(h.salt) > 64 || len(h.sum) < 16 || len(h.sum) > 64:
		return h, errors.New("password: it must be what the argument password prints")
	case h.memory < minMemory || h.memory > maxMemory || h.passes < 1 || h.passes > maxPasses || h.lanes < 1 ||
		h.lanes > maxLanes:
		return h, fmt.Errorf("password: m must be %d to %d, t up to %d, p up to %d", minMemory, maxMemory, maxPasses,
			maxLanes)
	}
	return h, nil
}

// A hasher checks passwords, a few at one time: each needs its memory.
type hasher chan struct{}

func newHasher() hasher { return make(hasher, hashings) }

// matches reports whether a password is that of a hash. It waits until ctx ends.
func (c hasher) matches(ctx context.Context, h passwordHash, password string) (bool, error) {
	select {
	case c <- struct{}{}:
		defer func() { <-c }()
		return subtle.ConstantTimeCompare(h.of(password), h.sum) == 1, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// An operator signs in to the dashboard.
type operator struct {
	Name     string `json:"name"`
	Password string `json:"password"` // its hash, see passwordHash
	Role     string `json:"role"`

	hash passwordHash
}

// complete returns an error that names the field.
func (o *operator) complete() (err error) {
	switch {
	case !nameForm.MatchString(o.Name):
		return errors.New("name: it must be 1 to 32 of a-z, 0-9 and -")
	case o.Role != roleViewer && o.Role != roleOperator:
		return fmt.Errorf("role: it must be %s or %s", roleViewer, roleOperator)
	}
	o.hash, err = parsePasswordHash(o.Password)
	return err
}

func (o *operator) operates() bool { return o.Role == roleOperator }

// version changes with the password.
func (o *operator) version() []byte {
	sum := sha256.Sum256([]byte(o.Password))
	return sum[:]
}

// A login is what signs operators in. Its methods are safe for concurrent use.
type login struct {
	operators atomic.Pointer[[]operator]
	hasher    hasher
	sessions  sessions
}

func newLogin(c *config) *login {
	l := &login{hasher: newHasher()}
	l.set(c)
	return l
}

// set takes the place of the operators before.
func (l *login) set(c *config) { l.operators.Store(&c.Operators) }

// find returns an operator; nil: there is none of that name.
func (l *login) find(name string) *operator {
	all := *l.operators.Load()
	if i := slices.IndexFunc(all, func(o operator) bool { return o.Name == name }); i >= 0 {
		return &all[i]
	}
	return nil
}

// check returns the operator of a name and password, nil if one of these is wrong. It
// takes as long for an unknown name as for the first operator's.
func (l *login) check(ctx context.Context, name, password string) (*operator, error) {
	o, all := l.find(name), *l.operators.Load()
	if len(all) == 0 || len(password) > maxPassword {
		return nil, nil
	}
	hash := all[0].hash
	if o != nil {
		hash = o.hash
	}
	right, err := l.hasher.matches(ctx, hash, password)
	if !right {
		return nil, err
	}
	return o, err
}

// printPassword reads a password from in and prints the entry of its operator for the file.
func printPassword(args []string, in io.Reader, out io.Writer) error {
	if len(args) != 2 {
		return errors.New("password needs the operator's name and role, such as ann viewer, and reads the password " +
			"from the standard input")
	}
	text, err := io.ReadAll(io.LimitReader(in, maxPassword+3))
	if err != nil {
		return err
	}
	password := strings.TrimRight(string(text), "\r\n")
	switch {
	case !utf8.ValidString(password) || len(password) > maxPassword:
		return fmt.Errorf("the password must be UTF-8 of up to %d octets", maxPassword)
	case utf8.RuneCountInString(password) < minPassword:
		return fmt.Errorf("the password must have %d characters or more", minPassword)
	}
	o := operator{Name: args[0], Password: newPasswordHash(password).String(), Role: args[1]}
	if err := o.complete(); err != nil {
		return err
	}
	entry, err := json.Marshal(o)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "for operators in the file: %s\n", entry)
	return err
}
