package smtp

import (
	"strings"
	"testing"
)

func TestMessageID(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{
		"c4n7.1": "c4n7.1@d", "a..1": "a__1@d", ".a": "_a@d", "a.": "a_@d", "-": "-@d",
	} {
		if got := messageID(id, "d"); got != want {
			t.Errorf("%q: %q, want %q", id, got, want)
		}
	}
}

func TestQueueID(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]string{
		"2.0.0 Ok: queued as 4XyZ12":                "4XyZ12",
		"2.0.0 OK: queued as <a.b-c_d@mx>.":         "",
		"OK id=1tBcDe-0000000012x-2abC":             "1tBcDe-0000000012x-2abC",
		"2.0.0 49ABcdEf012345 Message accepted":     "",
		"2.6.0 <id@x> [InternalId=123] Queued mail": "",
		"ok":                                   "",
		"queued as " + strings.Repeat("A", 65): "",
		"queued as 4XyZ12\nmore":               "4XyZ12",
		"2.0.0 OK 1700000000 d9443c01a7336-1234 - gsmtp": "",
	} {
		if got := queueID(said); got != want {
			t.Errorf("%q: %q, want %q", said, got, want)
		}
	}
}
