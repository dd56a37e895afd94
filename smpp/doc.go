// Package smpp sends messages over SMPP 3.4, the protocol of SMS carriers and
// aggregators. A [Client] is an ESME: it binds to an SMSC, as transceiver and over
// TLS by default, and is a [channel.Channel].
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
// The server is package smppserver, and an SMSC for tests is package smpptest. The
// page smpp/CARRIER.md in the repository goes through a carrier's questionnaire, and
// lists the signs of trouble in production.
//
// # Connections
//
// If a connection is lost, the client connects again, with growing pauses between
// failed tries. It replaces a session that nears Config.MaxSession, and a session
// with Config.MaxUnanswered messages without a response.
//
// A refused bind concerns that bind only. If the SMSC has accepted the credentials
// before, the client tries again after seconds, otherwise after Config.RefusedWait;
// see [Refusal].
//
// # Messages
//
// A text of GSM 03.38 characters is sent unpacked with data_coding 0, and any other
// text as UCS-2 (UTF-16) with data_coding 8; Config.Codings changes both. If a text
// does not fit in one short message, it is sent in parts with a user data header;
// Config.Long changes the form. The parts go one after the other: if the SMSC
// refuses a part, no further part is sent. validity_period is the rest of the
// message's life.
//
// [Client.Cancel] withdraws a message before it reaches the person.
//
// # Rate
//
// Config.TPS is one limit for all binds of the client, and every part counts. The
// client also slows down if the SMSC is overloaded. A Send waits for the rate. If
// its ctx ends meanwhile, or if its turn would come after the message has expired,
// it fails as channel.Throttled, and the message was not sent.
//
// # Errors
//
// Every error of Send is a [channel.Error]. Its Class says whether the person may
// have the message. If the SMSC answered, Code is the command_status, for example
// "0x45", and the cause is the [Status]. [Client.Send] lists the other errors.
//
// The client never submits a message a second time. A failover decides whether to
// try again: if there are several SMSCs, join their Clients by package
// channel/failover.
//
// # Receipts
//
// Config.Receipt is called with the state that a deliver_sm or data_sm reports for
// an earlier message. A receipt may come before Send has returned, twice, or for a
// message of an earlier connection. The states are, unless Config.ReceiptStates
// replaces them:
//
//	DELIVRD                                    channel.Delivered
//	ENROUTE ACCEPTD SCHEDULED, unknown words   channel.Sent
//	UNDELIV EXPIRED DELETED REJECTD SKIPPED    channel.Failed, class Unreachable
//	UNKNOWN                                    channel.Failed, class Unknown
//
// Messages from people (MO) go to Config.Inbound.
//
// # Concurrency
//
// A Client is safe for concurrent use. On each bind up to Config.Window messages
// await their response at any time; further Sends wait. Messages that several
// goroutines send at the same time go out in one write. The callbacks of a Config
// run on the client's goroutines. A callback must not wait for Close or Shutdown of
// its own client; it may start a goroutine that does.
package smpp
