package provider

import (
	"encoding/pem"
	"strings"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/transport"
)

// values are those of Config.Values, and the profile's defaults. Variants for a
// purpose and language have names such as "template:login/pt-BR".
type values map[string]string

// of returns the variant of a value for a message: of the purpose and language,
// the purpose and the language without its region, the purpose, the language
// alone, or else the value without a variant.
func (v values) of(name string, m *channel.Message) string {
	alone, _, _ := strings.Cut(m.Language, "-")
	for _, variant := range []string{
		m.Purpose + "/" + m.Language, m.Purpose + "/" + alone, m.Purpose, "/" + m.Language, "/" + alone,
	} {
		if value, ok := v[name+":"+variant]; ok && variant != "" && variant != "/" {
			return value
		}
	}
	return v[name]
}

// lookup returns a value without a variant.
func (v values) lookup(name string) (string, error) { return v[name], nil }

// resolve joins the configured values with the profile's defaults.
func (c *Config) resolve(v *transport.Validator) values {
	s := &c.Profile.spec
	all := make(values, len(s.Values))
	varied := map[string]bool{}
	for _, full := range sortedKeys(c.Values) {
		name, variant, isVariant := strings.Cut(full, ":")
		_, known := s.Values[name]
		v.Check(known, valuesField(full), "is none of profile %q, which has %s",
			s.Name, strings.Join(sortedKeys(s.Values), ", "))
		if isVariant {
			v.Check(variant != "" && variant != "/", valuesField(full), "names no purpose and no language")
			v.Check(!s.shared[name], valuesField(full), "has a variant, but is used for more than the message")
			v.Check(c.Values[full] != "", valuesField(full), "is empty")
			varied[name] = true
		}
		v.Check(headerValue(c.Values[full]) || isPEM(c.Values[full]), valuesField(full),
			"has a control character, or white space at an end")
		all[full] = c.Values[full]
	}
	for _, name := range sortedKeys(s.Values) {
		value, set := all[name]
		if dflt := s.Values[name]; dflt != nil && !set {
			all[name] = *dflt
		} else {
			v.Check(dflt != nil || value != "" || varied[name], valuesField(name), "is required by profile %q", s.Name)
		}
	}
	return all
}

// isPEM reports whether a value is a key or a certificate in PEM (RFC 7468), which
// has several lines. It is no header's: each is checked again.
func isPEM(value string) bool {
	block, _ := pem.Decode([]byte(value))
	return block != nil && strings.HasPrefix(value, "-----BEGIN ")
}
