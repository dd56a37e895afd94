package oath_test

import (
	"fmt"
	"time"

	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/oath"
)

// The codes of RFC 4226, Appendix D. In a program, a Service calls Generate:
// otp.Config{Generator: oath.HOTP{}}.
func ExampleHOTP() {
	key := []byte("12345678901234567890")
	for counter := range uint64(3) {
		code, err := oath.HOTP{}.Generate(otp.Seed{Key: key, Counter: counter})
		fmt.Println(code, err)
	}

	// Output:
	// 755224 <nil>
	// 287082 <nil>
	// 359152 <nil>
}

// A code of RFC 6238, Appendix B.
func ExampleTOTP() {
	key := []byte("12345678901234567890")
	code, err := oath.TOTP{Digits: 8}.Generate(otp.Seed{Key: key, Time: time.Unix(59, 0)})
	fmt.Println(code, err)

	// Output: 94287082 <nil>
}
