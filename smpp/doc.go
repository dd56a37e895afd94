// Package smpp sends messages over SMPP 3.4, the protocol of SMS carriers and
// aggregators. A [Client] is an ESME: it binds to an SMSC, as transceiver and over
// TLS unless its Config says otherwise, and is a [channel.Channel].
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
// New connects in the background, and the client stays bound from then on.
// Client.Ready waits for a bind. Client.State and Config.Event report the binds.
//
// The package also has the protocol's types, for example [Status]. The server is
// package smppserver, and an SMSC for tests is package smpptest.
//
// # Connections
//
// If a connection is lost, the client connects again, with growing pauses between
// tries that fail. A session that stood for a long time is replaced at once. A
// session that nears Config.MaxSession is replaced before the SMSC ends it, and one
// over which no message is answered after Config.MaxUnanswered.
//
// A refused bind concerns that bind only. [Refusal] tells what the client makes of
// it: credentials that the SMSC has accepted before are tried again after seconds,
// others after Config.RefusedWait.
//
// # Messages
//
// A text of GSM 03.38 characters is sent unpacked with data_coding 0, any other
// text as UCS-2 (UTF-16) with data_coding 8, unless Config.Codings says otherwise.
// A text that does not fit in one short message goes out in parts with a user data
// header, unless Config.Long says otherwise. The parts are sent one after the
// other: after a refused part no further part is sent. validity_period is the rest
// of the message's life.
//
// Client.Cancel withdraws a message that has not reached the person yet, by a
// cancel_sm for each part. The SMSC must know that command.
//
// # Rate
//
// Config.TPS is one limit for all binds of the client. Every part counts. If the
// SMSC answers ESME_RTHROTTLED or ESME_RMSGQFUL, or a congestion_state of 80 or
// more, the client slows down, with and without a TPS. The rate recovers by itself.
//
// A Send waits for the rate. If its ctx ends meanwhile, or if its turn would come
// after the message has expired, it fails as channel.Throttled, and the message was
// not sent. An expired message uses nothing of the rate.
//
// # Errors
//
// Every error of Send is a [channel.Error]. If the SMSC answered, Code is the
// command_status ("0x45"), the cause is the [Status], and Status.Class gives the
// Class, which says whether the person may have the message. Other errors are:
//
//   - channel.Unknown: there was no response within ResponseTimeout, or the
//     connection was lost or ctx ended after the message was given to the
//     connection;
//   - channel.Temporary: there was no bind within BindWait, or the connection was
//     lost or ctx ended before the message was given to it, or the client is
//     closed;
//   - channel.Misconfigured: the SMSC refuses the bind, or the message cannot be
//     encoded;
//   - channel.Expired, channel.InvalidRecipient: nothing was sent.
//
// The client never submits a message a second time. A failover decides whether to
// try again.
//
// # Receipts
//
// Config.Receipt is called with the state that a deliver_sm or data_sm reports for
// an earlier message, for several messages at once (Config.Receivers). The SMSC is
// answered when it returns. If it returns an error, the answer is
// Config.RetryStatus, and the SMSC repeats the receipt. A receipt is read whatever
// its data_coding and sm_length say. States, unless Config.ReceiptStates replaces
// them:
//
//	DELIVRD                                    channel.Delivered
//	ENROUTE ACCEPTD SCHEDULED, unknown words   channel.Sent
//	UNDELIV EXPIRED DELETED REJECTD SKIPPED    channel.Failed, class Unreachable
//	UNKNOWN                                    channel.Failed, class Unknown
//
// An intermediate notification (esm_class 0x20) is never channel.Failed: the SMSC
// goes on trying.
//
// If the response to a message comes after its Send has returned, Config.Receipt is
// called with its message_id, Message.ID and channel.Sent.
//
// Receipt.Code is the state and the error code, "UNDELIV err:001". Receipt.At is
// the time at which the receipt came, as SMSCs write dates without a zone. A
// receipt may come before Send has returned, twice, or for a message of an earlier
// connection. Messages from people (MO) go to Config.Inbound, long ones whole.
//
// # Production
//
// The section "Setting up a bind with a carrier" goes through a carrier's
// questionnaire. Then watch:
//
//   - EventRefused with RefusedCredentials: the credentials or the address are
//     wrong. The client waits a quarter of an hour, or until Config.Credentials
//     returns others. An operator must act. RefusedAccepted, after a refusal of
//     credentials that worked before, passes by itself;
//   - EventThrottled: TPS is above the limit of the account;
//   - EventUnanswered: the SMSC answers enquire_link and no message. The client has
//     replaced the session;
//   - EventUnmatched: receipts belong to no message. Its Hint says why, for example
//     that the SMSC writes ids in hexadecimal in responses and in decimal in
//     receipts. Processes that share a SystemID get each other's receipts;
//   - EventCollision: two nodes of the SMSC number messages alike;
//   - State: Session.Bound, and the counters of each bind and in total;
//   - errors of class channel.Misconfigured.
//
// The ctx of Shutdown should last for ResponseTimeout at least, so that no outcome
// is lost. If there are several SMSCs, put a channel/failover in front of their
// Clients: a Client never sends a message twice, and a failover knows when it may.
//
// OTP Blue: port 2776, TPS as agreed, and Config.Long LongPayload, since OTP Blue
// reads the code from the text, and parts would cut it. If numbers are validated
// before, Classes with StatusInvalidDestination as channel.Unreachable, since OTP
// Blue answers that for a country it does not serve.
//
// # Concurrency
//
// A Client is safe for concurrent use. On each bind up to Config.Window messages
// await their response at any time; further Sends wait. Messages that several
// goroutines send at the same time go out in one write. Callbacks of a Config run
// on the client's goroutines. A callback must not wait for Close or Shutdown of
// its own client; it may start a goroutine for that.
package smpp
