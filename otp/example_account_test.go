package otp_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
)

// After a change of number no older code passes.
func ExampleService_CancelAll() {
	svc, inbox := exampleService(nil)
	ctx, to := context.Background(), channel.Recipient{Phone: "+447912345678"}
	c, err := svc.Send(ctx, otp.Request{Subject: "user-42", Purpose: "login", To: to})
	if err != nil {
		panic(err)
	}
	// here the program stores the new number of user-42
	if err := svc.CancelAll(ctx, otp.Scope{Subject: "user-42"}); err != nil {
		panic(err)
	}
	_, err = svc.Verify(ctx, otp.Verification{ID: c.ID, Subject: "user-42", Purpose: "login", Code: inbox.last.Code})
	fmt.Println(err)
	// Output: otp: invalid or expired code
}

// A person closes the page: the code is not needed any more.
func ExampleService_Cancel() {
	svc, _ := exampleService(nil)
	ctx := context.Background()
	c, err := svc.Send(ctx, otp.Request{Subject: "user-42", To: channel.Recipient{Phone: "+447912345678"}})
	if err != nil {
		panic(err)
	}
	ref := otp.Ref{ID: c.ID, Subject: "user-42"}
	if err := svc.Cancel(ctx, ref); err != nil {
		panic(err)
	}
	c, err = svc.Status(ctx, ref)
	fmt.Println(c.Outcome, c.Next, err)
	// Output: cancelled restart <nil>
}

// A help desk ends a lock once it has identified the person in another way.
func ExampleService_Unlock() {
	svc, _ := exampleService(func(c *otp.Config) { c.Policy.MaxFailures = 1 })
	ctx, to := context.Background(), channel.Recipient{Phone: "+447912345678"}
	c, err := svc.Send(ctx, otp.Request{Subject: "user-42", To: to})
	if err != nil {
		panic(err)
	}
	_, err = svc.Verify(ctx, otp.Verification{ID: c.ID, Subject: "user-42", Code: "000000"})
	fmt.Println(otp.ReasonOf(err))
	_, err = svc.Send(ctx, otp.Request{Subject: "user-42", To: to})
	fmt.Println(otp.ReasonOf(err))

	if err := svc.Unlock(ctx, otp.Scope{Subject: "user-42"}); err != nil {
		panic(err)
	}
	_, err = svc.Send(ctx, otp.Request{Subject: "user-42", To: to})
	fmt.Println(err)
	// Output:
	// wrong
	// locked
	// <nil>
}

// A person asks to be forgotten.
func ExampleService_Erase() {
	svc, _ := exampleService(nil)
	err := svc.Erase(context.Background(), otp.Erasure{Subject: "user-42",
		To: channel.Recipient{Phone: "+447912345678", Email: "ann@example.com"}})
	fmt.Println(err)
	// Output: <nil>
}

// A login with an unknown name must look like any other. Nothing is sent, and no code
// verifies the challenge. With Config.Async the answer also takes the same time.
func ExampleRequest_decoy() {
	svc, inbox := exampleService(nil)
	users := map[string]string{"ann": "+447912345678"}
	ctx := context.Background()
	login := func(name string) (*otp.Challenge, error) {
		number, known := users[name]
		if !known {
			number = "+447400123456" // made from the name, so that the answer is always the same
		}
		return svc.Send(ctx, otp.Request{Subject: name, To: channel.Recipient{Phone: number}, Decoy: !known})
	}
	c, err := login("bob")
	fmt.Println(c.State, c.Next, c.SendsLeft, err)
	fmt.Println(inbox.last == nil)
	// Output:
	// sent wait 2 <nil>
	// true
}

// Strangers who use up a number's messages do not lock out its owner: a request from a
// device that the owner was verified on before has allowances of its own.
func ExampleRequest_known() {
	svc, _ := exampleService(func(c *otp.Config) {
		c.Policy.PerRecipient = []otp.Rate{{Most: 1, Per: time.Hour}}
	})
	ctx := context.Background()
	send := func(known bool) otp.Reason {
		_, err := svc.Send(ctx, otp.Request{Subject: "user-42", Known: known,
			To: channel.Recipient{Phone: "+447912345678"}})
		return otp.ReasonOf(err)
	}
	fmt.Printf("%q %q %q\n", send(false), send(false), send(true))
	// Output: "" "limited" ""
}

// A request whose answer was lost is repeated with its key: nothing is sent again.
func ExampleRequest_idempotencyKey() {
	svc, _ := exampleService(nil)
	ctx := context.Background()
	q := otp.Request{Subject: "user-42", To: channel.Recipient{Phone: "+447912345678"}, IdempotencyKey: "order-7"}
	first, err := svc.Send(ctx, q)
	if err != nil {
		panic(err)
	}
	again, err := svc.Send(ctx, q)
	fmt.Println(again.Repeated, again.ID == first.ID, err)
	// Output: true true <nil>
}

// An app store's reviewer cannot receive messages: one address has a code that does not
// change.
func ExampleFixedCode() {
	svc, _ := exampleService(func(c *otp.Config) {
		c.FixedCodes = []otp.FixedCode{{Address: "+447912345678", Code: "123456"}}
		c.DangerouslyAcceptFixedCodes = true
	})
	ctx := context.Background()
	c, err := svc.Send(ctx, otp.Request{Subject: "reviewer", To: channel.Recipient{Phone: "+447912345678"}})
	if err != nil {
		panic(err)
	}
	_, err = svc.Verify(ctx, otp.Verification{ID: c.ID, Subject: "reviewer", Code: "123456"})
	fmt.Println(c.Fixed, err)
	// Output: true <nil>
}

// A Guard decides before each message. This one sends to two countries, and asks for a
// captcha for the second.
func ExampleGuardFunc() {
	svc, _ := exampleService(func(c *otp.Config) {
		c.Guard = otp.GuardFunc(func(_ context.Context, a otp.Attempt) (otp.Verdict, error) {
			switch {
			case a.Phone.Region == "GB", a.Phone.Region == "FR" && a.Proven:
				return otp.Verdict{}, nil
			case a.Phone.Region == "FR":
				return otp.Verdict{Action: otp.StepUp, Rule: "country", Key: a.Phone.Region}, nil
			}
			return otp.Verdict{Action: otp.Refuse, Rule: "country", Key: a.Phone.Region}, nil
		})
	})
	for _, number := range []string{"+447912345678", "+33612345678", "+4915123456789"} {
		_, err := svc.Send(context.Background(), otp.Request{Subject: "user-42", To: channel.Recipient{Phone: number}})
		fmt.Println(err)
	}
	// Output:
	// <nil>
	// otp: too many requests: the guard requires a proof: rule country, FR
	// otp: too many requests: the guard refused the message: rule country, DE
}

// A channel that no Receipts connects has a handler of its own for the provider's receipts.
func ExampleService_HandleReceipt() {
	svc, inbox := exampleService(nil)
	ctx := context.Background()
	c, err := svc.Send(ctx, otp.Request{Subject: "user-42", To: channel.Recipient{Phone: "+447912345678"}})
	if err != nil {
		panic(err)
	}
	// in the handler of the provider's webhook, which echoes Message.ID:
	err = svc.HandleReceipt(ctx, channel.Receipt{MessageID: inbox.last.ID, State: channel.Delivered})
	if errors.Is(err, otp.ErrUnavailable) {
		panic("answer 503, so that the provider repeats the webhook")
	}
	c, err = svc.Status(ctx, otp.Ref{ID: c.ID, Subject: "user-42"})
	fmt.Println(c.State, c.Delivered, err)
	// Output: delivered true <nil>
}
