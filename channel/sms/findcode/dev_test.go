package findcode

import (
	"os"
	"strings"
	"testing"
)

func TestDev(t *testing.T) {
	file := os.Getenv("OTPCOURIER_FINDCODE")
	if file == "" {
		t.Skip("no file")
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	right, all, wrong := 0, 0, 0
	for line := range strings.Lines(string(b)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(f) < 2 || strings.HasPrefix(line, "#") {
			continue
		}
		text := strings.ReplaceAll(f[0], `\n`, "\n")
		want := f[1]
		if want == "-" {
			want = ""
		}
		got, _ := In(text)
		all++
		if got == want {
			right++
			continue
		}
		if got != "" {
			wrong++
		}
		t.Logf("%q: %q, want %q", f[0], got, want)
	}
	t.Logf("%d of %d, %d wrong codes", right, all, wrong)
}
