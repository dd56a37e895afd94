package guardtest_test

import (
	"context"
	"fmt"

	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/guard/guardtest"
)

// A guard that refuses all numbers of Uzbekistan is measured against an attack on numbers
// there, and against the people of a site.
func ExampleReplay() {
	noUzbekistan := otp.GuardFunc(func(_ context.Context, a otp.Attempt) (otp.Verdict, error) {
		if a.Phone.Region == "UZ" {
			return otp.Verdict{Action: otp.Refuse, Rule: "country", Key: "UZ"}, nil
		}
		return otp.Verdict{}, nil
	})
	site := guardtest.Traffic{PerDay: 100, Days: 1, Mix: map[string]float64{"GB": 1}}
	attack := guardtest.Range
	attack.Count = 500
	report := guardtest.Replay(guardtest.Merge(site.Make(1), attack.Make(2)), &guardtest.Under{Guard: noUzbekistan})
	fmt.Println("people refused:", report[guardtest.Legit].Refused)
	fmt.Println("messages of the attack:", report["range"].Sent)
	// Output:
	// people refused: 0
	// messages of the attack: 0
}
