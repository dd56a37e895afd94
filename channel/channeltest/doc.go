// Package channeltest proves implementations of [channel.Channel] and stands
// in for them.
//
// # The suite
//
// [Run] puts a channel through the rules that every caller relies on. A test
// of a channel connects it to a scripted provider and says how to steer that:
//
//	func TestConformance(t *testing.T) {
//		channeltest.Run(t, channeltest.Harness{
//			Address:     channel.Push,
//			ProviderIDs: true,
//			New: func(t testing.TB) channeltest.Subject {
//				provider := newProvider(t) // stopped by t.Cleanup
//				return channeltest.Subject{
//					Channel:  New(Config{URL: provider.URL}),
//					Accepted: provider.Accepted,
//					Refuse: func(c channel.Class) bool {
//						status, ok := map[channel.Class]int{channel.Temporary: 503, channel.Throttled: 429}[c]
//						provider.SetStatus(status)
//						return ok
//					},
//				}
//			},
//		})
//	}
//
// Each rule is a subtest. Those that need a hook the harness lacks are skipped
// by name, so a test's output tells what was not proved. The suite waits in
// real time only where a channel breaks a rule by hanging; it also runs inside
// a testing/synctest bubble.
//
// # The fake
//
// [Fake] is a channel for the tests of whoever sends through one: its zero
// value accepts every message and remembers it, and it can be told to refuse,
// to stall, or to wait for the test.
//
// Everything here is safe for concurrent use. Only tests import this package.
package channeltest
