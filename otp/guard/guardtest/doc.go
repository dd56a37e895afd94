// Package guardtest makes labelled traffic of one-time-password requests,
// legitimate and hostile, and replays it against a guard, for tests and
// examples.
//
//	trace := guardtest.Merge(guardtest.Traffic{PerDay: 5000, Days: 2, Mix: guardtest.Medium}.Make(1),
//		guardtest.Proxies.Make(2))
//	report := guardtest.Replay(trace, &guardtest.Under{Guard: g, Limiter: mem})
//	fmt.Println(report[guardtest.Legit].Refused, report["proxies"].Sent)
//
// A trace depends on nothing but its parameters and its seed. Times are offsets
// from a midnight. A person's or a bot's behaviour is decided when the trace is
// made: whether it types the code, and whether it passes a step-up. So two guards
// are measured against the same people.
//
// Numbers are of the form of their country, and not all of them are assigned:
// a trace goes to an otp.Guard. phone.Parse refuses some.
package guardtest
