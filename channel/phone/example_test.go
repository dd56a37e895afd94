package phone_test

import (
	"errors"
	"fmt"

	"github.com/otpcourier/otpcourier/channel/phone"
)

func ExampleParse() {
	n, err := phone.Parse("07912 345 678", "GB")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(n.E164, n.Region, n.Type)
	// Output:
	// +447912345678 GB mobile
}

func ExampleParse_error() {
	_, err := phone.Parse("+1 415 555 2671 ext. 5", "")
	var e *phone.Error
	if errors.As(err, &e) && e.Reason == phone.Extension {
		fmt.Println("please leave the extension away:", err)
	}
	// Output:
	// please leave the extension away: phone: number has an extension
}

func ExampleType_SMS() {
	for _, input := range []string{"+44 7912 345678", "+49 30 123456", "+1 900 234 5678"} {
		n, err := phone.Parse(input, "")
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(n.Region, n.Type, n.Type.SMS())
	}
	// Output:
	// GB mobile true
	// DE fixed line false
	// US premium rate false
}

func ExampleRegion() {
	region, ok := phone.Region("+447781123456")
	fmt.Println(region, ok)
	// Output:
	// GG true
}
