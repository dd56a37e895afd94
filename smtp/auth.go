package smtp

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/emersion/go-sasl"
	"github.com/xdg-go/scram"
)

const (
	scramSHA256 = "SCRAM-SHA-256" // RFC 7677
	xoauth2     = "XOAUTH2"       // Google's and Microsoft's, older than OAUTHBEARER
)

// The mechanisms, strongest first: SCRAM proves that we know the password
// without showing it.
var (
	passwordMechanisms = []string{scramSHA256, sasl.Plain, sasl.Login}
	tokenMechanisms    = []string{sasl.OAuthBearer, xoauth2}
)

var (
	errNoMechanism = errors.New("the server offers no AUTH mechanism that fits the credentials")
	errSCRAM       = errors.New("SCRAM-SHA-256: the server does not prove that it knows the password")
)

// login returns the client's side of the chosen mechanism.
func (r *relay) login(ctx context.Context, offers func(mechanism string) bool) (sasl.Client, error) {
	candidates := passwordMechanisms
	if r.Token != nil {
		candidates = tokenMechanisms
	}
	if r.Mechanism != "" {
		candidates = []string{r.Mechanism}
	}
	for _, mechanism := range candidates {
		if !offers(mechanism) {
			continue
		}
		switch mechanism {
		case scramSHA256:
			return r.scramLogin()
		case sasl.Plain:
			return sasl.NewPlainClient("", r.Username, r.Password), nil
		case sasl.Login:
			return &loginClient{username: r.Username, password: r.Password}, nil
		}
		token, err := r.Token(ctx)
		if err != nil {
			return nil, fmt.Errorf("token source: %w", err)
		}
		return &tokenClient{mechanism: mechanism, username: r.Username, token: token}, nil
	}
	return nil, errNoMechanism
}

// A loginClient speaks AUTH LOGIN, which no RFC describes. The server asks for
// a name and then for a password. Servers word the questions differently, so
// their words are ignored.
type loginClient struct {
	username, password string
	asked              int
}

var _ sasl.Client = (*loginClient)(nil)

func (l *loginClient) Start() (mech string, ir []byte, err error) { return sasl.Login, nil, nil }

func (l *loginClient) Next([]byte) ([]byte, error) {
	l.asked++
	switch l.asked {
	case 1:
		return []byte(l.username), nil
	case 2:
		return []byte(l.password), nil
	}
	return nil, sasl.ErrUnexpectedServerChallenge
}

// A tokenClient speaks OAUTHBEARER (RFC 7628) or XOAUTH2. A server that refuses
// the token gives the reason in a challenge. It sends its reply after a dummy
// answer to the challenge.
type tokenClient struct {
	mechanism, username, token string
	refused                    bool
}

var _ sasl.Client = (*tokenClient)(nil)

func (t *tokenClient) Start() (mech string, ir []byte, err error) {
	if strings.ContainsFunc(t.token, func(r rune) bool { return r <= ' ' || r > '~' }) || t.token == "" {
		return "", nil, errToken
	}
	bearer := "auth=Bearer " + t.token + "\x01\x01"
	if t.mechanism == xoauth2 {
		return xoauth2, []byte("user=" + t.username + "\x01" + bearer), nil
	}
	name := strings.NewReplacer("=", "=3D", ",", "=2C").Replace(t.username) // RFC 5801 §4
	return sasl.OAuthBearer, []byte("n,a=" + name + ",\x01" + bearer), nil
}

var errToken = errors.New("the token source returned an invalid bearer token")

func (t *tokenClient) Next([]byte) ([]byte, error) {
	if t.refused {
		return nil, sasl.ErrUnexpectedServerChallenge
	}
	t.refused = true
	if t.mechanism == xoauth2 {
		return []byte{}, nil
	}
	return []byte{1}, nil
}

// A scramClient makes a sasl.Client of a conversation of package scram.
type scramClient struct{ conversation *scram.ClientConversation }

var _ sasl.Client = (*scramClient)(nil)

// scramKeys keeps keys, which take thousands of hashes to derive, from one
// connection to the next. A scram.Client never drops the keys of a salt, so it
// is replaced after some logins: a server that changes its salt must not fill
// the memory.
type scramKeys struct {
	mu     sync.Mutex
	client *scram.Client
	logins int // by client
}

const maxSCRAMLogins = 64

// scramLogin begins a conversation.
func (r *relay) scramLogin() (*scramClient, error) {
	k := &r.scram
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.client == nil || k.logins == maxSCRAMLogins {
		client, err := scram.SHA256.NewClient(r.Username, r.Password, "")
		if err != nil {
			return nil, errSCRAMPassword
		}
		k.client, k.logins = client, 0
	}
	k.logins++
	return &scramClient{conversation: k.client.NewConversation()}, nil
}

var errSCRAMPassword = errors.New("SCRAM-SHA-256: the user name or the password holds characters that RFC 4013 forbids")

func (s *scramClient) Start() (mech string, ir []byte, err error) {
	first, err := s.conversation.Step("")
	return scramSHA256, []byte(first), err
}

func (s *scramClient) Next(challenge []byte) ([]byte, error) {
	if exceedsLimits(string(challenge)) {
		return nil, errSCRAM
	}
	response, err := s.conversation.Step(string(challenge))
	if err != nil { // its text may repeat the server's words
		return nil, errSCRAM
	}
	return []byte(response), nil // empty, not nil: the last challenge needs an answer
}

// verified reports whether the server has also shown that it knows the
// password.
func (s *scramClient) verified() bool { return s.conversation.Valid() }

// exceedsLimits reports whether the server's first message asks for too many
// iterations or too long a salt. The iterations must not keep a processor busy
// for longer than a login may take.
func exceedsLimits(challenge string) bool {
	const most, longest = 200_000, 1 << 10
	for field := range strings.SplitSeq(challenge, ",") {
		if strings.HasPrefix(field, "s=") && len(field) > longest {
			return true
		}
		if count, found := strings.CutPrefix(field, "i="); found {
			n, err := strconv.Atoi(count)
			return err != nil || n > most
		}
	}
	return false
}
