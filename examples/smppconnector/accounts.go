package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/text/language"

	"github.com/otpcourier/otpcourier/channel/phone"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/smppserver"
)

// An account is the configuration of one aggregator.
type account struct {
	SystemID string `json:"system_id"`
	// PasswordHash is the output of -hash. Passwords of SMPP have at most 8
	// characters, so the hash must be slow: a person who reads the file must not be
	// able to try them all.
	PasswordHash string `json:"password_hash"`

	Sender    string         `json:"sender"`    // brand of messages without an alphanumeric sender. Required.
	Language  string         `json:"language"`  // BCP 47; empty: by the country of the number
	Countries []string       `json:"countries"` // ISO 3166-1 codes of allowed destinations; empty: everywhere
	Networks  []netip.Prefix `json:"networks"`  // networks from which it may bind; empty: anywhere
	TPS       int            `json:"tps"`       // messages a second over all sessions; 0: unlimited
	Binds     int            `json:"binds"`     // sessions at a time; 0: unlimited

	hash passwordHash
}

// accounts are by system_id.
type accounts map[string]*account

func readAccounts(file string) (accounts, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var list []*account
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields() // a misspelt "networks" would be no restriction
	if err := d.Decode(&list); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return newAccounts(list...)
}

func newAccounts(list ...*account) (accounts, error) {
	all := make(accounts)
	for _, a := range list {
		if err := a.validate(); err != nil {
			return nil, fmt.Errorf("account %q: %w", a.SystemID, err)
		}
		if all[a.SystemID] != nil {
			return nil, fmt.Errorf("account %q: there are two", a.SystemID)
		}
		all[a.SystemID] = a
	}
	if len(all) == 0 {
		return nil, errors.New("there are no accounts")
	}
	return all, nil
}

func (a *account) validate() error {
	var err error
	a.hash, err = parseHash(a.PasswordHash)
	switch {
	case a.SystemID == "":
		return errors.New("system_id is required")
	case err != nil:
		return errors.New("password_hash must be as -hash prints it")
	case a.Sender == "":
		return errors.New("sender is required")
	case a.TPS < 0 || a.Binds < 0:
		return errors.New("tps and binds must not be negative")
	}
	if _, err := language.Parse(a.Language); err != nil && a.Language != "" {
		return fmt.Errorf("language: %q is not a BCP 47 tag", a.Language)
	}
	for _, region := range a.Countries {
		if !phone.ValidRegion(region) {
			return fmt.Errorf("countries: %q is not a country", region)
		}
	}
	return nil
}

// A passwordHash is a hash by PBKDF2 with SHA-256, written "iterations:salt:hash".
type passwordHash struct {
	iterations int
	salt, hash []byte
}

// iterations is the cost of -hash: some 50 ms for each bind.
const iterations = 200_000

// newHash hashes a password with a new salt.
func newHash(password string, iterations int) passwordHash {
	h := passwordHash{iterations: iterations, salt: make([]byte, 16)}
	_, _ = rand.Read(h.salt) // never fails
	h.hash = h.of(password)
	return h
}

// of returns the password's hash.
func (h passwordHash) of(password string) []byte {
	hash, err := pbkdf2.Key(sha256.New, password, h.salt, h.iterations, sha256.Size)
	if err != nil {
		return nil // it matches no password
	}
	return hash
}

func (h passwordHash) matches(password string) bool {
	return subtle.ConstantTimeCompare(h.of(password), h.hash) == 1
}

func (h passwordHash) String() string { return fmt.Sprintf("%d:%x:%x", h.iterations, h.salt, h.hash) }

func parseHash(text string) (h passwordHash, err error) {
	parts := strings.Split(text, ":")
	if len(parts) != 3 {
		return h, errors.New("not of three parts")
	}
	n, err1 := strconv.Atoi(parts[0])
	salt, err2 := hex.DecodeString(parts[1])
	hash, err3 := hex.DecodeString(parts[2])
	if n < 1 || len(salt) < 16 || len(hash) != sha256.Size {
		return h, errors.New("too short")
	}
	return passwordHash{n, salt, hash}, errors.Join(err1, err2, err3)
}

// printHash prints the password_hash for the password on the first line of in.
func printHash(in io.Reader, out io.Writer) error {
	password, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	password = strings.TrimRight(password, "\r\n")
	if password == "" || len(password) > 8 {
		return errors.New("-hash: a password of SMPP has 1 to 8 characters")
	}
	_, err = fmt.Fprintln(out, newHash(password, iterations))
	return err
}

// serves reports whether messages may go to numbers of the region.
func (a *account) serves(region string) bool {
	return len(a.Countries) == 0 || slices.Contains(a.Countries, region)
}

// authenticate answers a bind. An unknown system_id takes as long as a wrong
// password, and gets the same answer.
func (all accounts) authenticate(_ context.Context, b smppserver.BindRequest) smpp.Status {
	a, known := all[b.SystemID]
	if !known {
		a = &account{hash: passwordHash{iterations, make([]byte, 16), make([]byte, sha256.Size)}}
	}
	switch {
	case !a.hash.matches(b.Password) || !known:
		return smpp.StatusInvalidPassword
	case !a.allows(b.RemoteAddr):
		return smpp.StatusBindFailed
	}
	return smpp.StatusOK
}

func (a *account) allows(remote net.Addr) bool {
	if len(a.Networks) == 0 {
		return true
	}
	from, err := netip.ParseAddrPort(remote.String())
	return err == nil && slices.ContainsFunc(a.Networks, func(p netip.Prefix) bool {
		return p.Contains(from.Addr().Unmap())
	})
}

func (all accounts) tps(systemID string) int   { return all[systemID].TPS }
func (all accounts) binds(systemID string) int { return all[systemID].Binds }
