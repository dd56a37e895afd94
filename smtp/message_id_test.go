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

const idOfSES = "0100018c0ffee123-0a1b2c3d-4e5f-6789-abcd-ef0123456789-000000"

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
		"2.0.0 OK 1700000000 d9443c01a7336-1234 - gsmtp": "d9443c01a7336-1234",
		// Amazon SES, Gmail, Haraka, sendmail, OpenSMTPD, Postfix behind a filter, SendGrid:
		"Ok " + idOfSES: idOfSES,
		"2.0.0 OK  1701259200 5b1f17b1804b1-40b2ce3bb8asm12345e9.17 - gsmtp": "5b1f17b1804b1-40b2ce3bb8asm12345e9.17",
		"Message Queued " +
			"(8A9F2C4E-7B1D-4E3A-9C5F-0D1E2F3A4B5C.1)": "8A9F2C4E-7B1D-4E3A-9C5F-0D1E2F3A4B5C.1",
		"2.0.0 3ATHx0Yz012345 Message accepted for delivery":                   "3ATHx0Yz012345",
		"2.0.0: 4d2c1f3a Message accepted for delivery":                        "4d2c1f3a",
		"2.0.0 4d2c1f3a Message accepted for delivery":                         "4d2c1f3a",
		"2.0.0 from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as 4SfX": "4SfX",
		"Ok: queued as 4sXyZ-abc_D":                                            "4sXyZ-abc_D",
		"first\nOK id=1rKABC-0000aB-Cd":                                        "1rKABC-0000aB-Cd",
		"OK bye":                                                               "",
		"2.0.0 OK: queued":                                                     "",
		"Message accepted for delivery":                                        "",
	} {
		if got := providerID(said); got != want {
			t.Errorf("%q: %q, want %q", said, got, want)
		}
	}
}
