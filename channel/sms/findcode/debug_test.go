package findcode

import (
	"os"
	"testing"
)

func TestDebug(t *testing.T) {
	text := os.Getenv("TEXT")
	m := normalize(text)
	words().mark(m)
	for _, w := range m.words {
		t.Logf("%q %v", string(m.runes[w.start:w.end]), w.classes)
	}
	all := m.numbers()
	for i, n := range all {
		d, ok := m.distance(n, all, i)
		t.Logf("%s alone %v qty %v priced %v dial %v named %v old %v void %v distance %d %v", n.code, m.standsAlone(n), m.quantity(n.end), m.priced(n), m.dial(n), m.named(n), m.old(n), m.voided(n), d, ok)
	}
}
