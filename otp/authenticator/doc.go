// Package authenticator verifies the codes of authenticator apps and hard tokens, and
// recovery codes: codes that the person already has, and that nobody sends. For codes
// that are sent, see package otp.
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
// handler serves codes that are sent and codes that are not.
//
// # Where the tokens are kept
//
// All that a subject has is one sealed value, of some 350 octets for an app and ten
// recovery codes. It belongs into the program's table of users, in a column of its own,
// which takes two statements (see [store.Credentials] for other databases):
//
//	SELECT otp FROM users WHERE id = $1
//	UPDATE users SET otp = $3 WHERE id = $1 AND otp IS NOT DISTINCT FROM $2   -- no row: store.ErrConflict
//
// So the value is backed up and deleted with the user, and a lost cache never turns a
// second factor off. Package store/memstore is for tests, store/redisstore for programs
// without SQL.
//
// The value is sealed with AES-256-GCM under a key of the [otp.Keyring], bound to its
// subject: a row that is copied to another user does not open. If it does not open, the
// error is otp.ErrUnavailable, and nobody is verified. Anyone with write access to the
// table can still put an older value back.
//
// # Which codes are accepted
//
// A code counts once: its step or counter, and all before it, are used up in the same
// swap that accepts it. So a login and a transaction that follows within 30 s need two
// codes; ask for one and rely on the session. Two neighbouring steps can have the same
// six digits: a code that was used is refused for both.
//
// An app may be one step early or late. The window of a hard token follows its clock,
// by [Policy].Drift. A token that is further off is found again by two consecutive codes,
// with [Service.Resync], or at [Service.Confirm].
//
// Ten failures lock the subject for 30 minutes, each further lock lasts twice as long,
// and 100 in a row end it until [Service.Unlock] or a recovery code: an attacker has 100
// guesses at a million codes, whatever the time. Parallel guesses gain nothing. With
// Config.Failures codes that are sent count in the same run.
//
// Standards: RFC 4226, RFC 6238; NIST SP 800-63B-4 §3.1.4, §3.2.2 and §4.2; OWASP ASVS 5.0
// §6.5; PCI DSS 8.3.4. ASVS 6.5.5 asks for a life of 30 s, which is one step: with the
// default Skew a code is accepted for 90 s, with −1 for 30.
//
// # For embedders
//
//   - Call Enroll, Revoke and NewRecoveryCodes only after a fresh login, and Verify after
//     the password: a Service knows no sessions.
//   - Call Verify for a subject that exists. Answer an unknown name as a wrong code, at the
//     same speed.
//   - Tell the person by mail about each event but a login.
//   - Count failures of the password apart: only a right code ends the run of codes.
//   - After a change of password, [Service.NewRecoveryCodes] voids the old ones if they may
//     have been seen.
//   - A token that types may send 12 characters before the digits: turn that off in the
//     token. A newline after them is ignored.
//   - A PIN in front of the code is a password: check it by itself.
//   - [Status].Enrolled is one answer to "has a second factor"; passkeys are outside, and
//     may share the recovery codes.
//
// # Moving in
//
// [ReadPSKC] and [ReadCSV] read the seed files of hard tokens, [ParseURI] the otpauth URIs
// that other libraries keep; [Request].Key takes what they return. A file is taken whole
// or not at all, so that a retry is safe.
//
// There is no export. A file of secrets is worth as much as all the tokens in it: with a
// copy of it anyone can log in as everyone. A program that moves elsewhere enrols people
// anew, or opens the sealed values with the keyring.
//
// # Concurrency
//
// A Service is safe for concurrent use, and any number of them, in any number of
// processes, can share a store and a keyring. It keeps no state of its own and no
// goroutine. Verify is one Load and one Swap; it begins anew if another call has changed
// the value in between.
package authenticator
