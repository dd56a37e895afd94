// Package smppserver is the front of an SMSC: ESMEs bind to it over SMPP 3.4, and
// their messages go to a channel.
//
//	server, err := smppserver.New(smppserver.Config{
//		TLS: &tls.Config{Certificates: []tls.Certificate{certificate}},
//		Authenticate: func(ctx context.Context, b smppserver.BindRequest) smpp.Status {
//			if !accounts.Check(ctx, b.SystemID, b.Password) {
//				return smpp.StatusInvalidPassword
//			}
//			return smpp.StatusOK
//		},
//		Handler:  smppserver.ChannelHandler(routes),
//		Assemble: true,
//	})
//	if err != nil {
//		return err
//	}
//	defer server.Shutdown(ctx)
//	listener, err := net.Listen("tcp", ":2776")
//	if err != nil {
//		return err
//	}
//	return server.Serve(listener)
//
// [ChannelHandler] passes each message to a [channel.Channel]: a failover, an
// Android gateway, another SMSC. Your own [Handler] can decide otherwise, and an
// [AsyncHandler] can answer later. [Server.Deliver] sends delivery receipts, and
// [Server.DeliverMessage] sends messages from phones. The client is package smpp,
// which also has the protocol's statuses.
//
// # Answers
//
//	before a bind, or as receiver: submit_sm and
//	the other requests for a message               ESME_RINVBNDSTS (0x04)
//	a second bind, or over MaxBinds                ESME_RALYBND (0x05)
//	Authenticate refuses                           its status
//	address not allowed, or blocked                ESME_RBINDFAIL (0x0D)
//	over TPS, or over Window                       ESME_RTHROTTLED (0x58)
//	too many long messages with parts missing      ESME_RMSGQFUL (0x14)
//	a mandatory field is cut off                   ESME_RINVCMDLEN (0x02)
//	TLVs cut off                                   ESME_RINVOPTPARSTREAM (0xC0)
//	source_addr over 21 characters, over 11 alphanumeric  ESME_RINVSRCADR (0x0A)
//	destination_addr empty or over 21 characters   ESME_RINVDSTADR (0x0B)
//	service_type over 5 characters                 ESME_RINVSERTYP (0x15)
//	any schedule_delivery_time                     ESME_RINVSCHED (0x61)
//	validity_period that is over, or in no form of
//	SMPP 3.4, section 7.1.1; qos_time_to_live 0    ESME_RINVEXPIRY (0x62)
//	a user data header longer than the message     ESME_RINVESMCLASS (0x43)
//	over MaxMessage, or a PDU 4 KiB over it        ESME_RINVMSGLEN (0x01)
//	a cancel_sm without message_id, for many       ESME_RCANCELFAIL (0x11)
//	query_sm without Config.Query                  ESME_RQUERYFAIL (0x67)
//	replace_sm                                     ESME_RREPLACEFAIL (0x13)
//	submit_multi                                   ESME_RSUBMITFAIL (0x45)
//	broadcast_sm over a bind of SMPP 5.0           ESME_RBCASTFAIL (0x10C)
//	any other command, and cancel_sm without
//	Config.Cancel                                  generic_nack, ESME_RINVCMDID (0x03)
//	command_length under 16 or over 64 KiB         generic_nack, ESME_RINVCMDLEN (0x02), and the end
//
// [StatusOf] gives the answer for a handler's error. [Submit] lists the encodings of
// texts.
//
// The server closes a connection that does not bind in time, is inactive, or does
// not read. It answers enquire_link, and sends none.
//
// # Resources
//
// Each connection has three goroutines. Each message with a Handler, each cancel_sm
// with Cancel and each query_sm with Query has one more. A peer can make the server
// hold, for each connection, Window messages of MaxMessage and 4 KiB of other
// fields, and 1 MiB of unread responses. For each system_id it can make the server
// hold the parts of 1000 incomplete messages, and ReceiptQueue receipts.
//
// Receipts and the messages of phones are kept in memory. If the process ends
// before their delivery, they are lost, and Config.OnReceipt or Config.OnMessage is
// called for each.
//
// # Concurrency
//
// A [Server] and a [Session] are safe for concurrent use. Callbacks of a Config run
// on the server's goroutines. A callback must not wait for Close or Shutdown of its
// own server; it may start a goroutine that does.
package smppserver
