package provider

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/otpcourier/otpcourier/channel"
)

// A Profile describes a provider's HTTP API as data, read from JSON by [ParseProfile]. It
// holds no secret and runs nothing, so it can be kept and passed on as a file:
//
//	{
//	  "name": "acme",
//	  "values": {"url": "https://api.acme.example", "user": null, "password": null, "hook_secret": "", "sim": ""},
//	  "auth": {"basic": {"user": "{{user}}", "password": "{{password}}"}},
//	  "send": {
//	    "url": "{{url}}/v1/messages",
//	    "json": {"to": "{{to}}", "text": "{{text}}", "ttl": "{{number ttl}}", "sim": "{{number sim}}"}
//	  },
//	  "answer": {"id": "data.id", "code": "error.code"},
//	  "classes": {"bad_number": "invalid recipient", "http 402": "misconfigured"},
//	  "poll": {"url": "{{url}}/v1/messages/{{provider_id}}", "status": "data.status"},
//	  "states": {"queued": "waiting", "sent": "sent", "delivered": "delivered", "failed": "failed"},
//	  "webhook": {
//	    "id": "data.id", "status": "event",
//	    "verify": {"hmac": {"header": "X-Signature", "secrets": ["{{hook_secret}}"]}}
//	  }
//	}
//
// An answer is a success only if it is certain. Unknown members are errors. The page
// PROFILES.md in this package's folder describes every member, the fields and filters of
// templates, paths, and the signatures of requests and webhooks.
type Profile struct {
	spec profileSpec
}

// Name returns the profile's name.
func (p *Profile) Name() string { return p.spec.Name }

// Address returns the kind of address that a message needs, for
// [channel.Route].
func (p *Profile) Address() channel.Address { return p.spec.address }

// Values returns the names of the profile's values, sorted.
func (p *Profile) Values() []string { return sortedKeys(p.spec.Values) }

// maxProfile bounds a profile, in octets.
const maxProfile = 256 << 10

// ParseProfile reads a profile from JSON, of at most 256 KiB. If a member is wrong, the
// error names it: "send.json.to: unknown field {{too}}". A Profile without an error is
// complete.
func ParseProfile(data []byte) (*Profile, error) {
	p := &Profile{}
	if len(data) > maxProfile {
		return nil, errors.New("provider: profile: over 256 KiB")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	d.UseNumber()
	if err := d.Decode(&p.spec); err != nil {
		return nil, explain(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("provider: profile: something follows the closing brace")
	}
	if err := p.spec.compile(); err != nil {
		return nil, fmt.Errorf("provider: profile %q: %w", p.spec.Name, err)
	}
	return p, nil
}

// explain names an error of encoding/json in the words of a profile's author.
func explain(err error) error {
	if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		// Go's names of embedded structs are none of JSON's.
		field := strings.NewReplacer("requestSpec.", "", "secretSpecs.", "").Replace(t.Field)
		if field == "" {
			return fmt.Errorf("provider: profile: %s where an object belongs", t.Value)
		}
		return fmt.Errorf("provider: profile: %s: is of the wrong type, %s", field, t.Value)
	}
	return fmt.Errorf("provider: profile: %s", strings.TrimPrefix(err.Error(), "json: "))
}

// The formats of webhooks.
const (
	formatJSON  = "json"
	formatForm  = "form"
	formatQuery = "query"
)

// The meanings of a status that are no channel.State.
const (
	stateWaiting channel.State = 0
	stateEnded   channel.State = 0xff
)

var stateNames = map[string]channel.State{
	"waiting": stateWaiting, "sent": channel.Sent, "delivered": channel.Delivered, "failed": channel.Failed,
	"ended": stateEnded,
}
