package provider

import (
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

//go:embed profiles/*.json
var profiles embed.FS

// BuiltIn returns the profile of a provider that comes with this package, as
// Config.Provider names it.
func BuiltIn(name string) (*Profile, error) {
	p, err := builtIn(name)
	if err != nil {
		return nil, fmt.Errorf("provider: %w", err)
	}
	return p, nil
}

// builtIn returns the profile of a provider that comes with this package.
func builtIn(name string) (*Profile, error) {
	data, err := profiles.ReadFile("profiles/" + name + ".json")
	if err != nil {
		return nil, fmt.Errorf("%q is not one of %s", name, strings.Join(builtIns(), ", "))
	}
	return ParseProfile(data)
}

func builtIns() []string {
	files, _ := fs.Glob(profiles, "profiles/*.json") // the pattern is well-formed
	names := make([]string, 0, len(files))
	for _, f := range files {
		names = append(names, strings.TrimSuffix(strings.TrimPrefix(f, "profiles/"), ".json"))
	}
	slices.Sort(names)
	return names
}
