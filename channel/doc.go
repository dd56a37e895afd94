// Package channel defines how a message reaches a person: the contracts
// between the one-time password service, the channels that carry a code
// (SMPP, SMTP, Android gateways, your own), and the failover that chooses
// among them. It depends on the standard library only.
//
// # Writing a channel
//
// A [Channel] has one method, so a push service or an HTTP API becomes one
// with a [Func]:
//
//	push := channel.Func(func(ctx context.Context, m *channel.Message) (channel.Submission, error) {
//		id, err := fcm.Notify(ctx, m.To.Push, m.Text)
//		if err != nil {
//			return channel.Submission{}, &channel.Error{Class: channel.Temporary, Op: "fcm: notify", Err: err}
//		}
//		return channel.Submission{ProviderIDs: []string{id}, State: channel.Sent}, nil
//	})
//
// Test yours with package channel/channeltest, and join several with package
// channel/failover, whose result is a Channel again.
//
// # Errors
//
// What a failover does next depends on one question above all: may the person
// already have the message? Every error of a channel is therefore an *[Error]
// with a [Class]. An error without one counts as [Unknown]: the message may
// have gone out. Never let an error's text hold a code, a credential or an
// address; [Mask] shortens addresses for people to read.
//
// # Receipts
//
// What becomes of a message after its submission is told by a [Receipt]: a
// delivery receipt, a webhook, a bounce. [Receipts] joins channels to whoever
// handles them, in any order of construction.
//
// # Concurrency
//
// Everything here is safe for concurrent use, apart from values that a caller
// has not handed over yet. A Channel must not keep or change a Message.
package channel
