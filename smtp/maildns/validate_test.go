package maildns

import (
	"strings"
	"testing"

	"github.com/otpcourier/otpcourier/smtp"
)

func TestSetupNamesTheField(t *testing.T) {
	t.Parallel()
	for field, change := range map[string]func(*Setup){
		"Setup.From":       func(d *Setup) { d.From = "" },
		"Setup.ReturnPath": func(d *Setup) { d.ReturnPath = "a b" },
		"Setup.DKIM":       func(d *Setup) { d.From = "other.example" },
		"Setup.DKIM: was":  func(d *Setup) { d.DKIM = new(smtp.DKIM) },
		"DKIM: was not":    func(d *Setup) { d.DKIM = (*smtp.DKIM)(nil) },
		"Setup.DKIM: key \"x\"": func(d *Setup) {
			d.DKIM = signer{"mybank.example",
				[]signerKey{{"x", "no key"}}}
		},
		"Setup.Senders":                       func(d *Setup) { d.Senders = nil },
		"Setup.Senders: ":                     func(d *Setup) { d.Senders = []string{"include:x -all"} },
		`Setup.Senders: "`:                    func(d *Setup) { d.Senders = []string{"ip4:2001:db8::1"} },
		"Senders: \"192":                      func(d *Setup) { d.Senders = []string{"192.0.2.1"} },
		"Senders: \"all":                      func(d *Setup) { d.Senders = []string{"all"} },
		"Setup.Reports":                       func(d *Setup) { d.Reports = "x" },
		"Reports: is not a mailbox that fits": func(d *Setup) { d.Reports = "a!9m@x.example" },
	} {
		d := newSetup(t)
		change(&d)
		if _, err := d.Records(); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
		if _, err := d.Check(t.Context(), zone{}); err == nil {
			t.Errorf("%s: Check accepts it", field)
		}
	}
}
