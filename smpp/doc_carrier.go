// Package smpp is set up from the sheet or the questionnaire of a carrier, item by
// item, as the next section shows.
//
// # Setting up a bind with a carrier
//
// Carriers and aggregators send a questionnaire, or a sheet with their settings. Its
// items, and the fields of Config that hold the answers:
//
// Connection
//
//   - "Host and port": Addr. Ask for the port that speaks TLS. If there is none,
//     DangerouslyPlaintext is for a private line or a VPN only.
//   - "Primary and secondary host": if both may carry messages at once, Addr and
//     Addrs. If the second may be bound only while the first is down, StandbyAddrs.
//   - "DNS name with several addresses": AllAddresses, and Binds of at least their
//     number.
//   - "Your addresses, for our firewall": those of every process, the next
//     deployment's too.
//   - "Bind type: transceiver, or transmitter and receiver": Pair for the latter,
//     ReceiverAddr if receivers have an address of their own, TransmitterOnly if
//     the account may not receive.
//   - "Number of binds": Binds, over all processes together. Each process needs its
//     own. During a deployment the old process and the new one both need theirs, or
//     the new one is refused until the old one has unbound. Two hosts are worth more
//     than many binds.
//   - "SMPP version": Version.
//
// Bind
//
//   - "system_id, password, system_type": SystemID, Password, SystemType. If they are
//     rotated, Credentials.
//   - "addr_ton, addr_npi, address_range": BindNumbering and AddressRange.
//   - "Status of a refused bind": ESME_RALYBND, ESME_RBINDFAIL or a status of the
//     carrier's own for a bind too many. Classes with channel.Temporary lets the
//     client try again after seconds; with channel.Misconfigured, after RefusedWait.
//   - "Lock-out after failed binds": RefusedWait, at least its length.
//
// Session
//
//   - "enquire_link interval, inactivity timeout": EnquireLink, below half of the
//     timeout.
//   - "Window size": Window.
//   - "Throughput": TPS, the rate of the account over all its sessions, divided among
//     the processes that share the SystemID. Parts of long messages count.
//   - "Longest session": MaxSession, some minutes less.
//   - "Response timeout": ResponseTimeout.
//
// Messages
//
//   - "Default alphabet (data_coding 0)": Codings. A text that arrives with "@" for
//     another character is the first sign of a wrong one.
//   - "Long messages: UDH, SAR or message_payload": Long.
//   - "validity_period: relative, absolute or none": Validity.
//   - "Destination format, TON and NPI": DestFormat, National, DestNumbering.
//   - "Sender formats, TON and NPI": Sender, Senders by country,
//     ShortCodeNumbering, AlphaNumbering, SenderNumbering.
//   - "Registered senders and templates, DLT": TLVs and MessageTLVs.
//   - "service_type, protocol_id, priority_flag": ServiceType, ProtocolID, Priority.
//   - "Error codes": Classes, above all for ESME_RINVDSTADR (0x0B), and for the
//     carrier's own statuses.
//
// Receipts
//
//   - "Format of message ids": SubmitIDs and ReceiptIDs, if responses and receipts
//     differ.
//   - "Format of receipts and states": ReceiptStates for words and numbers of the
//     carrier's own. ReceiptsInPlainMessages only if the carrier cannot set esm_class.
//   - "Statuses after which a receipt is repeated": RetryStatus.
//
// Test
//
//   - "Trace of the bind and of a message": Trace prints each PDU, with texts and
//     numbers masked.
//   - Send a message of each alphabet, a long one, one to a wrong number, and one with
//     a receipt. State counts submitted messages, responses by status, and receipts by
//     state; EventUnmatched shows a wrong format of ids.
package smpp
