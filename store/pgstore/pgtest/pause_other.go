//go:build !unix

package pgtest

import "syscall"

// Sending these is answered with an error.
const (
	pause  = syscall.Signal(19)
	resume = syscall.Signal(18)
)
