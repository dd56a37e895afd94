package console_test

import (
	"context"
	"fmt"
	"os"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/console"
)

// A program prints its messages until it has a carrier.
func Example() {
	messages := console.New(os.Stdout)
	_, err := messages.Send(context.Background(), &channel.Message{
		ID: "c4n7.1", To: channel.Recipient{Phone: "+447911123456"},
		Code: "482910", Text: "482910 is your MyBank code.",
	})
	fmt.Println(err)

	// Output:
	// == DEVELOPMENT ONLY: this message was printed, not sent; anyone who reads it can use the code
	// phone    +447911123456
	// code     482910
	//     482910 is your MyBank code.
	// <nil>
}
