// Package pskc reads key containers of RFC 6030 (Portable Symmetric Key Container): the
// seed files of hard tokens, in plain text, under a pre-shared key, or under a password.
//
// Elements are matched by their local names, because vendors use different namespaces
// inside; the root must be the RFC's. Values in CBC mode must carry a MAC. Signatures are
// not checked, because that needs a canonical form of XML. If a key is not HOTP or TOTP,
// or its policy is unknown (§5), it is skipped with a reason. Any other error fails the
// file.
package pskc
