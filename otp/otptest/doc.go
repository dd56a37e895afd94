// Package otptest provides a Service for the tests of programs that send and
// verify codes. [New] returns it with an [Inbox] in place of carriers and mail
// relays, and with a store in memory:
//
//	func TestLogin(t *testing.T) {
//		codes := otptest.New(t, otp.Config{})
//		h := login.Handler(codes.Service)       // the program under test
//		post(t, h, "/login", "user=ann")
//		code := codes.Inbox.Code("+447912345678")
//		post(t, h, "/code", "code="+code)
//	}
//
// It is a real Service with real limits, locks and expiry. A test in
// testing/synctest moves the time by sleeping, where an hour takes no time:
//
//	expired        time.Sleep(6 * time.Minute) between Send and Verify
//	locked         codes.Lock("user-42")
//	undelivered    codes.Inbox.Fail(channel.Unreachable) before Send
//	not arrived    codes.Inbox.Undelivered(to) after Send: the receipt says so
//	unavailable    codes.Down(true)
//	asynchronous   otp.Config{Async: true}, and codes.Inbox.Wait(to)
//
// The tests of this package are examples of each row. Outside testing/synctest
// it works alike, in real time.
//
// All functions and types are safe for concurrent use. Only tests may import
// this package.
package otptest
