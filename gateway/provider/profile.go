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

// A Profile describes a provider's HTTP API as data, read from JSON by
// [ParseProfile]. It holds no secret and runs nothing, so it can be kept and
// passed on as a file:
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
// Defaults are in parentheses. A member that is not in this list is an error.
//
//   - name: for errors. Required.
//   - address: the kind of address that a message needs: phone, email, push or chat
//     (phone).
//   - values: the names that Config.Values may set, each with its default; null:
//     it must be set. Credentials, addresses, SIM slots and sender names go here.
//   - headers: of all requests (none), such as a key: {"X-Api-Key": "{{key}}"}.
//   - auth: one of basic {user, password}; bearer, a token; oauth2 {url, client,
//     secret, scope}, client credentials (RFC 6749 §4.4); login, any other request
//     for a token, such as {"url": "{{url}}/login", "json": {"user": "{{user}}"},
//     "token": "data.jwt", "life": "data.seconds"}. Tokens are kept until they
//     expire (none).
//   - signing: a named way to sign requests that no template can express, with its
//     settings, {"name": "sigv4", "region": "{{region}}", …} (none). See below.
//   - send: the request. url; method: GET, POST, PUT, PATCH or DELETE (POST);
//     headers; query; json, a value of any form whose strings are templates; or form,
//     an object of templates (no body).
//   - answer: how to read the response, JSON or XML. statuses: those that are a
//     success (all of 2xx), with 409 if that means that the provider has the
//     Message.ID already; ok and is: a path, and the values there that are a success
//     (only the status counts); id: the path of the message's id (the provider gives
//     none), own_id: true if it is Message.ID, id_optional: true if ok suffices;
//     code: the path of an error's code (the status is the code); pattern: a regular
//     expression for an answer in plain text, "^(?P<code>\\d+): (?P<id>.*)", whose
//     named groups are the members.
//   - classes: the [channel.Class] by code, as [channel.Class.String] writes it; by
//     range, "500-599"; by prefix, "REJECTED_*"; by status, "http 402"; "*" for any
//     other code inside a 2xx. A code goes before a status, and a status that is not
//     listed is read as RFC 9110 has it: 429 is throttled; 408, 425 and 503
//     are temporary; 400 and 422 unreachable, because the provider refuses this
//     message, and another route may take it; other 3xx and 4xx misconfigured;
//     other 5xx unknown, because the provider may have sent the message before it
//     failed. List the codes with which it refuses every message, for a wrong
//     sender, say, as misconfigured: a failover closes the route then.
//   - poll: how to ask for a message's state. url; method (GET); headers; query;
//     json or form; status, a path; code, the path of the reason (not asked).
//   - cancel: how to withdraw a message, as send is written, with statuses, ok and is
//     of its own: {"url": "{{url}}/v1/messages/{{provider_id}}"}; method (DELETE). The
//     channel is a [channel.Canceler] then, see [Channel.Unwrap].
//   - states: the meaning of each status, or of a range or prefix: waiting, sent,
//     delivered, failed, or ended, if no further report comes. Others are ignored.
//   - webhook: how to read the provider's posts. format: json (or XML), form, or
//     query, with everything in the URL (json); method (POST, of query GET); inside:
//     the path of a text that holds the JSON, in a form field, say; each: the path of
//     several reports in one body (it is one); id, status and code: paths; message:
//     the path of Message.ID, where it is echoed; reply: the body that the provider
//     wants, a text or JSON (none); verify; challenge (no webhook).
//   - languages: the value of {{language}} for a BCP 47 tag, its language alone or
//     "*" (the tag).
//   - alphabets: the value of {{alphabet}} for a text in GSM 03.38, and for another:
//     {"gsm": "text", "ucs2": "unicode"} (nothing).
//
// An answer is a success only if it is certain. If ok leads to several results,
// all must be a success; if some are, or the id is missing, the class is unknown.
//
// # Templates
//
// Strings of url, headers, query, json, form, auth, signing and verify may have
// fields: a name of values or, of the message and in send only,
//
//   - to, digits: the number, with and without "+"; country: ISO 3166-1 alpha-2;
//     calling_code and national, the two parts of digits
//   - email, push, chat: the other addresses
//   - text, code; spoken: "5, 8, 2, 0, 3, 7"; spoken_text: the text with that
//   - subject, body, html: of an e-mail
//   - sender, language, purpose
//   - id: Message.ID, the idempotency key where the provider has one
//   - ttl: the rest of the code's life in s; ttl_minutes: the same, rounded, at
//     least 1; expires: RFC 3339; all three empty for a code without end
//   - now: the time in Unix seconds
//   - alphabet; ucs2_hex: the text in UTF-16, hexadecimal, if it does not fit GSM
//     03.38, else nothing: "{{ucs2_hex|text}}"
//
// In poll there is provider_id instead, in cancel that and id. {{a|b}} is a or, if
// that is empty, b, which may be a literal, {{from|'INFO'}}. A filter changes the
// value: number, for a number of JSON; json, xml, url, to escape it; base64, hex,
// md5, sha256; hmac, an HMAC-SHA-256 whose key comes first. "+" joins:
// {{base64 user+':'+password}}, {{md5 user+text}}, {{hmac secret+to+text}}.
//
// A member, header or parameter that consists of empty fields only is left out, and
// a URL with a query if the URL is empty: that is how a value is optional. An object
// of json is left out if its member "?" is empty:
//
//	{"?": "{{html}}", "type": "text/html", "value": "{{html}}"}
//
// A message without a field that a template needs
// is refused before it is sent. Values never end a JSON string, a header, a segment
// of the path or a parameter: they are escaped or refused. So it is inside a
// string that begins as JSON or XML, {"param": "{\"code\":\"{{code}}\"}"}, and after
// the "?" of a URL, "{{callback_url}}?id={{id}}", which is left out with its URL. A url
// begins with "https://host/" or with a value that does.
//
// A value may have variants by purpose and language, for the IDs of templates:
// Config.Values["template:login/pt-BR"], "template:login/pt", "template:login",
// "template:/pt", then "template". The profile knows only template.
//
// # Signing requests
//
// The name of signing, and its settings, optional ones in parentheses:
//
//   - sigv4, AWS: key_id, secret, region, service (token)
//   - alibaba, Alibaba Cloud's ACS3-HMAC-SHA256: key_id, secret (token)
//   - tc3, Tencent Cloud's TC3-HMAC-SHA256: key_id, secret, service (token)
//   - sorted, a hash of a form's or a URL's parameters, sorted by name and joined by
//     "&": parameter, which gets the hash; algorithm: md5, sha1, sha256, sha512, or
//     hmac-md5 and so on (key; before and after: text around the parameters, such as
//     the secret; replace, for each "&" and "=" in a value; encoding: hex, HEX or
//     base64)
//
// # Paths
//
// "data.messages.*.status": the names of members, the number of an item, or "*" for
// each item or member. "to={to}" is each item whose member to is the recipient's
// number, {digits} that without "+": "messages.to={digits}.status",
// "sms.{digits}.id". "header:X-Message-Id" is a header. "a|b" is a or, if that is
// empty, b; "a+b" is both, joined by "+", the latter only if it is there. If a path
// leads to several values, the first counts, but all for ok and id.
//
// # Verifying webhooks
//
// verify is one of
//
//   - hmac {secrets, header, prefix, list, hash, encoding, key, content, timestamp,
//     within}: the header has the HMAC of the content with one of the secrets, after
//     the prefix (none); list: what separates several signatures (it is one). hash:
//     sha256, sha1 or sha512 (sha256); encoding: hex or base64 (hex); key: base64, if
//     the secret is the key's, as in "whsec_…", or sha256, if the key is the secret's
//     digest (the secret). timestamp: a header with the time in Unix seconds, within
//     5 minutes of ours, or within so many seconds. member, a path in the body, in
//     place of header.
//   - ed25519 and ecdsa (P-256 and SHA-256), with the same members except hash and
//     key; the secrets are public keys in base64 or PEM.
//   - jwt {secrets, header, audience, issuer, body_hash, url, url_hash}: a token signed
//     with HS256, of a header (the bearer token), which has not expired and is for
//     this audience. body_hash and url_hash name the claims with the SHA-256 of the
//     body and of the URL; without body_hash, the token must have an end and does not
//     sign the body.
//   - twilio {secrets, url}: as Twilio signs, the form and the URL that it posts to.
//   - sns {secrets, topic}: as Amazon SNS signs; the secrets are its certificates, in
//     PEM or base64. A subscription of the topic is confirmed.
//   - token {secrets, and query, header or basic: true}: a secret in the URL, a
//     header, or as user:password, for providers that sign nothing.
//   - dangerously_none, true: anyone may report anything.
//
// The content is a template, the body and then the timestamp unless it is given, of
// the fields body, body_sha256 (32 octets), header.X-Name, member.a.b, and, if url is
// "{{callback_url}}", url, the URL that was called, and url_without_query:
//
//	"ed25519": {
//	  "secrets": ["{{public_key}}"], "header": "X-Signature", "encoding": "base64",
//	  "timestamp": "X-Time", "content": "{{header.X-Time}}|{{body}}"
//	}
//
// Several secrets are for the time of a change. A secret with an empty field does
// not count, and without any secret there is no webhook. challenge {query, secrets,
// answer} answers a GET, whose parameter query has one of the secrets, with its
// parameter answer, as Meta asks for before it posts.
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

// ParseProfile reads a profile from JSON. Its error names the member that is
// wrong, "send.json.to: unknown field {{too}}"; a Profile without error is whole.
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
