// Package channel defines how a message reaches a person: the contracts
// between the one-time password service, the channels that carry a code
// (SMPP, SMTP, Android gateways, your own), and the failover that chooses
// among them. It depends on the standard library only.
//
// # Writing a channel
//
// A [Channel] has one method. A [Func] makes a channel of a push service or an
// HTTP API:
//
//	push := channel.Func(func(ctx context.Context, m *channel.Message) (channel.Submission, error) {
//		id, err := fcm.Notify(ctx, m.To.Push, m.Text)
//		if err != nil {
//			return channel.Submission{}, &channel.Error{Class: channel.Unknown, Op: "fcm: notify", Err: err}
//		}
//		return channel.Submission{ProviderIDs: []string{id}, State: channel.Sent}, nil
//	})
//
// Package channel/channeltest has a whole channel to copy as its example, and the suite
// that proves a channel. WRITING.md, beside this file, has the rules for faults, and the
// class of each. Package channel/failover joins several channels to one.
//
// # Errors
//
// After an error, a failover must know whether the person may already have the
// message. Every error of a channel is therefore an *[Error] with a [Class]. An
// error without one counts as [Unknown]: the message may have gone out. An
// error's text must not hold a code, a credential or an address. [Mask]
// shortens addresses for people to read.
//
// # Receipts
//
// A [Receipt] reports the fate of a message after its submission, from a
// delivery receipt, a webhook or a bounce. [Receipts] joins channels to the
// handler of their receipts, in any order of construction.
//
// # Concurrency
//
// All functions and types are safe for concurrent use, except values that the
// caller has not passed on yet. A Channel must not keep or change a Message.
package channel
