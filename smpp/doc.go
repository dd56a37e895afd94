// Package smpp carries messages over SMPP 3.4, the protocol of SMS carriers
// and aggregators. [Client] is an ESME: it binds to an SMSC as transceiver,
// over TLS, and is a [channel.Channel].
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
// ends after a long time at once. Client.Ready tells whether a bind stands.
//
// # Messages
//
// A text of GSM 03.38 characters is sent unpacked with data_coding 0, any
// other as UCS-2 (UTF-16) with data_coding 8. What does not fit in one short
// message goes out in parts with a user data header, one after the other, so
// that nothing follows a part that was refused. validity_period is what is
// left of the message's life.
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
// Receipt.Code is the state and the error code, "UNDELIV err:001", and
// Receipt.At when the receipt came: SMSCs write dates without a zone. A receipt
// may come before Send has returned, twice, or for a message of an earlier
// connection. Messages from people (MO) are acknowledged and dropped.
//
// # Concurrency
//
// A Client is safe for concurrent use. Up to Config.Window messages await
// their response at any time; further Sends wait. What several goroutines send
// meanwhile goes out in one write.
package smpp
