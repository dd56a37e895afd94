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
// An unverified message counts until its code is typed. A verified session takes its
// messages back, and two more: this is Page's CUSUM (a repeated probability ratio test)
// of 50 % against 20 % verified, which does not depend on volume and breaks even at 36 %.
// All counts are over the last 24 hours, unless the table says otherwise.
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
// Messages to one number are also limited by otp.Policy.PerRecipient, as without a guard.
// Messages to e-mail and apps are held to network, total and budget only.
//
// The step-up column holds for people without a proof. With Request.Proven, for example
// after a captcha, the last column holds. Messages that are Request.Known count, too, but
// block, unverified and total never refuse them, so that an attack does not lock customers
// out; volume holds them to the last column.
//
// A refused message does not count, so a long attack does not keep a rule closed for
// longer. A message that surely was not sent is given back, so a provider's outage closes
// no rule.
//
// # Step-up
//
// Order the proofs by their price for an attacker: a silent check of the network, an app
// attestation or a passkey; a captcha verified by the server, which solvers pass for some
// dollars a thousand; another route, such as push or e-mail; a message that the person
// sends. With StepUp false the step-up column only alerts.
//
// # Rollout
//
// Begin in Shadow for two weeks. The page TUNING.md in this package's folder says how, and
// why the thresholds are as they are.
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
// network, the block, the country, and of everything, in one round trip. After a usual
// day the server takes 41 µs for it. A bare script that reads and writes four keys, and
// counts nothing, takes 18 µs in the same run. So the aim of 15 µs is not reached: most
// of a decision is the work of any script with four keys, and the rest counts seven
// windows in Lua. `go -C .bench run ./guard -mode redis` measures both. A message leaves
// 0.4 kB, gone after a day.
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
