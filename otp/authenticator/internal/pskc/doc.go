// Package pskc reads key containers of RFC 6030 (Portable Symmetric Key Container): the
// seed files of hard tokens, in plain text, under a pre-shared key, or under a password.
//
// Elements are matched by their local names, since vendors differ in the namespaces of
// what is inside; the root must be the RFC's. Values in CBC mode must carry a MAC.
// Signatures are not checked: that takes a canonical form of XML. A key that is no HOTP
// or TOTP key, or whose policy is not understood (§5), is skipped with a reason. Whatever
// else is wrong fails the file.
package pskc
