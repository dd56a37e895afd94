package provider

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

// PROFILES.md has an example that is a profile, and names each member of a profile.
func TestProfilesPage(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("PROFILES.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(b)
	_, example, _ := strings.Cut(page, "```json\n")
	example, _, _ = strings.Cut(example, "```")
	if _, err := ParseProfile([]byte(example)); err != nil {
		t.Errorf("the example: %v", err)
	}
	for member := range membersOf(reflect.TypeFor[profileSpec](), map[reflect.Type]bool{}) {
		if !strings.Contains(page, "`"+member+"`") && !strings.Contains(page, `"`+member+`"`) {
			t.Errorf("the member %s is not on the page", member)
		}
	}
}

// membersOf returns the JSON names of the fields of a type, and of the types within.
func membersOf(typ reflect.Type, seen map[reflect.Type]bool) map[string]bool {
	all := map[string]bool{}
	for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice || typ.Kind() == reflect.Map {
		typ = typ.Elem()
	}
	if typ.Kind() != reflect.Struct || seen[typ] {
		return all
	}
	seen[typ] = true
	for i := range typ.NumField() {
		f := typ.Field(i)
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && name != "-" {
			all[name] = true
		}
		for name := range membersOf(f.Type, seen) {
			all[name] = true
		}
	}
	return all
}
