// Package guard refuses messages that nobody should pay for: SMS pumping,
// flooding, enumeration and overspending. A [Guard] is an [otp.Guard] for
// otp.Config.Guard:
//
//	g, err := guard.New(guard.Config{
//		Limiter:   store,
//		Index:     keyring.Index,
//		Countries: map[string]guard.Country{"GB": {}, "FR": {}, "PK": {PerDay: 200}},
//		Budget:    110_000, // 1,100 USD a day
//		Price:     guard.Cents,
//		StepUp:    true, // the embedder can ask for a captcha
//		Alert:     page,
//	})
//	svc, err := otp.New(otp.Config{ … , Guard: g})
//
// # The rules
//
// A message that is unverified is counted until its code is typed. A verified
// session takes back what it counted, and two messages more: that is Page's
// CUSUM (a repeated probability ratio test) of 50 % against 20 % verified, which
// does not depend on volume and breaks even at 36 %. All counts are over the
// last 24 hours, unless the table says otherwise.
//
//	rule       counts                                step-up over           refuses over
//	country    a country that is not in Countries                           at once
//	type       a number that is not mobile                                  at once
//	deny       a number with a prefix of Deny                               at once
//	stepup     a Country or Purpose with StepUp      at once
//	network    unverified, by IPv4 /24 or IPv6 /48   15                     60
//	block      unverified, by the number less its    5                      15
//	           last four digits
//	volume     all messages, by the same             1 % of the budget, at  1.6 × that
//	                                                 least 10
//	unverified unverified, by country                1 % of the budget, at  1.5 × that
//	                                                 least 10; 10 % of
//	                                                 PerDay if that is less
//	total      unverified, all                       3.5 % of the budget    15 %
//	budget     all messages                                                 ¼ of it in an hour,
//	                                                                        it in a day
//	perday     all messages, by country with PerDay                         PerDay
//	check      Config.Checks                         as the check says
//
// The messages to one number are counted by otp.Policy.PerRecipient, as without
// a guard. Messages to e-mail and apps are held to network, total and budget.
//
// The step-up column holds for people without a proof. Request.Proven, after a
// captcha for instance, lifts a message to the other column. A number or device
// that was verified before, Request.Known, is counted too, and never refused by
// block, unverified and total: an attack cannot lock customers out. Volume holds
// it to the other column.
//
// In a country an attack gets 1 % of a day's budget, 1.5 % if it passes the
// step-up, and two messages more for each person who verifies there meanwhile.
// The one hard cap is the budget. Package guardtest has the traffic, and the
// attacks, that the defaults were chosen with. The README of examples/guard has the
// figures of each.
//
// A refused message is not counted: an attack that goes on does not keep a rule
// closed for longer. A message that surely was not sent is given back, so that a
// provider's outage closes nothing.
//
// # Step-up
//
// Order the proofs by what they cost an attacker: a silent check of the network,
// an app attestation or a passkey; a captcha that the server verifies, which
// solvers pass for some dollars a thousand; another route, such as push or
// e-mail; a message that the person sends. With StepUp false the step-up column
// only alerts.
//
// # Rollout
//
// Run two weeks in Shadow: nothing is refused, and Alert tells each message that
// would be. If people are among them, raise Limits, or set Conversion if fewer
// than 40 % of sessions are verified on a usual day. Then switch Shadow off. A
// new limit begins in Shadow again, for one purpose by Config.Purposes.
//
// # Why these thresholds
//
// The study before this package asked for a proof over 20 messages of a network and
// over 2 % of the budget in total, and refused over 3 % for volume and unverified, and
// over 10 % in total. With these thresholds two attacks break their bounds, and a spray
// has 5.3 % of people refused. One threshold of the study at a time, the rest as they
// are now, in messages that an attack gets:
//
//	threshold of the study    slow  spray, people refused  wide   probe  converts50
//	all                       289   1703, 5.3 %            1247   708    532
//	network 20                163   1915, 0.4 %            1121   708    280
//	volume 3 %                163   1915, 0.4 %            1121   630    532
//	unverified 3 %            289   2116, 0.3 %            1247   630    280
//	total 2 and 10 %          163   1816, 0.4 %            1121   630    280
//	none                      163   1915, 0.4 %            1121   630    280
//	bound                     200   2200, 2 %              1250   660    550
//
// So network is lower for probe, unverified for slow and wide, and volume halves what
// bots get that type their codes. Total is higher for people: while bots that pass
// each step-up spray, 10.1 % of people are refused and not 15.8 %, for 3,769 messages
// and not 2,714. The price is in wide: 0.8 % of people are refused and not 0.0 %.
//
// # Keys and retention
//
// Everything counted is in Config.Limiter, under keys that are hashes keyed by
// Index, and ends by itself:
//
//	guard/network             messages of a network                     a day
//	guard/block               block and volume, of a block of numbers   a day
//	guard/country             unverified and perday, of a country       a day
//	guard/all                 total and budget                          a day; an hour
//	guard/alert               which alerts were sent                    ten minutes
//
// A block is 10,000 numbers: no key belongs to one person. See [otp.Service.Erase]
// for the keys that do. A change of Index forgets all counts. The lists of a
// [Suppression] and of Deny are the embedder's own.
//
// # Cost
//
// A decision is one call of the Limiter. On Redis it reads and writes four keys, of the
// network, the block, the country, and of everything, in one round trip. The server
// executes 163,000 instructions for it, 21 to 29 µs on a machine with two busy cores.
// The aim was 15 µs, and is not reached. Of these instructions 40,000 are for calling a
// script with four keys, 20,000 for reading the keys, 40,000 for writing them, two of
// which are mostly new, and the rest for counting seven windows in Lua. A bare script
// that reads and writes four keys, and counts nothing, took 12 µs in the same runs in
// which a decision took 39. `go -C .bench run ./guard -mode redis` measures all three.
// A message leaves 0.4 kB, gone after a day.
//
// # What an operator sees
//
// An [Alert] and an otp.Event name the rule and the masked key: "block
// +99890123xxxx", "network 203.0.113.0/24", "unverified UZ". There is one for a
// key in ten minutes, and one when the rule has opened again. The budget alerts
// at 50, 80 and 100 %.
//
// # Faults
//
// If the store is dead or full, Check returns its error, and nothing is sent. A
// Check of Config.Checks that fails or is late allows, and alerts; with
// ChecksRefuse it refuses.
//
// A Guard is safe for concurrent use, also by several processes on one store.
package guard
