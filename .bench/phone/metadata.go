package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/nyaruka/phonenumbers"
)

// A territory is an entry of libphonenumber-js's metadata, an array of mixed
// types, whose fields are described in its METADATA.md.
type territory []json.RawMessage

// The indexes of the fields that matter to validity.
const (
	callingCode = iota
	iddPrefix
	generalPattern
	generalLengths
	_ // formats
	nationalPrefix
	_ // formatting rule
	prefixForParsing
	transformRule
	_
	leadingDigits
	types
)

// text returns a field as a string. An absent field, which may be 0, is empty.
func (t territory) text(i int) string {
	var s string
	if i < len(t) {
		_ = json.Unmarshal(t[i], &s)
	}
	return s
}

// theirMetadata reads libphonenumber-js's metadata, by region, and by calling
// code for the numbers of no country.
func theirMetadata(node string) (map[string]territory, error) {
	b, err := os.ReadFile(filepath.Join(node, "node_modules/libphonenumber-js/metadata.max.json"))
	if err != nil {
		return nil, err
	}
	var all struct {
		Countries     map[string]territory
		NonGeographic map[string]territory
	}
	if err := json.Unmarshal(b, &all); err != nil {
		return nil, err
	}
	for code, t := range all.NonGeographic {
		all.Countries[code] = t
	}
	return all.Countries, nil
}

// load replaces the content of the library's metadata by libphonenumber-js's.
func load(theirs map[string]territory) error {
	collection, err := phonenumbers.MetadataCollection()
	if err != nil {
		return err
	}
	for _, m := range collection.GetMetadata() {
		id := m.GetId()
		if id == "001" {
			id = strconv.Itoa(int(m.GetCountryCode()))
		}
		t, ok := theirs[id]
		if !ok || t.text(callingCode) != strconv.Itoa(int(m.GetCountryCode())) {
			return fmt.Errorf("libphonenumber-js does not know %s", id)
		}
		if err := replace(m, t); err != nil {
			return fmt.Errorf("%s: %w", id, err)
		}
	}
	return nil
}

func replace(m *phonenumbers.PhoneMetadata, t territory) error {
	var lengths []int32
	if err := json.Unmarshal(t[generalLengths], &lengths); err != nil {
		return err
	}
	m.GeneralDesc.NationalNumberPattern = new(t.text(generalPattern))
	m.GeneralDesc.PossibleLength = lengths
	setText(&m.InternationalPrefix, t.text(iddPrefix))
	setText(&m.NationalPrefix, t.text(nationalPrefix))
	setText(&m.LeadingDigits, t.text(leadingDigits))
	setText(&m.NationalPrefixTransformRule, t.text(transformRule))
	setText(&m.NationalPrefixForParsing, t.text(prefixForParsing))
	if m.NationalPrefixForParsing == nil {
		m.NationalPrefixForParsing = m.NationalPrefix
	}
	m.SameMobileAndFixedLinePattern = new(false)
	descs := []**phonenumbers.PhoneNumberDesc{&m.FixedLine, &m.Mobile, &m.TollFree, &m.PremiumRate, &m.PersonalNumber,
		&m.Voicemail, &m.Uan, &m.Pager, &m.Voip, &m.SharedCost}
	var all []json.RawMessage
	if types < len(t) {
		if err := json.Unmarshal(t[types], &all); err != nil {
			return err
		}
	}
	for i, d := range descs {
		*d = &phonenumbers.PhoneNumberDesc{PossibleLength: []int32{-1}}
		if i < len(all) {
			if err := describe(*d, all[i], lengths); err != nil {
				return err
			}
		}
	}
	return nil
}

// describe reads the pattern and the lengths of a type, which is 0 if there is
// none. Lengths are left out if they are the general ones.
func describe(d *phonenumbers.PhoneNumberDesc, raw json.RawMessage, lengths []int32) error {
	var fields []json.RawMessage
	if json.Unmarshal(raw, &fields) != nil {
		return nil
	}
	d.PossibleLength = lengths
	d.NationalNumberPattern = new("")
	if err := json.Unmarshal(fields[0], d.NationalNumberPattern); err != nil {
		return err
	}
	if len(fields) > 1 {
		return json.Unmarshal(fields[1], &d.PossibleLength)
	}
	return nil
}

func setText(field **string, s string) {
	*field = nil
	if s != "" {
		*field = &s
	}
}
