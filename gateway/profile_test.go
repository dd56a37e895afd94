package gateway

import "testing"

func TestBuiltIns(t *testing.T) {
	for _, n := range builtIns() {
		if _, err := builtIn(n); err != nil {
			t.Error(err)
		}
	}
}
