package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	keysFresh = 10 * time.Minute // then they are loaded again, and a withdrawn key ends
	keysPause = time.Minute      // from one load to the next, whatever tokens ask for
	keysLife  = 24 * time.Hour   // how long known keys go on while none can be loaded
	keysSize  = 512 << 10        // octets
)

// A keySet has the public keys of an issuer. They are loaded by need, and in the
// background: a request waits only if its key is not known yet.
type keySet struct {
	from   string // https: or http:, or a path
	client *http.Client
	log    *slog.Logger

	mu      sync.Mutex
	keys    []jose.JSONWebKey
	loaded  time.Time     // the keys; zero: never
	tried   time.Time     // the latest load
	failed  bool          // the latest load
	loading chan struct{} // closed when the load under way ends; nil: there is none

	running sync.WaitGroup
	ctx     context.Context // of loads
	stop    context.CancelFunc
}

func newKeySet(from string, log *slog.Logger) *keySet {
	s := &keySet{from: from, log: log, client: &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s
}

// close ends a load under way.
func (s *keySet) close() {
	s.stop()
	s.running.Wait()
	s.client.CloseIdleConnections()
}

// find returns the public key that a token is signed with by its own account. It returns
// errUnknownKey or errKeysDown if there is none.
func (s *keySet) find(ctx context.Context, kid, algorithm string, now time.Time) (any, error) {
	s.mu.Lock()
	known := s.match(kid, algorithm, now)
	wanted := known == nil || now.Sub(s.loaded) >= keysFresh
	if wanted && s.loading == nil && now.Sub(s.tried) >= keysPause {
		s.load(now)
	}
	loading := s.loading
	s.mu.Unlock()
	if known != nil {
		return known, nil
	}
	if loading != nil {
		select {
		case <-loading:
		case <-ctx.Done():
			return nil, errKeysDown
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch known = s.match(kid, algorithm, now); {
	case known != nil:
		return known, nil
	case s.failed || now.Sub(s.loaded) >= keysLife:
		return nil, errKeysDown
	}
	return nil, errUnknownKey
}

// match is called with mu held. A token without kid has the key of a set of one.
func (s *keySet) match(kid, algorithm string, now time.Time) any {
	if now.Sub(s.loaded) >= keysLife {
		return nil
	}
	for _, k := range s.keys {
		if (k.KeyID == kid || kid == "" && len(s.keys) == 1) && (k.Algorithm == "" || k.Algorithm == algorithm) {
			return k.Key
		}
	}
	return nil
}

// load begins a load, with mu held.
func (s *keySet) load(now time.Time) {
	done := make(chan struct{})
	s.tried, s.loading = now, done
	s.running.Go(func() {
		keys, err := s.read()
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.failed = err != nil; !s.failed {
			s.keys, s.loaded = keys, now
		} else if s.ctx.Err() == nil {
			s.log.Error("the keys of an issuer could not be loaded", "from", s.from, "error", err)
		}
		s.loading = nil
		close(done)
	})
}

func (s *keySet) read() ([]jose.JSONWebKey, error) {
	if !strings.HasPrefix(s.from, "https:") && !strings.HasPrefix(s.from, "http:") {
		f, err := os.Open(s.from)
		if err != nil {
			return nil, err
		}
		defer func() { _ = f.Close() }() // it is read
		return parseKeys(f)
	}
	r, err := http.NewRequestWithContext(s.ctx, http.MethodGet, s.from, nil)
	if err != nil {
		return nil, err
	}
	resp, err := s.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }() // it is read
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the answer is %d", resp.StatusCode)
	}
	return parseKeys(resp.Body)
}

// parseKeys returns the keys of a set that verify signatures. Others are left out: secret
// ones, those for encryption, of other kinds, or too short.
func parseKeys(r io.Reader) (keys []jose.JSONWebKey, _ error) {
	text, err := io.ReadAll(io.LimitReader(r, keysSize+1))
	if err == nil && len(text) > keysSize {
		err = errors.New("the set is too large")
	}
	if err != nil {
		return nil, err
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, errors.New("the set is no JSON")
	}
	for _, one := range set.Keys {
		var k jose.JSONWebKey
		if json.Unmarshal(one, &k) == nil && (k.Use == "" || k.Use == "sig") && verifies(k.Key) {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("the set has no key that verifies")
	}
	return keys, nil
}

func verifies(key any) bool {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return k.N.BitLen() >= 2048 && k.N.BitLen() <= 8192
	case *ecdsa.PublicKey:
		return k.Curve == elliptic.P256()
	case ed25519.PublicKey:
		return true
	}
	return false
}
