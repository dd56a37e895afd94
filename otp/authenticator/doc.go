// Package authenticator verifies the codes of authenticator apps and hard tokens, and
// recovery codes: codes that the person already has, and that nobody sends. For codes
// to be sent, see package otp.
//
//	svc, err := authenticator.New(authenticator.Config{
//		Issuer: "MyBank",
//		Keys:   keyring,                      // otp.ParseKeyring(os.Getenv("OTP_KEYS"))
//		Store:  users,                        // two SQL statements, see store.Credentials
//	})
//	e, err := svc.Enroll(ctx, authenticator.Request{Subject: userID, Account: "ann@example.com"})
//	svg, err := e.SVG("QR code for your authenticator app")   // onto the page, with e.Secret below
//	token, err := svc.Confirm(ctx, userID, typed)              // from here on the app counts
//	codes, err := svc.NewRecoveryCodes(ctx, userID)            // shown once
//	…
//	token, err = svc.Verify(ctx, userID, typed)                // at each login
//	left, err := svc.Recover(ctx, userID, typed)               // the phone is lost
//
// Errors are *[otp.Error] with the reasons and sentinels of package otp, so that one
// handler serves both packages.
//
// # Storage
//
// All data of a subject is one sealed value, of some 350 octets for an app and ten
// recovery codes. It should be a column of the program's own table of users, so that it
// is backed up and deleted with the user, and a lost cache never turns a second factor
// off. Two statements suffice; see [store.Credentials] for other databases:
//
//	SELECT otp FROM users WHERE id = $1
//	UPDATE users SET otp = $3 WHERE id = $1 AND otp IS NOT DISTINCT FROM $2   -- no row: store.ErrConflict
//
// Package store/memstore is for tests, and store/redisstore for programs without SQL.
//
// # Accepted codes
//
// A code counts once. A login and a transaction within 30 s therefore need two codes; ask
// for one and rely on the session.
//
// An app may be one step early or late. The window of a hard token follows its clock, by
// [Policy].Drift. Beyond it, [Service.Resync] or [Service.Confirm] needs two consecutive
// codes.
//
// Ten failures lock the subject for 30 minutes, and each further lock lasts twice as long.
// After 100 failures in a row only [Service.Unlock] or a recovery code helps, so an
// attacker has 100 guesses at a million codes. With
// Config.Failures the failures of an otp.Service count in the same run. [Policy] names the
// standards behind these values.
//
// # Rules for the program
//
//   - Call Enroll, Revoke and NewRecoveryCodes only after a fresh login, and Verify after
//     the password: a Service has no sessions.
//   - Call Verify only for an existing subject. Answer an unknown name like a wrong code,
//     at the same speed.
//   - Tell the person by mail about each event except a login.
//   - Count failures of the password separately: only a right code ends the run of codes.
//   - If recovery codes may have been seen, replace them by [Service.NewRecoveryCodes], for
//     example after a change of password.
//   - A token with a keyboard interface may send 12 characters before the digits: turn that
//     off in the token. A newline after them is ignored.
//   - A PIN before the code is a password: check it yourself.
//
// # Migration
//
// [ReadPSKC] and [ReadCSV] read the seed files of hard tokens, and [ParseURI] reads the
// otpauth URIs of other libraries. [Request].Key takes the keys that they return. They
// read a file completely or not at all, so that a retry is safe. There is no export: with a
// copy of such a file anyone could log in as everyone.
//
// # Concurrency
//
// A Service is safe for concurrent use. Any number of them, in any number of processes, may
// share a store and a keyring. Verify is one Load and one Swap; it repeats them if another
// call has changed the value in between.
package authenticator
