package phone_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/otpcourier/otpcourier/channel/phone"
)

// A person typed these into one field. The default region is the country of the
// person's address.
func ExampleParse() {
	for _, typed := range []string{
		"07912 345 678", "+44 (0)7912 345678", "0044 7912 345678", "tel:+44-7912-345678", "７９１２ー３４５６７８",
	} {
		n, err := phone.Parse(typed, "GB")
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(n.E164, n.Region, n.Type)
	}
	// Output:
	// +447912345678 GB mobile
	// +447912345678 GB mobile
	// +447912345678 GB mobile
	// +447912345678 GB mobile
	// +447912345678 GB mobile
}

// The reason tells a form what to ask for.
func ExampleParse_error() {
	for _, typed := range []struct{ number, region string }{
		{"+1 415 555 2671 ext. 5", ""},
		{"07912 345678", ""},
		{"0081 90 1234 5678", "KR"},
		{"+44 7912 345", ""},
	} {
		_, err := phone.Parse(typed.number, typed.region)
		var e *phone.Error
		if !errors.As(err, &e) {
			continue
		}
		switch e.Reason {
		case phone.Extension:
			fmt.Println("Please leave out the extension.")
		case phone.MissingRegion, phone.Ambiguous:
			fmt.Println("Please begin with + and your country code.")
		default:
			fmt.Println("Please check the number.")
		}
	}
	// Output:
	// Please leave out the extension.
	// Please begin with + and your country code.
	// Please begin with + and your country code.
	// Please check the number.
}

// A country selector beside a field for the number: its rows have the calling
// code, and an example to show in the empty field.
func ExampleRegions() {
	for _, region := range phone.Regions() {
		code := "+" + strconv.Itoa(phone.CallingCode(region))
		example, ok := phone.ExampleNumber(region)
		if !ok || region < "GA" || region > "GE" {
			continue // the documentation needs no more rows
		}
		fmt.Println(region, code, strings.TrimPrefix(example.E164, code))
	}
	// The person selected GB. Some type the calling code once more.
	for _, typed := range []string{"07912 345678", "7912 345678", "447912345678", "+447912345678"} {
		n, err := phone.Parse(typed, "GB")
		fmt.Println(n.E164, err)
	}
	// Output:
	// GA +241 06031234
	// GB +44 7400123456
	// GD +1 4734031234
	// GE +995 555123456
	// +447912345678 <nil>
	// +447912345678 <nil>
	// +447912345678 <nil>
	// +447912345678 <nil>
}

// A number in no known range may be newer than the metadata. Parse accepts it
// if it is as long as a mobile number; this program asks whether it was so.
func ExampleNumber_unknownRange() {
	for _, typed := range []string{"+1 246 555 2671", "+1 415 555 2671", "+46 78 609"} {
		n, err := phone.Parse(typed, "")
		switch {
		case err != nil:
			fmt.Println("refused:", err)
		case n.UnknownRange:
			fmt.Println("accepted, perhaps new:", n.Region, n.Type.SMS())
		default:
			fmt.Println("accepted:", n.Region, n.Type.SMS())
		}
	}
	// Output:
	// accepted, perhaps new: BB true
	// accepted: US true
	// refused: phone: no valid number
}

// A program's test can check that its metadata is new enough. If it fails,
// update github.com/nyaruka/phonenumbers as the package's page says.
func Example_updateMetadata() {
	needed := []string{"+447912345678", "+14155552671"} // a number of each range that the program needs
	for _, e164 := range needed {
		if n, err := phone.Parse(e164, ""); err != nil || n.UnknownRange {
			fmt.Println("update the metadata: a range is missing in", n.Region)
		}
	}
	fmt.Println("checked")
	// Output:
	// checked
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
