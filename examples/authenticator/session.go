package main

import (
	"crypto/rand"
	"net/http"
	"sync"
	"time"

	"github.com/otpcourier/otpcourier/otp/authenticator"
)

// A session is the state of one browser. Its fields are used under its lock.
type session struct {
	sync.Mutex
	expires   time.Time
	user      string    // with the right password; empty: nobody
	verified  time.Time // time of the second factor; zero: not yet
	enrolment *authenticator.Enrolment
	codes     []string // new recovery codes before they are shown
	problem   problem  // of the last form
	notice    string
}

// A problem is an error of a form: a text, and its field.
type problem struct{ Text, Field string }

const (
	sessionLife = 30 * time.Minute
	freshLogin  = 5 * time.Minute // a change of tokens needs a second factor no older than this
	maxSessions = 10_000
	cookieName  = "__Host-session"
)

// sessions holds the sessions of all browsers.
type sessions struct {
	mu   sync.Mutex
	byID map[string]*session
}

// of returns the session of a request, or a new one.
func (s *sessions) of(w http.ResponseWriter, r *http.Request) *session {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, err := r.Cookie(cookieName); err == nil {
		if found := s.byID[c.Value]; found != nil && now.Before(found.expires) {
			return found
		}
	}
	s.makeRoom(now)
	return s.begin(w, &session{expires: now.Add(sessionLife)})
}

// makeRoom drops the expired sessions if there are too many or, if none has
// expired, any.
func (s *sessions) makeRoom(now time.Time) {
	if len(s.byID) < maxSessions {
		return
	}
	for id, old := range s.byID {
		if now.After(old.expires) {
			delete(s.byID, id)
		}
	}
	for id := range s.byID {
		if len(s.byID) < maxSessions {
			return
		}
		delete(s.byID, id)
	}
}

// begin gives a session a new secret name.
func (s *sessions) begin(w http.ResponseWriter, of *session) *session {
	id := rand.Text()
	s.byID[id] = of
	http.SetCookie(w, &http.Cookie{Name: cookieName, Value: id, Path: "/", MaxAge: int(sessionLife / time.Second),
		Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	return of
}

// renew replaces the session of a request, so that a name planted before a login is
// worthless after it.
func (s *sessions) renew(w http.ResponseWriter, r *http.Request, of *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, err := r.Cookie(cookieName); err == nil {
		delete(s.byID, c.Value)
	}
	of.expires = time.Now().Add(sessionLife)
	s.begin(w, of)
}
