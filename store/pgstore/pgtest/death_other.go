//go:build !linux

package pgtest

import "syscall"

// childrenOf finds none.
func childrenOf(int) []int { return nil }

// attributes are those of a process that runs as the user of this one.
func attributes(int, int) *syscall.SysProcAttr { return nil }
