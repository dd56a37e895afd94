// Package channeltest proves implementations of [channel.Channel] and stands
// in for them.
//
// # The suite
//
// [Run] tests the rules that every caller of a channel relies on. The test of a
// channel connects it to a scripted provider and supplies hooks to steer that
// provider:
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
// The example below is a whole channel to copy; whole_test.go, beside it, is its test, with
// a provider that the suite can control.
//
// Each rule is a subtest. If the harness lacks a hook that a rule needs, the
// subtest is skipped by name, so the test's output lists the rules that were
// not proved. The suite waits in real time only if a channel breaks a rule by
// hanging, and for a tenth of a second while a provider is stalled. It may run
// inside a testing/synctest bubble. Run it under -race, too.
//
// # The fake
//
// [Fake] is a channel for tests of programs that send through one. Its zero
// value accepts every message and keeps it. A test can make it refuse, stall,
// or wait.
//
// All functions and types are safe for concurrent use. Only tests may import
// this package.
package channeltest
