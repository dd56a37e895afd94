package pgtest

import "syscall"

// attributes are those of a process that runs as a user, -1: as this one does. The kernel
// kills it when the thread that started it ends, as that does with the process.
func attributes(uid, gid int) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if uid >= 0 {
		a.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	return a
}
