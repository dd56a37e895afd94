// Package smpp carries messages over SMPP 3.4, the protocol of SMS carriers
// and aggregators. [Client] is an ESME: it binds to an SMSC, as transceiver and
// over TLS unless told otherwise, and is a [channel.Channel].
//
// # Flow
//
//	client, err := smpp.New(smpp.Config{
//		Addr:     "smpp.example.com:2776",
//		SystemID: "mybank", Password: os.Getenv("SMPP_PASSWORD"),
//		Sender:  "MyBank",
//		Receipt: receipts.For("carrier-a"),
//	})
//	if err != nil {
//		return err
//	}
//	defer client.Shutdown(ctx)
//	submission, err := client.Send(ctx, message)
//
// New connects in the background and the client stays bound from then on: a
// lost connection is replaced with jittered, growing pauses, one that the SMSC
// ends after a long time at once, and one that nears Config.MaxSession before
// the SMSC cuts it off. Client.Ready waits for a bind; Client.State and
// Config.Event tell how all of them stand.
//
// # Messages
//
// A text of GSM 03.38 characters is sent unpacked with data_coding 0, any
// other as UCS-2 (UTF-16) with data_coding 8, or as Config.Codings says. What
// does not fit in one short message goes out in parts with a user data header,
// one after the other, so that nothing follows a part that was refused, or as
// Config.Long says. validity_period is what is left of the message's life.
//
// Client.Cancel withdraws a message that has not reached the person yet, by a
// cancel_sm for each part, where the SMSC knows that command.
//
// # Rate
//
// Config.TPS is one limit for all binds of the client, in which every part
// counts. An SMSC that answers ESME_RTHROTTLED or ESME_RMSGQFUL, or tells a
// congestion_state of 80 or more, slows the client down whether there is a TPS
// or not; the rate recovers by itself. A Send that waits for the rate and whose
// ctx ends, or whose turn would come too late for its message, is
// channel.Throttled, and was not sent. What has expired takes nothing of the
// rate.
//
// # Errors
//
// Every error of Send is a [channel.Error]. Its Code is the command_status
// ("0x45"), its cause the [Status], and its Class answers whether the person
// may have the message: see Status.Class. Without a status:
//
//   - channel.Unknown: no response within ResponseTimeout, connection lost or
//     ctx ended after the message was given to the connection;
//   - channel.Temporary: not bound within BindWait, connection lost or ctx
//     ended before that, client closed;
//   - channel.Misconfigured: the SMSC refuses the bind; the message cannot be
//     encoded;
//   - channel.Expired, channel.InvalidRecipient: found before anything is sent.
//
// The client never submits a message a second time: whether to try again is
// for a failover to say.
//
// # Receipts
//
// Config.Receipt is given what deliver_sm and data_sm say of earlier messages.
// The SMSC is answered when it returns, negatively if it returns an error, so
// the SMSC repeats what could not be stored. States:
//
//	DELIVRD                                    channel.Delivered
//	ENROUTE ACCEPTD SCHEDULED, unknown words   channel.Sent
//	UNDELIV EXPIRED DELETED REJECTD SKIPPED    channel.Failed, class Unreachable
//	UNKNOWN                                    channel.Failed, class Unknown
//
// An intermediate notification (esm_class 0x20) is never channel.Failed: the
// SMSC goes on trying.
//
// Receipt.Code is the state and the error code, "UNDELIV err:001", and
// Receipt.At when the receipt came: SMSCs write dates without a zone. A receipt
// may come before Send has returned, twice, or for a message of an earlier
// connection. Messages from people (MO) go to Config.Inbound, long ones whole.
//
// # Production
//
// Ask the operator of the SMSC, and set:
//
//   - which port speaks TLS; without one Config.DangerouslyPlaintext is for a
//     private line or a VPN only;
//   - how many messages per second the account may send, over all its sessions:
//     Config.TPS, divided among the processes that share the SystemID;
//   - how many binds it may hold, and at which hosts: Config.Addrs and Binds.
//     Two hosts are worth more than many binds. Each process needs its own;
//     while one is replaced by a new version both hold theirs, or the new one
//     waits with ESME_RALYBND;
//   - how large the window may be: Config.Window;
//   - how long a session may stay idle or stand at all: Config.EnquireLink (at
//     most half of the former) and MaxSession;
//   - what data_coding 0 means there: Config.Codings. A code that reads
//     "482910" with "@" for something else is the first sign of a wrong one;
//   - which senders it lets through for which country: Config.Senders; where
//     they are registered by template, Config.TLVs and MessageTLVs;
//   - how message ids are written in responses and in receipts:
//     Config.SubmitIDs and ReceiptIDs. Receipts that match nothing, all of
//     them, are the sign;
//   - which statuses it answers for what: Config.Classes, above all what
//     ESME_RINVDSTADR (0x0B) covers.
//
// Then watch: EventRefused (wrong credentials or address: the client waits a
// quarter of an hour, or for Config.Credentials to tell others, and somebody
// must act), EventThrottled (TPS is set above
// what the account has), Session.Bound, and errors of class
// channel.Misconfigured. Shut the client down with a ctx of at least
// ResponseTimeout, so that no outcome is lost. Let several SMSCs stand behind
// one another with channel/failover: a Client never sends a message twice, and
// a failover knows when it may.
//
// OTP Blue: port 2776, TPS as agreed, Config.Long LongPayload (it reads the
// code from the text, which parts would cut), and Classes with
// StatusInvalidDestination as channel.Unreachable if numbers are checked
// before, since it answers so for a country it does not serve.
//
// # Concurrency
//
// A Client is safe for concurrent use. Up to Config.Window messages await
// their response on each bind at any time; further Sends wait. What several
// goroutines send meanwhile goes out in one write. Callbacks of a Config run on
// goroutines of the client's own; one that closes the client does so with
// another goroutine, which it does not wait for.
package smpp
